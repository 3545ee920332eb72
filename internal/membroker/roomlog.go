package membroker

import (
	"maps"
	"slices"

	"example.com/chat/internal/protocol"
)

// roomLog is one room's log: messages, their changes, and one sequence of ids.
type roomLog struct {
	messages []*message       // oldest first
	changes  []protocol.Entry // oldest first; changesKept at most
	// gone holds the ids of deleted entries, which are valid cursors.
	gone  map[protocol.ID]bool
	keys  map[string]taken // by user and key
	order []string         // the keys, oldest first
	// reactions is the number of reactions of all messages.
	reactions int
}

// message is a message as it stands, and the entries that made it so.
type message struct {
	protocol.Standing
	edits []protocol.ID              // the entries of its edits
	put   map[string]map[string]bool // the users by emoji
}

// taken is the outcome of a key.
type taken struct {
	id protocol.ID
	ms int64
}

func newRoomLog() *roomLog {
	return &roomLog{gone: make(map[protocol.ID]bool), keys: make(map[string]taken)}
}

// beginAnew removes what belongs to another log.
func (l *roomLog) beginAnew() {
	l.changes, l.reactions = nil, 0
	clear(l.gone)
}

// head returns the newest entry; zero for none.
func (l *roomLog) head() (e protocol.Entry) {
	if n := len(l.messages); n > 0 {
		e = l.messages[n-1].Entry
	}
	if n := len(l.changes); n > 0 && l.changes[n-1].ID.Seq > e.ID.Seq {
		e = l.changes[n-1]
	}
	return e
}

// entries returns all entries in their order.
func (l *roomLog) entries() []protocol.Entry {
	list := make([]protocol.Entry, 0, len(l.messages)+len(l.changes))
	changes := l.changes
	for _, m := range l.messages {
		for len(changes) > 0 && changes[0].ID.Seq < m.ID.Seq {
			list, changes = append(list, changes[0]), changes[1:]
		}
		list = append(list, m.Entry)
	}
	return append(list, changes...)
}

// take adds a draft, unless its key is known or the draft is refused. ok reports whether
// there is a new entry.
func (l *roomLog) take(room string, d protocol.Draft, now func(seq int64) int64) (r protocol.Receipt, e protocol.Entry, ok bool) {
	key := d.User + "|" + d.Key // a user's id holds no "|"
	if was, again := l.keys[key]; again {
		r = protocol.Receipt{Time: was.ms, Duplicate: true}
		if l.holds(was.id) {
			r.ID = was.id
		}
		return r, e, false
	}
	var target *message
	count := 0
	if d.Kind != "" {
		if target = l.message(d.Target); target == nil {
			return protocol.Receipt{Refused: protocol.ErrTargetGone}, e, false
		}
		if r.Refused, count = l.judge(d, target); r.Refused != nil {
			return r, e, false
		}
	}
	head := l.head().ID
	id := protocol.ID{MS: max(head.MS, now(head.Seq+1)), Seq: head.Seq + 1}
	e = d.Entry(id, room, count)
	if target == nil {
		l.messages = append(l.messages, &message{Standing: protocol.Standing{Entry: e}})
	} else {
		l.changes = append(l.changes, e)
		l.apply(e, target)
	}
	l.keys[key] = taken{id, id.MS}
	l.order = append(l.order, key)
	l.forgetKeys(id.MS)
	return protocol.Receipt{ID: id, Time: id.MS}, e, true
}

// judge decides whether a draft may change its target. count is the number of users with
// the emoji after a reaction.
func (l *roomLog) judge(d protocol.Draft, m *message) (refused *protocol.Error, count int) {
	if d.Kind != protocol.React && !d.Moderator && m.Author != d.User {
		return protocol.ErrNotAuthor, 0
	}
	switch d.Kind {
	case protocol.Edit:
		if len(m.edits) >= protocol.MaxEdits {
			return protocol.ErrTooManyEdits, 0
		}
	case protocol.React:
		users := m.put[d.Emoji]
		count = len(users)
		if users[d.User] == d.On {
			return nil, count
		}
		if !d.On {
			return nil, count - 1
		}
		total := 0
		for _, r := range m.Reactions {
			total += r.Count
		}
		switch {
		case count == 0 && len(m.Reactions) >= protocol.MaxReactionKinds:
			return protocol.ErrTooManyKinds, 0
		case total >= protocol.MaxReactions || l.reactions >= protocol.MaxRoomReactions:
			return protocol.ErrTooManyReactions, 0
		}
		count++
	}
	return nil, count
}

