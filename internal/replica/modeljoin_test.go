package replica

import (
	"slices"

	"example.com/chat/internal/protocol"
)

// join lets a member join with the cursor that it has, with another one, or without.
func (m *model) join(mm *modelMember) {
	if mm.joining {
		m.lookup(mm)
		return
	}
	mm.joining, mm.lookup, mm.finish = true, Lookup{}, nil
	mm.cursor = protocol.Cursor{}
	switch m.choose(3) {
	case 0:
		mm.cursor = protocol.At(mm.pos)
	case 1:
		g := m.logs[m.choose(len(m.logs))]
		if n := len(g.all); n > 0 {
			mm.cursor = protocol.At(g.all[m.choose(n)].ID)
		}
	}
	m.lookup(mm)
}

// lookup executes one step of a join.
func (m *model) lookup(mm *modelMember) {
	if mm.finish != nil {
		mm.finish()
		mm.finish = nil
		return
	}
	if !m.r.memory.Synced() {
		return
	}
	a := m.r.memory.Answer(mm.cursor, &mm.lookup)
	m.note("join after %v: need %d, recovered %v, %s", mm.cursor, a.Need, a.Recovered, ids(a.List))
	if a.Need != NeedNothing {
		mm.finish = m.need(mm, a.Need)
		return
	}
	m.answers++
	mm.joining, mm.joined, mm.owed, mm.refill = false, true, false, nil
	m.checkAnswer(mm, a)
	head := m.r.memory.Head()
	mm.pos, mm.fresh = head, 0
	first, b := m.r.memory.Split(a, m.choose(4)*200)
	mm.backlog = b
	if b == nil {
		return
	}
	m.backlogs++
	if a.Recovered {
		mm.pos = first[len(first)-1].ID
	} else {
		mm.fresh = head.Seq
	}
}

// need reads what the answer to a join needs. The function that it returns passes the
// result on.
func (m *model) need(mm *modelMember, n Need) func() {
	g := m.log()
	switch n {
	case NeedRefresh:
		m.effects(m.r.Refresh())
		return func() {
			for m.r.reading {
				m.read()
			}
			mm.lookup.Refreshed()
		}
	case NeedTail:
		b := m.r.memory.BelowTail()
		list := slices.DeleteFunc(g.alive(0, int64(len(g.all))), func(e protocol.Entry) bool { return e.ID.Seq >= b.Before.Seq })
		from := max(0, len(list)-min(b.N, 3))
		return func() {
			if m.choose(2) == 0 {
				m.r.memory.Shrink() // of what an earlier join read
			}
			m.r.memory.Extend(b, list[from:], from > 0, m.r.memory.Excess(b, list[from:]))
			mm.lookup.Extended()
		}
	case NeedMessages:
		b := m.r.memory.BelowMessages(3)
		page := g.page(b.Before, b.N)
		return func() { m.r.memory.Fill(b, page); mm.lookup.Filled() }
	default:
		mm.lookup.Begin(m.r.memory.Head())
		list, found, more := g.after(mm.cursor.ID, 10)
		return func() { mm.lookup.Found(list, found, more) }
	}
}

// checkAnswer compares an answer with the logs: the entries after the cursor up to
// the head, or the newest messages. Those that were deleted since may be missing.
func (m *model) checkAnswer(mm *modelMember, a Answer) {
	m.t.Helper()
	head, cursor := m.r.memory.Head(), mm.cursor
	if !a.Recovered {
		if g := m.log(); head == g.head() && !m.rolledBack && len(a.List) > 0 {
			want := g.page(protocol.ID{}, len(a.List))
			for i, s := range want.List {
				if string(s.Stands().Raw) != string(a.List[i].Raw) {
					m.fail("joined with %s, want %s", a.List[i].Raw, s.Stands().Raw)
				}
			}
		}
		return
	}
	for _, g := range m.logs {
		if g.had(cursor.ID) && g.had(head) && g.covers(cursor.ID, head, a.List) {
			return
		}
	}
	if m.owe(mm) {
		return
	}
	m.fail("joined after %v at %v with %s, and that was in no log", cursor.ID, head, ids(a.List))
}

