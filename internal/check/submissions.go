package check

import (
	"math"
	"time"

	"example.com/chat/internal/protocol"
)

// submissions holds what clients sent to one room, and the acknowledgements of it.
type submissions struct {
	room  *room
	byKey map[userKey]*submission
	order []*submission // in the order in which they were first sent
	conns map[connection]*sendings
}

// submission is one thing that a user sends under one key.
type submission struct {
	key          userKey
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

// sendings are what one connection sent to the room.
type sendings struct {
	count int
	place map[string]int // of the last sending of each key
}

func newSubmissions(r *room) submissions {
	return submissions{room: r, byKey: make(map[userKey]*submission), conns: make(map[connection]*sendings)}
}

func (l *submissions) send(rec *Record) {
	k := userKey{rec.User, rec.Key}
	s := l.byKey[k]
	c := connection{rec.Client, rec.Conn}
	sends := l.conns[c]
	if sends == nil {
		sends = &sendings{place: make(map[string]int)}
		l.conns[c] = sends
	}
	sends.count++
	sends.place[rec.Key] = sends.count
	if s == nil {
		s = &submission{
			key: k, text: rec.Text, kind: rec.Kind, target: rec.Target, began: rec.At,
			only: c, place: sends.count, acked: math.MaxInt64,
		}
		l.byKey[k] = s
		l.order = append(l.order, s)
		l.room.v.report.Sent++
	} else if s.text != rec.Text || s.kind != rec.Kind || s.target != rec.Target {
		l.room.violate(RuleInvented, "%s sends %q twice with different texts: the history can't be judged", rec.User, rec.Key)
	}
	s.times++
}

func (l *submissions) acknowledge(rec *Record) {
	r := l.room
	s := l.byKey[userKey{rec.User, rec.Key}]
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
		if sends := l.conns[s.freshC]; sends != nil {
			s.freshP = sends.place[rec.Key]
		}
		if s.fresh > 1 && !r.wipedAfter(s.acked) {
			r.violate(RuleTwice, "%s got two acknowledgements of %q as new", rec.User, rec.Key)
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

// countUnknown counts what was refused or never answered.
func (l *submissions) countUnknown() {
	for _, s := range l.order {
		if s.acks == 0 {
			l.room.v.report.Unknown++
		}
	}
}

// verifyEntry checks that an entry is what its user sent. where names its place in the
// text of a violation.
func (l *submissions) verifyEntry(e *entry, where string) {
	r := l.room
	s := l.byKey[e.key]
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
func (l *submissions) verifyAcknowledged() {
	r := l.room
	for _, s := range l.order {
		if s.acks == 0 || s.id.IsZero() || r.wipedAfter(s.began) {
			continue
		}
		if e := r.index.at[s.id]; e != nil {
			if e.key != s.key {
				r.violate(RuleLost, "%q of %s was acknowledged as %s, which is %q of %s", s.key.key, s.key.user, s.id, e.key.key, e.key.user)
			}
			continue
		}
		if !r.index.left(s.id.Seq, place{s.id.MS, s.kind, s.target}) && !r.index.gone[s.id] {
			r.violate(RuleLost, "%q of %s was acknowledged as %s, which the log does not hold", s.key.key, s.key.user, s.id)
		}
	}
}

// verifyOrder checks that the entries of one connection kept their order. If a key was
// sent more than once, its acknowledgement as new shows which sending was accepted.
func (l *submissions) verifyOrder() {
	type taken struct {
		place int
		e     *entry
	}
	byConn := make(map[connection][]taken)
	for i := range l.room.log {
		e := &l.room.log[i]
		s := l.byKey[e.key]
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
				l.room.violate(RuleOrder, "connection %d of %s sent %q before %q, and %s comes after %s", c.conn, c.client,
					list[i].e.key.key, list[i-1].e.key.key, list[i].e.id, list[i-1].e.id)
			}
		}
	}
}

// verifyTime checks that an entry acknowledged before another one was sent has the
// lower id.
func (l *submissions) verifyTime() {
	var earliest int64 = math.MaxInt64 // acknowledgement of any entry with a higher id
	var higher *entry
	for i := len(l.room.log) - 1; i >= 0; i-- {
		e := &l.room.log[i]
		s := l.byKey[e.key]
		if s == nil {
			continue
		}
		if earliest < s.began {
			l.room.violate(RuleTime, "%s was acknowledged before %s was sent", higher.id, e.id)
		}
		if s.acks > 0 && s.id == e.id && s.acked < earliest {
			earliest, higher = s.acked, e
		}
	}
}
