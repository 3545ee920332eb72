package replica

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"example.com/chat/internal/protocol"
)

// FuzzReplica checks a replica against a simple model of a log, its live posts, its reads
// and the room's members. The input decides which of them takes the next step. Each
// member gets each entry once and in order, or a reset.
func FuzzReplica(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(randomInput(seed, 400))
	}
	f.Fuzz(func(t *testing.T, input []byte) { newModel(t, input[:min(len(input), 2000)]).run() })
}

// TestRandomInterleavings runs the model with random inputs.
func TestRandomInterleavings(t *testing.T) {
	t.Parallel()
	const runs = 300
	resets, answers, backlogs := 0, 0, 0
	for seed := range uint64(runs) {
		m := newModel(t, randomInput(seed, 1000))
		m.run()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		resets, answers, backlogs = resets+m.resets, answers+m.answers, backlogs+m.backlogs
	}
	if resets == 0 || answers == 0 || backlogs == 0 {
		t.Errorf("the runs had %d resets, %d answers and %d backlogs: each must occur", resets, answers, backlogs)
	}
}

func randomInput(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 3))
	input := make([]byte, n)
	for i := range input {
		input[i] = byte(rng.Uint32())
	}
	return input
}

// generation is a log from its beginning until it loses entries. Generations may
// have a common beginning.
type generation struct {
	all  []protocol.Entry // also those that were deleted; seq n is at n-1
	gone map[protocol.ID]bool
	// ever are the entries that were deleted in any generation. A deletion that the
	// log lost may have been seen by a read.
	ever map[protocol.ID]bool
}

// missing reports whether an entry in (after, upTo] is missing between the two.
func (g *generation) missing(after, upTo int64) bool {
	return slices.ContainsFunc(g.alive(after, upTo), func(e protocol.Entry) bool { return !g.ever[e.ID] })
}

// alive returns the entries with seqs in (after, upTo] that are in the log.
func (g *generation) alive(after, upTo int64) (list []protocol.Entry) {
	for _, e := range g.all[min(after, int64(len(g.all))):min(upTo, int64(len(g.all)))] {
		if !g.gone[e.ID] {
			list = append(list, e)
		}
	}
	return list
}

// had reports whether the generation ever held the entry; zero is its beginning.
func (g *generation) had(id protocol.ID) bool {
	return id.IsZero() || id.Seq <= int64(len(g.all)) && g.all[id.Seq-1].ID == id
}

func (g *generation) head() protocol.ID {
	if len(g.all) == 0 {
		return protocol.ID{}
	}
	return g.all[len(g.all)-1].ID // the newest entry is never deleted
}

func (g *generation) page(before protocol.ID, n int) protocol.Page {
	return protocol.PageOf(g.alive(0, int64(len(g.all))), before, n)
}

// after is what a read of the log after a cursor returns.
func (g *generation) after(cursor protocol.ID, n int) (list []protocol.Entry, found, more bool) {
	if !g.had(cursor) {
		return nil, false, false
	}
	list = g.alive(cursor.Seq, int64(len(g.all)))
	return list[:min(n, len(list))], true, len(list) > n
}

// model is the log, the network, the room and its members.
type model struct {
	t     *testing.T
	input []byte
	trace []string

	r     *Replica
	logs  []*generation // the last one is the present log
	clock int64
	posts []Post
	// rolledBack is set if the log lost its newest entries alone, so memory may hold
	// changes that the log does not.
	rolledBack bool
	pending    *pendingRead
	members    [3]*modelMember

	resets, answers, backlogs int
}

// pendingRead is a read between BeginRead and its end.
type pendingRead struct {
	at     Position
	done   bool
	pieces []Piece
}

// modelMember is a member of the room.
type modelMember struct {
	joined bool
	// owed is set if the member got entries of no log, because memory was read from a log
	// that the replica does not follow yet: a reset must come.
	owed    bool
	pos     protocol.ID // the newest entry that it got
	fresh   int64       // up to this seq its backlog holds messages as they stand
	backlog *Backlog
	refill  *refill

	joining bool
	cursor  protocol.Cursor
	lookup  Lookup
	finish  func() // ends the read of the join that is under way
}

