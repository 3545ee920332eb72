package membroker

import (
	"context"
	"slices"

	"example.com/chat/internal/protocol"
)

// Append adds drafts to the room's log and publishes what is new (room.Log).
func (n *Node) Append(ctx context.Context, name string, drafts []protocol.Draft) ([]protocol.Receipt, error) {
	if err := n.enter(ctx); err != nil {
		return nil, err
	}
	defer n.store.mu.Unlock()
	s := n.store
	l := s.logLocked(name)
	head := l.head()
	if head.ID.IsZero() {
		l.beginAnew()
	}
	now := func(seq int64) int64 { return s.cfg.Clock(name, seq) }
	receipts := make([]protocol.Receipt, len(drafts))
	var added []protocol.Entry
	for i, d := range drafts {
		r, e, ok := l.take(name, d, now)
		receipts[i] = r
		if ok {
			added = append(added, e)
		}
	}
	if len(added) > 0 {
		l.trim(s.cfg.History)
		s.publishLocked(event{kind: eventEntries, room: name, before: head.ID, entries: added})
	}
	return receipts, nil
}

// Messages reads the newest messages before an id, as they stand (room.Log).
func (n *Node) Messages(ctx context.Context, name string, before protocol.ID, count int) (page protocol.Page, err error) {
	if err := n.enter(ctx); err != nil {
		return page, err
	}
	defer n.store.mu.Unlock()
	l := n.store.logLocked(name)
	end := len(l.messages)
	if !before.IsZero() {
		end, _ = slices.BinarySearchFunc(l.messages, before.Seq, func(m *message, seq int64) int { return int(m.ID.Seq - seq) })
	}
	from := max(0, end-count)
	page.Head, page.More = l.head(), from > 0
	for _, m := range l.messages[from:end] {
		s := m.Standing
		s.Reactions = slices.Clone(s.Reactions)
		page.List = append(page.List, s)
	}
	return page, nil
}

// After reads the entries after a cursor (room.Log).
func (n *Node) After(ctx context.Context, name string, cursor protocol.ID, count int) (list []protocol.Entry, found, more bool, err error) {
	if err := n.enter(ctx); err != nil {
		return nil, false, false, err
	}
	defer n.store.mu.Unlock()
	l := n.store.logLocked(name)
	all := l.entries()
	from, held := slices.BinarySearchFunc(all, cursor.Seq, func(e protocol.Entry, seq int64) int { return int(e.ID.Seq - seq) })
	switch {
	case cursor.IsZero():
	case held && all[from].ID == cursor:
		from++
	case from == len(all) || !l.gone[cursor]:
		return nil, false, false, nil // the entry of a deletion follows the one that it deletes
	}
	list = all[from:]
	if more = len(list) > count; more {
		list = list[:count]
	}
	last := cursor.Seq
	for _, e := range list {
		if !l.deletedBetween(last, e.ID.Seq) {
			return nil, false, false, nil
		}
		last = e.ID.Seq
	}
	return list, true, more, nil
}

// Before reads the entries just before an id (room.Log).
func (n *Node) Before(ctx context.Context, name string, id protocol.ID, count int) (list []protocol.Entry, more bool, err error) {
	if err := n.enter(ctx); err != nil {
		return nil, false, err
	}
	defer n.store.mu.Unlock()
	l := n.store.logLocked(name)
	all := l.entries()
	end, _ := slices.BinarySearchFunc(all, id.Seq, func(e protocol.Entry, seq int64) int { return int(e.ID.Seq - seq) })
	from, high := end, id.Seq
	for from > 0 && end-from < count && l.deletedBetween(all[from-1].ID.Seq, high) {
		from--
		high = all[from].ID.Seq
	}
	return all[from:end], from > 0 && end-from == count, nil
}

// Moved returns the rooms with another newest entry than the given head (room.Log).
func (n *Node) Moved(ctx context.Context, rooms []protocol.RoomHead) (names []string, err error) {
	if err := n.enter(ctx); err != nil {
		return nil, err
	}
	defer n.store.mu.Unlock()
	for _, r := range rooms {
		var head protocol.ID
		if l := n.store.logs[r.Room]; l != nil {
			head = l.head().ID
		}
		if head != r.Head {
			names = append(names, r.Room)
		}
	}
	return names, nil
}

// Heads reads the id of each room's newest entry (room.Log).
func (n *Node) Heads(ctx context.Context, rooms []string) ([]protocol.ID, error) {
	if err := n.enter(ctx); err != nil {
		return nil, err
	}
	defer n.store.mu.Unlock()
	heads := make([]protocol.ID, len(rooms))
	for i, name := range rooms {
		if l := n.store.logs[name]; l != nil {
			heads[i] = l.head().ID
		}
	}
	return heads, nil
}
