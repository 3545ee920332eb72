package check

import (
	"slices"
	"strings"
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
		w.room.violate(RuleHead, "%s joined with nothing, and more to come", w.client)
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
		w.room.violate(RuleHole, "%s resumed after %s, and had heard %s last", w.client, after, last)
	}
	if anywhere || last != after {
		w.seen = append(w.seen, stretch{from: after})
	}
	if r.Count == 0 && after != head {
		w.room.violate(RuleHead, "%s resumed after %s with nothing, and the head is %s", w.client, after, head)
	}
}

func (w *view) message(r *Record) {
	e := entryOf(r)
	if e.bad {
		w.room.violate(RuleStray, "%s heard an entry with the id %q", w.client, r.ID)
		return
	}
	if !w.open {
		w.room.violate(RuleStray, "%s heard %s while it was not in the room", w.client, e.id)
	}
	rep := w.room.v.report
	rep.Heard++
	s := w.now()
	s.list = append(s.list, e)
	w.room.known(e.id, r.At)
	if w.due > 0 {
		if w.due--; w.due == 0 && e.id != w.head {
			w.room.violate(RuleHead, "%s joined, and what came ends with %s in place of the head %s", w.client, e.id, w.head)
		}
	}
}

func (r *room) verifyViews() {
	names := make([]string, 0, len(r.views))
	for name := range r.views {
		names = append(names, name)
	}
	slices.SortFunc(names, strings.Compare)
	gone := r.goneSeqs()
	for _, name := range names {
		w := r.views[name]
		for i := range w.seen {
			w.verifyStretch(&w.seen[i], gone)
		}
		w.verifyEnd()
	}
	r.verifyAgreement(names)
}

func (w *view) verifyStretch(s *stretch, gone goneSeqs) {
	last, anywhere := s.from, s.any
	rep := w.room.v.report
	for i := range s.list {
		e := &s.list[i]
		switch {
		case anywhere:
		case e.id.Seq <= last.Seq:
			w.room.violate(RuleRepeat, "%s heard %s after %s", w.client, e.id, last)
		case e.id.MS < last.MS:
			w.room.violate(RuleRepeat, "%s heard %s after %s: the clock goes back", w.client, e.id, last)
		case !w.room.goneBetween(last, e.id, gone):
			w.room.violate(RuleHole, "%s heard %s after %s, and was told of no gap", w.client, e.id, last)
		}
		last, anywhere = e.id, false
		w.room.verifySaid(e, w.client)
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
		if !w.room.left(e.id.Seq, place{e.id.MS, e.kind, e.target}) && w.room.at[e.id] == nil && !w.room.gone[e.id] {
			w.room.violate(RuleEnd, "%s holds %s, which is not in the log, and was not told so", w.client, e.id)
		}
	}
}

// verifyAgreement checks that all clients received the same entry at each place of the
// room. A wiped log counts as another one, and each stretch of a view must belong to
// one log.
func (r *room) verifyAgreement(names []string) {
	logs := []map[int64]*entry{make(map[int64]*entry, len(r.log))}
	for i := range r.log {
		logs[0][r.log[i].id.Seq] = &r.log[i]
	}
	for _, name := range names {
		for i := range r.views[name].seen {
			logs = r.agree(logs, name, r.views[name].seen[i].list)
		}
	}
	keys := make(map[name2]map[protocol.ID]bool)
	for _, log := range logs {
		for _, e := range log {
			if keys[e.key] == nil {
				keys[e.key] = make(map[protocol.ID]bool)
			}
			keys[e.key][e.id] = true
		}
	}
	for k, ids := range keys {
		if len(ids) > 1+r.wipes() {
			r.violate(RuleTwice, "%q of %s was seen under %d ids", k.key, k.user, len(ids))
		}
	}
}

// agree finds the log that a stretch belongs to, and adds the stretch's entries to it.
func (r *room) agree(logs []map[int64]*entry, name string, list []entry) []map[int64]*entry {
	if len(list) == 0 {
		return logs
	}
	best, most := -1, -1
	var conflict, other *entry
	for i, log := range logs {
		common := 0
		for j := range list {
			e := log[list[j].id.Seq]
			if e == nil {
				continue
			}
			if !e.same(&list[j]) {
				if conflict == nil {
					conflict, other = &list[j], e
				}
				common = -1
				break
			}
			common++
		}
		if common > most {
			best, most = i, common
		}
	}
	switch {
	case best < 0 && len(logs) <= r.wipes():
		logs = append(logs, make(map[int64]*entry))
		best = len(logs) - 1
	case best < 0:
		r.violate(RuleDiffers, "%s heard %s as %q of %s, where others have %s as %q of %s", name,
			conflict.id, conflict.key.key, conflict.key.user, other.id, other.key.key, other.key.user)
		return logs
	case most == 0 && r.wipes() > 0:
		return logs // it could be of any of the logs
	}
	for j := range list {
		logs[best][list[j].id.Seq] = &list[j]
	}
	return logs
}