// refill is a read for a backlog
type refill struct {
	of    *Backlog
	after protocol.ID
	list  []protocol.Entry
	found bool
}

func newModel(t *testing.T, input []byte) *model {
	t.Helper()
	m := &model{t: t, input: input, r: New(0), logs: []*generation{{gone: map[protocol.ID]bool{}, ever: map[protocol.ID]bool{}}}}
	for i := range m.members {
		m.members[i] = &modelMember{}
	}
	return m
}

// choose returns a number below n from the input.
func (m *model) choose(n int) int {
	if len(m.input) == 0 {
		return 0
	}
	b := m.input[0]
	m.input = m.input[1:]
	return int(b) % n
}

func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	last := m.trace[max(0, len(m.trace)-40):]
	m.t.Fatalf(format+"\nlast steps: %v", append(args, last)...)
}

func (m *model) note(format string, args ...any) {
	m.trace = append(m.trace, fmt.Sprintf(format, args...))
}

func (m *model) log() *generation { return m.logs[len(m.logs)-1] }

func (m *model) run() {
	m.effects(m.r.Refresh())
	for len(m.input) > 0 {
		m.step()
	}
	m.quiesce()
}

// step takes one of all possible steps.
func (m *model) step() {
	switch m.choose(24) {
	case 0, 1, 2, 3, 4:
		for range 1 + m.choose(3) {
			m.add()
		}
	case 5, 6, 7, 8:
		m.post(0)
	case 9:
		if len(m.posts) > 0 { // the post is lost
			m.posts = m.posts[1:]
		}
	case 10:
		if n := len(m.posts); n > 1 { // two posts arrive in the wrong order
			i := m.choose(n - 1)
			m.posts[i], m.posts[i+1] = m.posts[i+1], m.posts[i]
		}
	case 11:
		if len(m.posts) > 0 { // the post arrives twice
			m.posts = append(m.posts, m.posts[m.choose(len(m.posts))])
		}
	case 12, 13, 14:
		m.read()
	case 15:
		m.note("compare %v", m.log().head())
		m.effects(m.r.Compare(m.log().head()))
	case 16:
		m.acknowledge()
	case 17, 18:
		m.join(m.members[m.choose(len(m.members))])
	case 19, 20, 21:
		m.advance(m.members[m.choose(len(m.members))])
	case 22:
		m.disturb()
	case 23:
		m.history()
	}
}

// add appends an entry to the log, and publishes it.
func (m *model) add() {
	g := m.log()
	m.clock++
	id := protocol.ID{MS: m.clock, Seq: int64(len(g.all)) + 1}
	kind, target := "", protocol.ID{}
	if stand := g.page(protocol.ID{}, 1000).List; len(stand) > 0 {
		kind = []string{"", "", "", protocol.Edit, protocol.React, protocol.Delete}[m.choose(6)]
		target = stand[m.choose(len(stand))].ID
	}
	e := testEntry(id, kind, target, 0)
	post := Post{After: g.head(), Entry: e}
	g.all = append(g.all, e)
	if kind == protocol.Delete {
		for _, old := range g.all {
			if deletedBy(old, func(id protocol.ID) bool { return id == target }) {
				g.gone[old.ID], g.ever[old.ID] = true, true
			}
		}
	}
	m.note("add %s", written(e))
	m.posts = append(m.posts, post)
}

// post passes a post to the replica.
func (m *model) post(i int) {
	if i >= len(m.posts) {
		return
	}
	p := m.posts[i]
	m.posts = slices.Delete(m.posts, i, i+1)
	backpressure := m.choose(8) == 0
	m.note("hear %v after %v, backpressure %v", p.ID, p.After, backpressure)
	m.effects(m.r.Hear(p, backpressure))
}