// apply applies an entry to the messages.
func (l *roomLog) apply(e protocol.Entry, m *message) {
	change, ok := e.Modification()
	if !ok {
		return
	}
	switch change.Kind {
	case protocol.Delete:
		l.gone[m.ID] = true
		for _, id := range m.edits {
			l.gone[id] = true
		}
		l.remove(m)
		l.messages = slices.DeleteFunc(l.messages, func(other *message) bool { return other == m })
		return
	case protocol.Edit:
		m.edits = append(m.edits, e.ID)
	case protocol.React:
		if m.put[change.Emoji][change.User] == change.On {
			return
		}
		m.react(change)
		l.reactions += map[bool]int{true: 1, false: -1}[change.On]
	}
	m.Fold(change)
}

func (m *message) react(c protocol.Modification) {
	if m.put == nil {
		m.put = make(map[string]map[string]bool)
	}
	if m.put[c.Emoji] == nil {
		m.put[c.Emoji] = make(map[string]bool)
	}
	if c.On {
		m.put[c.Emoji][c.User] = true
	} else {
		delete(m.put[c.Emoji], c.User)
	}
}

// remove removes the edits and reactions of a message that leaves the log.
func (l *roomLog) remove(m *message) {
	if len(m.edits) > 0 {
		l.changes = slices.DeleteFunc(slices.Clone(l.changes), func(e protocol.Entry) bool { return slices.Contains(m.edits, e.ID) })
	}
	for _, users := range m.put {
		l.reactions -= len(users)
	}
}

// trim keeps the log within its bounds. A history of 0 means any number of messages.
func (l *roomLog) trim(history int) {
	if over := len(l.messages) - history; history > 0 && over > 0 {
		for _, m := range l.messages[:over] {
			l.remove(m)
		}
		l.messages = slices.Clone(l.messages[over:])
	}
	if over := len(l.changes) - changesKept; over > 0 {
		l.changes = slices.Clone(l.changes[over:])
	}
	if most := history + changesKept; history > 0 && len(l.gone) > most {
		ids := slices.SortedFunc(maps.Keys(l.gone), func(a, b protocol.ID) int { return int(a.Seq - b.Seq) })
		for _, id := range ids[:len(ids)-most] {
			delete(l.gone, id)
		}
	}
}

// forgetKeys removes the oldest keys beyond the bound, if they are old enough.
func (l *roomLog) forgetKeys(now int64) {
	for len(l.order) > 2*protocol.KeysKept && l.keys[l.order[0]].ms < now-protocol.KeyAgeMS {
		delete(l.keys, l.order[0])
		l.order = l.order[1:]
	}
}

func (l *roomLog) message(id protocol.ID) *message {
	i, ok := slices.BinarySearchFunc(l.messages, id.Seq, func(m *message, seq int64) int { return int(m.ID.Seq - seq) })
	if !ok || l.messages[i].ID != id {
		return nil
	}
	return l.messages[i]
}

// holds reports whether the entry is in the log.
func (l *roomLog) holds(id protocol.ID) bool {
	if l.message(id) != nil {
		return true
	}
	i, ok := slices.BinarySearchFunc(l.changes, id.Seq, func(e protocol.Entry, seq int64) int { return int(e.ID.Seq - seq) })
	return ok && l.changes[i].ID == id
}

// deletedBetween reports whether all entries between two seqs were deleted.
func (l *roomLog) deletedBetween(low, high int64) bool {
	missing := high - low - 1
	if missing <= 0 {
		return true
	}
	for id := range l.gone {
		if low < id.Seq && id.Seq < high {
			missing--
		}
	}
	return missing <= 0
}

// rewrite replaces the entries of the log.
func (l *roomLog) rewrite(list []protocol.Entry) {
	l.messages, l.changes, l.reactions = nil, nil, 0
	for _, e := range list {
		if e.IsMessage() {
			l.messages = append(l.messages, &message{Standing: protocol.Standing{Entry: e}})
			continue
		}
		l.changes = append(l.changes, e)
		if m := l.message(e.Target); m != nil && e.Kind != protocol.Delete {
			l.apply(e, m)
		}
	}
}
