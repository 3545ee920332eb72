package room

import (
	"slices"
	"sort"

	"example.com/chat/internal/protocol"
)

// messages are the newest messages of a room as they stand at its head: what a
// fresh join and history are answered with. It is used under its room's lock.
type messages struct {
	list  []standing
	bytes int // of what is shown
	// whole tells that the room holds no older messages than those in list.
	whole bool
	// keep is how many messages a room holds at most; 0 for any number.
	keep int
}

// standing is a message and how it is shown.
type standing struct {
	protocol.Standing
	shown protocol.Entry // as it stands
	at    int64          // the seq up to which changes are in it
}

func newStanding(s protocol.Standing, at int64) standing { return standing{s, s.Stands(), at} }

// set takes the newest messages of the log in place of all.
func (m *messages) set(page protocol.Page) {
	m.list, m.bytes, m.whole = nil, 0, !page.More
	for _, s := range page.List {
		m.add(newStanding(s, page.Head.ID.Seq))
	}
}

// push adds a message that was entered just now. It returns the id of the one that
// left the log for it by its bound; zero where there is none, or it is not known here.
func (m *messages) push(e protocol.Entry) (left protocol.ID) {
	if m.keep > 0 && len(m.list) >= m.keep {
		left = m.list[0].ID
	}
	m.add(newStanding(protocol.Standing{Entry: e}, e.ID.Seq))
	return left
}

// add adds a message, and drops the oldest where there are too many.
func (m *messages) add(s standing) {
	m.list = append(m.list, s)
	m.bytes += len(s.shown.Raw)
	drop := 0
	for n := len(m.list); n > tailEntries || m.keep > 0 && n > m.keep || n > protocol.NewestCount && m.bytes > tailBytes; n-- {
		m.whole = m.whole && m.keep > 0 && n > m.keep // the log drops that one too
		m.bytes -= len(m.list[drop].shown.Raw)
		drop++
	}
	clear(m.list[:drop]) // so that their bytes can be freed
	m.list = m.list[drop:]
}

// fill adds older messages that come just before the list, as far as there is room.
func (m *messages) fill(older []standing, whole bool) {
	from := len(older)
	for ; from > 0; from-- {
		n, size := len(m.list)+len(older)-from, m.bytes+len(older[from-1].shown.Raw)
		if n >= tailEntries || m.keep > 0 && n >= m.keep || n >= protocol.NewestCount && size > tailBytes {
			break
		}
		m.bytes = size
	}
	m.list = slices.Concat(older[from:], m.list)
	m.whole = whole && from == 0
}

// complete reports whether the room holds no older messages that may be shown.
func (m *messages) complete() bool { return m.whole || m.keep > 0 && len(m.list) >= m.keep }

// at returns the place of the first message with a seq of at least seq.
func (m *messages) at(seq int64) int {
	return sort.Search(len(m.list), func(i int) bool { return m.list[i].ID.Seq >= seq })
}

// apply takes a modification into the list.
func (m *messages) apply(c protocol.Modification) {
	i := m.at(c.Target.Seq)
	if i == len(m.list) || m.list[i].ID != c.Target {
		return
	}
	s := &m.list[i]
	m.bytes -= len(s.shown.Raw)
	if c.Kind == protocol.Delete {
		m.list = slices.Delete(m.list, i, i+1)
		return
	}
	s.apply(c)
	m.bytes += len(s.shown.Raw)
}

func (s *standing) apply(c protocol.Modification) {
	if c.ID.Seq > s.at {
		s.Fold(c)
		s.shown, s.at = s.Stands(), c.ID.Seq
	}
}

// newest returns the last n messages as they stand.
func (m *messages) newest(n int) []protocol.Entry { return shown(m.list[max(0, len(m.list)-n):]) }

func shown(list []standing) []protocol.Entry {
	out := make([]protocol.Entry, len(list))
	for i := range list {
		out[i] = list[i].shown
	}
	return out
}

// bringUp brings a part of the log, read at a moment before the room's head, to that:
// with the changes and, where it is the newest part, the messages that members were
// handed since. It leaves out messages that they were not handed yet. ok is false
// where memory does not hold all that came since the reading.
func (f *follower) bringUp(page protocol.Page, newest bool) (list []standing, ok bool) {
	for _, s := range page.List {
		if newest && s.ID.Seq > f.head.Seq {
			break // it comes live
		}
		list = append(list, newStanding(s, page.Head.ID.Seq))
	}
	if page.Head.ID.Seq >= f.head.Seq {
		return list, true
	}
	if f.tail.floor > page.Head.ID.Seq {
		return nil, false
	}
	late := messages{list: list}
	for _, e := range f.tail.list[f.tail.at(page.Head.ID.Seq+1):] {
		if c, changes := e.Modification(); changes {
			late.apply(c)
		} else if newest {
			late.list = append(late.list, newStanding(protocol.Standing{Entry: e}, e.ID.Seq))
		}
	}
	return late.list, true
}