// owe records that a reset must come, and reports whether that is possible: the log is
// another one than the replica follows.
func (m *model) owe(mm *modelMember) bool {
	mm.owed = !m.log().had(m.r.memory.Head())
	return mm.owed
}

// covers reports whether a list holds all entries between two ids that are in the log,
// and none that never was.
func (g *generation) covers(after, upTo protocol.ID, list []protocol.Entry) bool {
	last := after
	for _, e := range list {
		if !g.had(e.ID) || e.ID.Seq <= last.Seq || e.ID.Seq > upTo.Seq || g.missing(last.Seq, e.ID.Seq-1) {
			return false
		}
		last = e.ID
	}
	return !g.missing(last.Seq, upTo.Seq)
}

// advance executes one step of what a member waits for.
func (m *model) advance(mm *modelMember) {
	switch {
	case mm.joining:
		m.lookup(mm)
	case mm.backlog == nil:
		if mm.joined && m.choose(8) == 0 {
			mm.joined = false
		}
	case mm.refill != nil:
		m.refillBacklog(mm)
	default:
		m.sendBacklog(mm)
	}
}

func (m *model) sendBacklog(mm *modelMember) {
	piece, state := m.r.memory.Next(mm.backlog, m.choose(4)*200)
	m.note("backlog: %s, %d", ids(piece), state)
	for _, e := range piece {
		if e.ID.Seq <= mm.fresh {
			continue // a message as it stood
		}
		if mm.fresh > 0 && mm.pos.Seq > mm.fresh {
			mm.fresh = 0
		}
		m.deliver(mm, e)
	}
	switch state {
	case BacklogDone:
		mm.backlog = nil
	case BacklogRead:
		r := &refill{of: mm.backlog, after: mm.backlog.After()}
		r.list, r.found, _ = m.log().after(r.after, 4)
		mm.refill = r
	}
}

func (m *model) refillBacklog(mm *modelMember) {
	r := mm.refill
	mm.refill = nil
	if mm.backlog != r.of || mm.backlog.After() != r.after {
		return
	}
	m.note("refill %s, found %v", ids(r.list), r.found)
	if !r.found {
		mm.backlog, mm.pos = nil, m.r.memory.Head()
		return
	}
	e, _ := m.r.Refill(mm.backlog, r.list)
	m.effects(e)
}

// history requests a page.
func (m *model) history() {
	limit := 1 + m.choose(5)
	list, more, ok := m.r.memory.History(protocol.Cursor{}, limit)
	g := m.log()
	if !ok || m.rolledBack || m.r.memory.Head() != g.head() {
		return
	}
	want := g.page(protocol.ID{}, limit)
	if more != want.More || len(list) != len(want.List) {
		m.fail("history has %s, more %v; want %d, more %v", ids(list), more, len(want.List), want.More)
	}
	for i, s := range want.List {
		if string(s.Stands().Raw) != string(list[i].Raw) {
			m.fail("history has %s, want %s", list[i].Raw, s.Stands().Raw)
		}
	}
}

// quiesce loses all posts and finishes everything else: then all members have all
// entries.
func (m *model) quiesce() {
	m.note("quiesce")
	m.posts = nil
	for range 10_000 {
		m.effects(m.r.Compare(m.log().head()))
		if !m.r.reading {
			break
		}
		m.read()
	}
	if m.r.reading || m.r.memory.Head() != m.log().head() {
		m.fail("at the end the head is %v, that of the log is %v", m.r.memory.Head(), m.log().head())
	}
	for i, mm := range m.members {
		for n := 0; mm.joining || mm.backlog != nil; n++ {
			if n > 10_000 {
				m.fail("member %d does not come to an end", i)
			}
			m.advance(mm)
			for m.r.reading {
				m.read()
			}
		}
		if mm.owed || mm.joined && (!m.log().had(mm.pos) || m.log().missing(mm.pos.Seq, m.r.memory.Head().Seq)) {
			m.fail("at the end member %d has %v, the head is %v", i, mm.pos, m.r.memory.Head())
		}
	}
}
