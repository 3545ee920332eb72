package replica

import (
	"slices"
	"sort"

	"example.com/chat/internal/protocol"
)

// messages are the newest messages of the room as they stand at its head. Joins
// without a cursor and history are answered with them.
type messages struct {
	list    []protocol.Entry // in their present form
	changed []changed        // what was applied to each of list
	bytes   int              // of list
	// listed and changes are the arrays of list and changed (see appendSliding).
	listed  []protocol.Entry
	changes []changed
	// whole is set if the log holds no older messages than those in list.
	whole bool
	// keep is how many messages the log holds at most; 0 means any number.
	keep int
}

// changed is what was applied to a message.
type changed struct {
	at int64              // the seq up to which changes are applied
	s  *protocol.Standing // the message with its changes; nil if it has none
}

// set replaces the list by the log's newest messages.
func (m *messages) set(page protocol.Page) {
	*m = messages{whole: !page.More, keep: m.keep}
	for _, s := range page.List {
		m.add(s, page.Head.ID.Seq)
		m.trim()
	}
}

// push adds the room's newest message. It returns the id of the one that left the
// log for it by its bound; zero if there is none, or it is not known here.
func (m *messages) push(e protocol.Entry) (left protocol.ID) {
	if m.keep > 0 && len(m.list) >= m.keep {
		left = m.list[0].ID
	}
	m.add(protocol.Standing{Entry: e}, e.ID.Seq)
	m.trim()
	return left
}

// add adds a message whose changes up to the seq at are applied.
func (m *messages) add(s protocol.Standing, at int64) {
	e, c := s.Entry, changed{at: at}
	if s.Edited != 0 || len(s.Reactions) > 0 {
		kept := s // so that only changed messages are copied to the heap
		e, c.s = s.Stands(), &kept
	}
	m.list, m.changed = appendSliding(&m.listed, m.list, e), appendSliding(&m.changes, m.changed, c)
	m.bytes += len(e.Raw)
}

// trim drops the oldest messages beyond the bounds.
func (m *messages) trim() {
	drop := 0
	for n := len(m.list); n > tailEntries || m.keep > 0 && n > m.keep || n > protocol.NewestCount && m.bytes > tailBytes; n-- {
		m.whole = m.whole && m.keep > 0 && n > m.keep // the log drops that one too
		m.bytes -= len(m.list[drop].Raw)
		drop++
	}
	clear(m.list[:drop]) // so that their bytes can be freed
	clear(m.changed[:drop])
	m.list, m.changed = m.list[drop:], m.changed[drop:]
}

// fill adds the messages just before the list, as far as the bounds allow.
func (m *messages) fill(older messages, whole bool) {
	from := len(older.list)
	for ; from > 0; from-- {
		n, size := len(m.list)+len(older.list)-from, m.bytes+len(older.list[from-1].Raw)
		if n >= tailEntries || m.keep > 0 && n >= m.keep || n >= protocol.NewestCount && size > tailBytes {
			break
		}
		m.bytes = size
	}
	m.list = slices.Concat(older.list[from:], m.list)
	m.changed = slices.Concat(older.changed[from:], m.changed)
	m.whole = whole && from == 0
}

// complete reports whether the log holds no older messages that may be shown.
func (m *messages) complete() bool { return m.whole || m.keep > 0 && len(m.list) >= m.keep }

// at returns the index of the first message whose seq is at least seq.
func (m *messages) at(seq int64) int {
	return sort.Search(len(m.list), func(i int) bool { return m.list[i].ID.Seq >= seq })
}

// apply applies a modification to its target, if that is in the list.
func (m *messages) apply(c protocol.Modification) {
	i := m.at(c.Target.Seq)
	if i == len(m.list) || m.list[i].ID != c.Target {
		return
	}
	m.bytes -= len(m.list[i].Raw)
	if c.Kind == protocol.Delete {
		m.list, m.changed = slices.Delete(m.list, i, i+1), slices.Delete(m.changed, i, i+1)
		return
	}
	if had := &m.changed[i]; c.ID.Seq > had.at {
		if had.s == nil {
			had.s = &protocol.Standing{Entry: m.list[i]}
		}
		had.s.Fold(c)
		m.list[i], had.at = had.s.Stands(), c.ID.Seq
	}
	m.bytes += len(m.list[i].Raw)
}

// newest returns the last n messages as they stand.
func (m *messages) newest(n int) []protocol.Entry { return m.list[max(0, len(m.list)-n):] }

// bringUp brings a page that was read before the present head up to the head: it
// applies the changes that were delivered since and, for the newest page, adds
// the messages. It leaves out messages that were not delivered yet. ok is false
// if memory does not hold all entries since the read.
func (mem *Memory) bringUp(page protocol.Page, newest bool) (m messages, ok bool) {
	for _, s := range page.List {
		if newest && s.ID.Seq > mem.head.Seq {
			break // it comes live
		}
		m.add(s, page.Head.ID.Seq)
	}
	if page.Head.ID.Seq >= mem.head.Seq {
		return m, true
	}
	if mem.tail.floor > page.Head.ID.Seq {
		return messages{}, false
	}
	for _, e := range mem.tail.list[mem.tail.at(page.Head.ID.Seq+1):] {
		if c, changes := e.Modification(); changes {
			m.apply(c)
		} else if newest {
			m.add(protocol.Standing{Entry: e}, e.ID.Seq)
		}
	}
	return m, true
}

// History returns up to limit messages before a cursor as they stand, or the
// newest ones without a cursor, and whether there are older ones. ok is false if
// memory can't answer; then the log is read (Current).
func (mem *Memory) History(before protocol.Cursor, limit int) (list []protocol.Entry, more, ok bool) {
	m := &mem.messages
	end := len(m.list)
	if before.Given {
		end = m.at(before.ID.Seq)
	}
	if !mem.synced || before.ID.Seq > mem.head.Seq || end < limit && !m.complete() {
		return nil, false, false
	}
	from := max(0, end-limit)
	return m.list[from:end], from > 0 || !m.complete(), true
}

// Current returns up to limit messages of a page that was read, newest telling
// whether it is the log's newest, as they stand at the head, and whether there are
// older ones. ok is false if memory does not hold all entries since the read.
func (mem *Memory) Current(page protocol.Page, newest bool, limit int) (list []protocol.Entry, more, ok bool) {
	current, ok := mem.bringUp(page, newest)
	if !ok {
		return nil, false, false
	}
	over := max(0, len(current.list)-limit)
	return current.list[over:], page.More || over > 0, true
}