// disturb removes entries from the log, all or the newest, or publishes one that it does
// not hold.
func (m *model) disturb() {
	g := m.log()
	switch m.choose(5) {
	case 0, 1:
		keep := 0
		if n := len(g.all); n > 0 && m.choose(2) == 0 {
			// The log is rolled back to so many entries.
			keep = m.choose(n)
		}
		next := &generation{all: slices.Clone(g.all[:keep]), gone: map[protocol.ID]bool{}, ever: g.ever}
		m.rolledBack = keep > 0
		for _, e := range next.all {
			if target := e.Target; e.Kind == protocol.Delete {
				for _, old := range next.all {
					if deletedBy(old, func(id protocol.ID) bool { return id == target }) {
						next.gone[old.ID] = true
					}
				}
			}
		}
		m.note("lose all but %d", keep)
		m.logs = append(m.logs, next)
	case 2:
		m.note("refresh")
		m.effects(m.r.Refresh())
	default:
		seq := max(1, m.r.memory.Head().Seq-2+int64(m.choose(6)))
		m.clock++
		forged := testEntry(protocol.ID{MS: m.clock, Seq: seq}, "", protocol.ID{}, 0)
		m.note("forge %v", forged.ID)
		m.effects(m.r.Hear(Post{After: protocol.ID{MS: m.clock, Seq: seq - 1}, Entry: forged}, false))
	}
}

func (m *model) acknowledge() {
	if head := m.log().head(); !head.IsZero() {
		m.note("acknowledge %v", head)
		m.effects(m.r.Acknowledged(head))
	}
	if seq, behind := m.r.Behind(); behind && m.choose(2) == 0 {
		m.note("overdue %d", seq)
		m.effects(m.r.Overdue(seq))
	}
}

// read executes one step of the read that is due.
func (m *model) read() {
	switch p := m.pending; {
	case !m.r.reading:
	case p == nil:
		m.pending = &pendingRead{at: m.r.BeginRead()}
		m.note("begin %v", m.pending.at)
	case !p.done:
		p.done = true
		p.pieces = m.pieces(p.at)
		m.note("log read: %d", len(m.log().all))
	default:
		piece := p.pieces[0]
		p.pieces = p.pieces[1:]
		if len(p.pieces) == 0 {
			m.pending = nil
		}
		m.note("read found %v, %s, more %v", piece.Found, ids(piece.Entries), piece.More)
		e := m.r.Read(piece)
		if e.Settled == m.r.reading || e.Settled && m.pending != nil {
			m.fail("settled %v, reading %v", e.Settled, m.r.reading)
		}
		m.effects(e)
	}
}

// pieces reads the log.
func (m *model) pieces(at Position) []Piece {
	if !at.Known {
		return []Piece{{Newest: m.log().page(protocol.ID{}, 5)}}
	}
	list, found, more := m.log().after(at.After, 6)
	if !found {
		return []Piece{{Newest: m.log().page(protocol.ID{}, 5)}}
	}
	n := m.choose(len(list) + 1)
	if n == 0 {
		return []Piece{{Found: true, Entries: list, More: more}}
	}
	return []Piece{{Found: true, Entries: list[:n], More: true}, {Found: true, Entries: list[n:], More: more}}
}

// effects does what the room does with the effects of a step.
func (m *model) effects(e Effects) {
	if e.Reset {
		m.resets++
		m.note("reset %v", e.ResetAt)
		for _, mm := range m.members {
			mm.backlog, mm.pos, mm.owed = nil, e.ResetAt, false
		}
	}
	for _, id := range e.Erased {
		for _, mm := range m.members {
			if mm.backlog != nil {
				mm.backlog.Erase(id)
			}
		}
	}
	for _, entry := range e.Deliver {
		m.note("deliver %v", entry.ID)
		for _, mm := range m.members {
			if mm.joined && mm.backlog == nil {
				m.deliver(mm, entry)
			}
		}
	}
}

// deliver gives an entry to a member. It must be the next one in a log that existed.
func (m *model) deliver(mm *modelMember, e protocol.Entry) {
	m.t.Helper()
	if mm.owed {
		mm.pos = e.ID
		return
	}
	for _, g := range m.logs {
		if g.had(mm.pos) && g.had(e.ID) && e.ID.Seq > mm.pos.Seq && !g.missing(mm.pos.Seq, e.ID.Seq-1) {
			if string(g.all[e.ID.Seq-1].Raw) != string(e.Raw) {
				m.fail("delivered %s, the log has %s", e.Raw, g.all[e.ID.Seq-1].Raw)
			}
			mm.pos = e.ID
			return
		}
	}
	if mm.backlog != nil && m.owe(mm) {
		mm.pos = e.ID
		return
	}
	m.fail("a member got %v after %v, and that was in no log", e.ID, mm.pos)
}
