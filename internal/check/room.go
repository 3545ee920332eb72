package check

import (
	"math"
	"slices"
	"time"

	"example.com/chat/internal/protocol"
)

// room is all that the history says about one room.
type room struct {
	v     *verifier
	name  string
	log   []entry // the final log
	wiped []int64
	said  map[name2]*said
	order []*said // in the order in which they were first sent
	views map[string]*view
	conns map[connection]*sendings
	// first is when an entry was first known.
	first map[protocol.ID]int64

	at   map[protocol.ID]*entry // the log, by id
	gone map[protocol.ID]bool   // deleted, according to any record

	// oldestMessage and oldestChange are the seqs at which the two parts of the log
	// begin: older entries have left it by its bounds, or never existed.
	oldestMessage, oldestChange int64
	// places holds the known entries by seq: several if Redis lost its log and the seqs
	// began again.
	places map[int64][]place

	// unseen is the number of deleted edits whose ids may be unknown, and excused the
	// places that such edits must have had.
	unseen  int
	excused map[int64]bool
}

// sendings are what one connection sent to the room.
type sendings struct {
	count int
	place map[string]int // of the last sending of each key
}

// The kinds of entries that change messages.
const (
	kindEdit   = "edit"
	kindDelete = "delete"
	kindReact  = "react"
)

// place is what is known of an entry beside its seq.
type place struct {
	ms           int64
	kind, target string
}

// goneSeqs holds the ms of deleted entries by seq.
type goneSeqs map[int64][]int64

// between reports whether a deleted entry with a seq is between two ids. The seq alone
// is not enough: it may belong to a log that Redis has lost.
func (g goneSeqs) between(a protocol.ID, seq int64, b protocol.ID) bool {
	return slices.ContainsFunc(g[seq], func(ms int64) bool { return a.MS <= ms && ms <= b.MS })
}

// said is one thing that a user sends under one key.
type said struct {
	key          name2
	text         string
	kind, target string
	began        int64 // the first sending
	times        int   // how often it was sent
	only         connection
	place        int // its place among what only sent

	acks   int
	acked  int64 // the first acknowledgement
	id     protocol.ID
	fresh  int // acknowledgements that were no duplicates
	freshC connection
	freshP int // its place among what freshC sent
}

func (r *room) violate(rule Rule, format string, args ...any) {
	r.v.violate(rule, r.name, format, args...)
}

// wipes holds the times at which the log may have lost entries.
func (r *room) wipes() int { return len(r.wiped) + len(r.v.wiped) }

// wipedAfter reports whether the log may have lost its contents of a time.
func (r *room) wipedAfter(at int64) bool {
	after := func(t int64) bool { return t >= at }
	return slices.ContainsFunc(r.wiped, after) || slices.ContainsFunc(r.v.wiped, after)
}

func (r *room) view(client string) *view {
	w := r.views[client]
	if w == nil {
		w = &view{room: r, client: client}
		r.views[client] = w
	}
	return w
}

func (r *room) send(rec *Record) {
	k := name2{rec.User, rec.Key}
	s := r.said[k]
	c := connection{rec.Client, rec.Conn}
	sends := r.conns[c]
	if sends == nil {
		sends = &sendings{place: make(map[string]int)}
		r.conns[c] = sends
	}
	sends.count++
	sends.place[rec.Key] = sends.count
	if s == nil {
		s = &said{
			key: k, text: rec.Text, kind: rec.Kind, target: rec.Target, began: rec.At,
			only: c, place: sends.count, acked: math.MaxInt64,
		}
		r.said[k] = s
		r.order = append(r.order, s)
		r.v.report.Sent++
	} else if s.text != rec.Text || s.kind != rec.Kind || s.target != rec.Target {
		r.violate(RuleInvented, "%s sends %q twice with different texts: the history can't be judged", rec.User, rec.Key)
	}
	s.times++
}

func (r *room) sent(rec *Record) {
	s := r.said[name2{rec.User, rec.Key}]
	if s == nil {
		r.violate(RuleInvented, "%s was acknowledged %q, which it did not send", rec.Client, rec.Key)
		return
	}
	rep := r.v.report
	if rec.Duplicate {
		rep.Duplicates++
	} else {
		s.fresh++
		s.freshC = connection{rec.Client, rec.Conn}
		if sends := r.conns[s.freshC]; sends != nil {
			s.freshP = sends.place[rec.Key]
		}
		if s.fresh > 1 && !r.wipedAfter(s.acked) {
			r.violate(RuleTwice, "%s was told twice that its %q is new", rec.User, rec.Key)
		}
	}
	s.acks++
	if s.acks == 1 {
		s.acked = rec.At
		rep.Acknowledged++
		rep.Waited = max(rep.Waited, time.Duration(rec.At-s.began))
	}
	if rec.ID == "" {
		if !rec.Duplicate {
			r.violate(RuleID, "%s was acknowledged %q without an id", rec.User, rec.Key)
		}
		return
	}
	id, err := protocol.ParseID(rec.ID)
	if err != nil {
		r.violate(RuleID, "%s was acknowledged %q as %q", rec.User, rec.Key, rec.ID)
		return
	}
	if !s.id.IsZero() && s.id != id && !r.wipedAfter(s.acked) {
		r.violate(RuleID, "%s was acknowledged %q as %s and as %s", rec.User, rec.Key, s.id, id)
	}
	s.id = id
	r.known(id, rec.At)
}

