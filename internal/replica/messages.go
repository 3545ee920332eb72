package replica

import (
	"slices"
	"sort"

	"example.com/chat/internal/protocol"
)

// messages are the newest messages of the room as they stand at its head. Joins
// without a cursor and history are answered with them.
type messages struct {
	list  []standing
	array []standing // see appendSliding
	bytes int        // of what is shown
	// whole tells that the log holds no older messages than those in list.
	whole bool
	// keep is how many messages the log holds at most; 0 means any number.
	keep int
}

// standing is a message and its present form.
type standing struct {
	protocol.Standing
	shown []byte // its present form, as Raw of an entry
	at    int64  // the seq up to which changes are applied
}

func newStanding(s protocol.Standing, at int64) standing { return standing{s, s.Stands().Raw, at} }

// set replaces the list by the log's newest messages.
func (m *messages) set(page protocol.Page) {
	m.list, m.bytes, m.whole = nil, 0, !page.More
	for _, s := range page.List {
		m.add(newStanding(s, page.Head.ID.Seq))
	}
}

// push adds the room's newest message. It returns the id of the one that left the
// log for it by its bound; zero if there is none, or it is not known here.
func (m *messages) push(e protocol.Entry) (left protocol.ID) {
	if m.keep > 0 && len(m.list) >= m.keep {
		left = m.list[0].ID
	}
	m.add(newStanding(protocol.Standing{Entry: e}, e.ID.Seq))
	return left
}

// add adds a message, and drops the oldest ones beyond the bounds.
func (m *messages) add(s standing) {
	m.list = appendSliding(&m.array, m.list, s)
	m.bytes += len(s.shown)
	drop := 0
	for n := len(m.list); n > tailEntries || m.keep > 0 && n > m.keep || n > protocol.NewestCount && m.bytes > tailBytes; n-- {
		m.whole = m.whole && m.keep > 0 && n > m.keep // the log drops that one too
		m.bytes -= len(m.list[drop].shown)
		drop++
	}
	clear(m.list[:drop]) // so that their bytes can be freed
	m.list = m.list[drop:]
}

// fill adds the messages just before the list, as far as the bounds allow.
func (m *messages) fill(older []standing, whole bool) {
	from := len(older)
	for ; from > 0; from-- {
		n, size := len(m.list)+len(older)-from, m.bytes+len(older[from-1].shown)
		if n >= tailEntries || m.keep > 0 && n >= m.keep || n >= protocol.NewestCount && size > tailBytes {
			break
		}
		m.bytes = size
	}
	m.list = slices.Concat(older[from:], m.list)
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
	s := &m.list[i]
	m.bytes -= len(s.shown)
	if c.Kind == protocol.Delete {
		m.list = slices.Delete(m.list, i, i+1)
		return
	}
	s.apply(c)
	m.bytes += len(s.shown)
}

func (s *standing) apply(c protocol.Modification) {
	if c.ID.Seq > s.at {
		s.Fold(c)
		s.shown, s.at = s.Stands().Raw, c.ID.Seq
	}
}

// newest returns the last n messages as they stand.
func (m *messages) newest(n int) []protocol.Entry { return shown(m.list[max(0, len(m.list)-n):]) }

func shown(list []standing) []protocol.Entry {
	out := make([]protocol.Entry, len(list))
	for i := range list {
		out[i] = list[i].Entry
		out[i].Raw = list[i].shown
	}
	return out
}

// bringUp brings a page that was read before the present head up to the head: it
// applies the changes that were delivered since and, for the newest page, adds
// the messages. It leaves out messages that were not delivered yet. ok is false
// if memory does not hold all entries since the read.
func (r *Replica) bringUp(page protocol.Page, newest bool) (list []standing, ok bool) {
	for _, s := range page.List {
		if newest && s.ID.Seq > r.head.Seq {
			break // it comes live
		}
		list = append(list, newStanding(s, page.Head.ID.Seq))
	}
	if page.Head.ID.Seq >= r.head.Seq {
		return list, true
	}
	if r.tail.floor > page.Head.ID.Seq {
		return nil, false
	}
	late := messages{list: list}
	for _, e := range r.tail.list[r.tail.at(page.Head.ID.Seq+1):] {
		if c, changes := e.Modification(); changes {
			late.apply(c)
		} else if newest {
			late.list = append(late.list, newStanding(protocol.Standing{Entry: e}, e.ID.Seq))
		}
	}
	return late.list, true
}

// History returns up to limit messages before a cursor as they stand, or the
// newest ones without a cursor, and whether there are older ones. ok is false if
// memory can't answer; then the log is read (Current).
func (r *Replica) History(before protocol.Cursor, limit int) (list []protocol.Entry, more, ok bool) {
	m := &r.messages
	end := len(m.list)
	if before.Given {
		end = m.at(before.ID.Seq)
	}
	if !r.synced || before.ID.Seq > r.head.Seq || end < limit && !m.complete() {
		return nil, false, false
	}
	from := max(0, end-limit)
	return shown(m.list[from:end]), from > 0 || !m.complete(), true
}

// Current returns up to limit messages of a page that was read, newest telling
// whether it is the log's newest, as they stand at the head, and whether there are
// older ones. ok is false if memory does not hold all entries since the read.
func (r *Replica) Current(page protocol.Page, newest bool, limit int) (list []protocol.Entry, more, ok bool) {
	current, ok := r.bringUp(page, newest)
	if !ok {
		return nil, false, false
	}
	over := max(0, len(current)-limit)
	return shown(current[over:]), page.More || over > 0, true
}
