package check

import (
	"time"

	"example.com/chat/internal/protocol"
)

// view is what one client received of one room.
type view struct {
	room   *room
	client string

	open  bool
	seen  []stretch
	ended bool
	due   int         // recovered entries that are still to arrive
	head  protocol.ID // the id with which they must end
	pages []page
}

// stretch is a part of a view without a permitted gap.
type stretch struct {
	from protocol.ID // the place after which it begins
	any  bool        // it begins anywhere
	list []entry
}

// last returns the place that the next entry must follow; any if there is none.
func (s *stretch) last() (id protocol.ID, anywhere bool) {
	if n := len(s.list); n > 0 {
		return s.list[n-1].id, false
	}
	return s.from, s.any
}

func (w *view) now() *stretch {
	if len(w.seen) == 0 {
		w.seen = append(w.seen, stretch{any: true})
	}
	return &w.seen[len(w.seen)-1]
}

func (w *view) take(r *Record) {
	switch r.Op {
	case OpJoined:
		w.joined(r)
	case OpHistory:
		w.history(r)
	case OpShown:
		w.shown(r)
	case OpMessage:
		w.message(r)
	case OpReset:
		w.room.v.report.Resets++
		head, _ := parse(r.Head)
		w.seen = append(w.seen, stretch{from: head})
	case OpLeft:
		w.open = false
		w.seen = append(w.seen, stretch{any: true})
	case OpEnd:
		w.ended = w.open
		if !w.open {
			w.room.violate(RuleEnd, "%s ends without being in the room", w.client)
		}
	}
}

// parse reads an id that may be "".
func parse(s string) (protocol.ID, bool) {
	if s == "" {
		return protocol.ID{}, true
	}
	id, err := protocol.ParseID(s)
	return id, err == nil
}

func (w *view) joined(r *Record) {
	w.open = true
	head, ok := parse(r.Head)
	after, ok2 := parse(r.After)
	if !ok || !ok2 {
		w.room.violate(RuleHead, "%s joined with the head %q after %q", w.client, r.Head, r.After)
	}
	if r.More && r.Count == 0 {
		w.room.violate(RuleHead, "%s joined with no messages, although more follow", w.client)
	}
	if !r.Recovered {
		if r.After != "" {
			w.room.v.report.Gaps++
		}
		w.seen = append(w.seen, stretch{from: head})
		w.pages = append(w.pages, page{what: "joined", head: head, newest: true, upTo: true, cut: r.More, at: r.At})
		w.due = 0
		return
	}
	w.head, w.due = head, r.Count
	if r.More {
		w.due = 0 // the head follows later; RuleHole checks that nothing before it is missing
	}
	last, anywhere := w.now().last()
	if !anywhere && last != after {
		w.room.violate(RuleHole, "%s resumed after %s, and had received %s last", w.client, after, last)
	}
	if anywhere || last != after {
		w.seen = append(w.seen, stretch{from: after})
	}
	if r.Count == 0 && after != head {
		w.room.violate(RuleHead, "%s resumed after %s without messages, and the head is %s", w.client, after, head)
	}
}

func (w *view) message(r *Record) {
	e := entryOf(r)
	if e.bad {
		w.room.violate(RuleStray, "%s received an entry with the id %q", w.client, r.ID)
		return
	}
	if !w.open {
		w.room.violate(RuleStray, "%s received %s while it was not in the room", w.client, e.id)
	}
	rep := w.room.v.report
	rep.Heard++
	s := w.now()
	s.list = append(s.list, e)
	w.room.known(e.id, r.At)
	if w.due > 0 {
		if w.due--; w.due == 0 && e.id != w.head {
			w.room.violate(RuleHead, "%s joined, and the messages end with %s instead of the head %s", w.client, e.id, w.head)
		}
	}
}

// verify checks what the client received.
func (w *view) verify() {
	for i := range w.seen {
		w.verifyStretch(&w.seen[i])
	}
	w.verifyEnd()
}

func (w *view) verifyStretch(s *stretch) {
	last, anywhere := s.from, s.any
	rep := w.room.v.report
	for i := range s.list {
		e := &s.list[i]
		switch {
		case anywhere:
		case e.id.Seq <= last.Seq:
			w.room.violate(RuleRepeat, "%s received %s after %s", w.client, e.id, last)
		case e.id.MS < last.MS:
			w.room.violate(RuleRepeat, "%s received %s after %s: the clock goes back", w.client, e.id, last)
		case !w.room.index.goneBetween(last, e.id):
			w.room.violate(RuleHole, "%s received %s after %s, and no notice of a gap", w.client, e.id, last)
		}
		last, anywhere = e.id, false
		w.room.sent.verifyEntry(e, w.client)
		rep.Behind = max(rep.Behind, time.Duration(e.at-w.room.first[e.id]))
	}
}

// verifyEnd checks a view that claims to be complete.
func (w *view) verifyEnd() {
	if !w.ended {
		return
	}
	s := w.now()
	last, _ := s.last()
	var head protocol.ID
	if n := len(w.room.log); n > 0 {
		head = w.room.log[n-1].id
	}
	if last != head {
		w.room.violate(RuleEnd, "%s ends with %s, and the log with %s", w.client, last, head)
	}
	if len(w.room.log) == 0 {
		return
	}
	for i := range s.list {
		e := &s.list[i]
		if x := w.room.index; !x.left(e.id.Seq, place{e.id.MS, e.kind, e.target}) && x.at[e.id] == nil && !x.gone[e.id] {
			w.room.violate(RuleEnd, "%s received %s, which is not in the log, and no notice of that", w.client, e.id)
		}
	}
}