// known records that an entry was known at a time.
func (r *room) known(id protocol.ID, at int64) {
	if old, ok := r.first[id]; !ok || at < old {
		r.first[id] = at
	}
}

func (r *room) verify() {
	r.indexLog()
	for _, s := range r.order {
		if s.acks == 0 {
			r.v.report.Unknown++
		}
	}
	r.verifyLog()
	r.verifyAcknowledged()
	r.verifyOrder()
	r.verifyTime()
	r.verifyViews()
	r.verifyShown()
}

func (r *room) indexLog() {
	r.at = make(map[protocol.ID]*entry, len(r.log))
	r.gone = make(map[protocol.ID]bool)
	r.places = make(map[int64][]place)
	r.oldestMessage, r.oldestChange = 1, 1 // without entries, none has left the log
	for i := len(r.log) - 1; i >= 0; i-- {
		e := &r.log[i]
		r.at[e.id] = e
		if e.kind == "" {
			r.oldestMessage = e.id.Seq
		} else {
			r.oldestChange = e.id.Seq
		}
	}
	r.eachEntry(func(e *entry) {
		r.deletion(e)
		r.stood(e.id, e.kind, e.target)
	})
	// A deletion removes the edits of its target too.
	r.eachEntry(func(e *entry) {
		if e.kind == kindEdit && r.goneTarget(e.target) {
			r.gone[e.id] = true
		}
	})
	for _, s := range r.order {
		if !s.id.IsZero() {
			r.stood(s.id, s.kind, s.target)
		}
		switch {
		case s.kind != kindEdit || !r.goneTarget(s.target):
		case s.id.IsZero():
			r.unseen++
		default:
			r.gone[s.id] = true
		}
	}
}

// eachEntry calls f for each entry of the log or of a client.
func (r *room) eachEntry(f func(*entry)) {
	for i := range r.log {
		f(&r.log[i])
	}
	for _, w := range r.views {
		for i := range w.seen {
			for j := range w.seen[i].list {
				f(&w.seen[i].list[j])
			}
		}
	}
}

func (r *room) deletion(e *entry) {
	if e.kind == kindDelete {
		if id, err := protocol.ParseID(e.target); err == nil {
			r.gone[id] = true
		}
	}
}

// left reports whether an entry may have left the log by its bounds: messages and
// changes have their own bounds, and edits leave with their message.
func (r *room) left(seq int64, p place) bool {
	if p.kind == "" {
		return seq < r.oldestMessage
	}
	target, err := protocol.ParseID(p.target)
	return seq < r.oldestChange || p.kind == kindEdit && err == nil && target.Seq < r.oldestMessage
}

// leftBetween reports whether all entries between two places of the log were deleted or
// have left it by its bounds.
func (r *room) leftBetween(a, b protocol.ID, gone goneSeqs) bool {
	for seq := a.Seq + 1; seq < b.Seq; seq++ {
		known, left := r.leftAt(a, seq, b)
		if left || !known && seq < max(r.oldestMessage, r.oldestChange) {
			continue
		}
		if !r.goneBetween(protocol.ID{MS: a.MS, Seq: seq - 1}, protocol.ID{MS: b.MS, Seq: seq + 1}, gone) {
			return false
		}
	}
	return true
}

// leftAt reports whether a known entry with a seq between two ids may have left the log
// by its bounds.
func (r *room) leftAt(a protocol.ID, seq int64, b protocol.ID) (known, left bool) {
	for _, p := range r.places[seq] {
		if a.MS <= p.ms && p.ms <= b.MS {
			known = true
			left = left || r.left(seq, p)
		}
	}
	return known, left
}

// stood records an entry at a place.
func (r *room) stood(id protocol.ID, kind, target string) {
	p := place{id.MS, kind, target}
	if !slices.Contains(r.places[id.Seq], p) {
		r.places[id.Seq] = append(r.places[id.Seq], p)
	}
}

func (r *room) goneTarget(target string) bool {
	id, err := protocol.ParseID(target)
	return err == nil && r.gone[id]
}

// goneBetween reports whether all entries between two places were deleted.
func (r *room) goneBetween(a, b protocol.ID, gone goneSeqs) bool {
	for seq := a.Seq + 1; seq < b.Seq; seq++ {
		if gone.between(a, seq, b) || r.excused[seq] {
			continue
		}
		if len(r.excused) >= r.unseen {
			return false
		}
		r.excused[seq] = true
	}
	return true
}

// goneSeqs returns the places of deleted entries.
func (r *room) goneSeqs() goneSeqs {
	seqs := make(goneSeqs, len(r.gone))
	for id := range r.gone {
		seqs[id.Seq] = append(seqs[id.Seq], id.MS)
	}
	return seqs
}

// verifyLog checks the log itself.
func (r *room) verifyLog() {
	gone := r.goneSeqs()
	keys := make(map[name2]protocol.ID, len(r.log))
	for i := range r.log {
		e := &r.log[i]
		if e.bad {
			r.violate(RuleLog, "an entry without a good id")
			continue
		}
		if old, ok := keys[e.key]; ok {
			r.violate(RuleTwice, "the log holds %q of %s as %s and as %s", e.key.key, e.key.user, old, e.id)
		}
		keys[e.key] = e.id
		r.verifySaid(e, "the log")
		if i == 0 {
			continue
		}
		before := &r.log[i-1]
		switch {
		case e.id.Seq <= before.id.Seq || e.id.MS < before.id.MS:
			r.violate(RuleLog, "%s follows %s in the log", e.id, before.id)
		case !r.leftBetween(before.id, e.id, gone):
			r.violate(RuleLog, "the log has a hole between %s and %s", before.id, e.id)
		}
	}
}

// verifySaid checks that an entry is what its user sent.
func (r *room) verifySaid(e *entry, where string) {
	s := r.said[e.key]
	switch {
	case s == nil:
		r.violate(RuleInvented, "%s holds %s, which %q did not send as %q", where, e.id, e.key.user, e.key.key)
	case s.text != e.text || s.kind != e.kind || s.target != e.target:
		r.violate(RuleInvented, "%s holds %s otherwise than %q sent it as %q", where, e.id, e.key.user, e.key.key)
	case !s.id.IsZero() && s.id != e.id && r.wipes() == 0:
		r.violate(RuleID, "%q of %s was acknowledged as %s, and %s holds it as %s", e.key.key, e.key.user, s.id, where, e.id)
	}
}

// verifyAcknowledged checks that acknowledged entries are in the log.
func (r *room) verifyAcknowledged() {
	for _, s := range r.order {
		if s.acks == 0 || s.id.IsZero() || r.wipedAfter(s.began) {
			continue
		}
		if e := r.at[s.id]; e != nil {
			if e.key != s.key {
				r.violate(RuleLost, "%q of %s was acknowledged as %s, which is %q of %s", s.key.key, s.key.user, s.id, e.key.key, e.key.user)
			}
			continue
		}
		if !r.left(s.id.Seq, place{s.id.MS, s.kind, s.target}) && !r.gone[s.id] {
			r.violate(RuleLost, "%q of %s was acknowledged as %s, which the log does not hold", s.key.key, s.key.user, s.id)
		}
	}
}

// verifyOrder checks that the entries of one connection kept their order. If a key was
// sent more than once, its acknowledgement as new shows which sending was accepted.
func (r *room) verifyOrder() {
	type taken struct {
		place int
		e     *entry
	}
	byConn := make(map[connection][]taken)
	for i := range r.log {
		e := &r.log[i]
		s := r.said[e.key]
		switch {
		case s == nil || s.acks > 0 && s.id != e.id:
			// It was accepted again after the log was wiped, from either sending.
		case s.fresh == 1:
			byConn[s.freshC] = append(byConn[s.freshC], taken{s.freshP, e})
		case s.times == 1:
			byConn[s.only] = append(byConn[s.only], taken{s.place, e})
		}
	}
	for c, list := range byConn {
		for i := 1; i < len(list); i++ {
			if list[i].place < list[i-1].place {
				r.violate(RuleOrder, "connection %d of %s sent %q before %q, and %s comes after %s", c.conn, c.client,
					list[i].e.key.key, list[i-1].e.key.key, list[i].e.id, list[i-1].e.id)
			}
		}
	}
}

// verifyTime checks that an entry acknowledged before another one was sent has the
// lower id.
func (r *room) verifyTime() {
	var earliest int64 = math.MaxInt64 // acknowledgement of any entry with a higher id
	var higher *entry
	for i := len(r.log) - 1; i >= 0; i-- {
		e := &r.log[i]
		s := r.said[e.key]
		if s == nil {
			continue
		}
		if earliest < s.began {
			r.violate(RuleTime, "%s was acknowledged before %s was sent", higher.id, e.id)
		}
		if s.acks > 0 && s.id == e.id && s.acked < earliest {
			earliest, higher = s.acked, e
		}
	}
}
