package check

import (
	"slices"
	"strconv"
	"strings"

	"example.com/chat/internal/protocol"
)

// page is a list of messages that a client received as they stand.
type page struct {
	what string // "joined" or "history", for the text of a violation
	// head is the newest entry that the page must include.
	head protocol.ID
	// newest reports that the page is the newest part of the room, upTo that it
	// includes nothing newer than head.
	newest, upTo bool
	// cut reports that messages before or after the list may belong to the page.
	cut  bool
	more bool  // there are older ones
	at   int64 // when it was received
	list []shown
}

// shown is a message as a client received it.
type shown struct {
	entry
	marks string
}

func (w *view) history(r *Record) {
	before, ok := parse(r.Before)
	if !ok {
		w.room.violate(RuleStands, "%s asked for the history before %q", w.client, r.Before)
	}
	last, _ := w.now().last()
	w.pages = append(w.pages, page{what: "the history", head: last, newest: before.IsZero(), more: r.More, at: r.At})
}

// shown adds a message to the newest page.
func (w *view) shown(r *Record) {
	e := entryOf(r)
	if e.bad || len(w.pages) == 0 {
		w.room.violate(RuleStray, "%s received a message with the id %q, which belongs to no list", w.client, r.ID)
		return
	}
	p := &w.pages[len(w.pages)-1]
	p.list = append(p.list, shown{e, r.Marks})
	w.room.v.report.Heard++
	w.room.known(e.id, r.At)
}

// changed holds the known entries about one message.
type changed struct {
	message *entry
	edits   states[string]
	deleted states[bool]
	marks   map[string]states[int] // the counts by emoji
}

// states are the values of a property after entries.
type states[V any] []state[V]

type state[V any] struct {
	seq   int64 // of the entry
	began int64 // when it was sent; 0 if unknown
	value V
}

// shownBy returns the states in which a page may show the property: that at its head,
// and later ones that were sent before the page was received.
func (l states[V]) shownBy(p *page) (list []V) {
	last := int64(-1)
	for _, s := range l {
		if s.seq <= p.head.Seq {
			last = max(last, s.seq)
		}
	}
	for _, s := range l {
		if s.seq == last || s.seq > last && s.began < p.at {
			list = append(list, s.value)
		}
	}
	return list
}

// verifyShown checks that clients received messages as they stood. It can't judge where
// the log may have lost entries.
func verifyShown(r *room) {
	if r.wipes() > 0 {
		return
	}
	all := changesOf(r)
	r.verifyCounts()
	for _, name := range r.clients() {
		w := r.views[name]
		for i := range w.pages {
			w.verifyPage(&w.pages[i], all)
		}
	}
}

// changes holds the known changes of each message.
type changes map[protocol.ID]*changed

// changesOf collects the changes of a room's messages.
func changesOf(r *room) changes {
	all := make(changes)
	r.eachEntry(func(e *entry) {
		began := int64(0)
		if s := r.sent.byKey[e.key]; s != nil {
			began = s.began
		}
		all.add(e, began)
	})
	// Of an edit only the acknowledgement may be known.
	for _, s := range r.sent.order {
		if target, err := protocol.ParseID(s.target); err == nil && s.kind == kindEdit && !s.id.IsZero() {
			c := all.of(target)
			c.edits = append(c.edits, state[string]{s.id.Seq, s.began, s.text})
		}
	}
	return all
}

func (all changes) of(id protocol.ID) *changed {
	c := all[id]
	if c == nil {
		c = &changed{marks: make(map[string]states[int])}
		all[id] = c
	}
	return c
}

// add adds an entry; began is when it was sent, 0 if that is unknown.
func (all changes) add(e *entry, began int64) {
	if e.kind == "" {
		all.of(e.id).message = e
		return
	}
	target, err := protocol.ParseID(e.target)
	if err != nil {
		return
	}
	switch e.kind {
	case kindEdit:
		c := all.of(target)
		c.edits = append(c.edits, state[string]{e.id.Seq, began, e.text})
	case kindDelete:
		c := all.of(target)
		c.deleted = append(c.deleted, state[bool]{e.id.Seq, began, true})
	case kindReact:
		emoji, _, _ := strings.Cut(e.text, " ")
		c := all.of(target)
		c.marks[emoji] = append(c.marks[emoji], state[int]{e.id.Seq, began, e.count})
	}
}

// verifyCounts checks that the count of each reaction in the log is the sum of those
// before it, where the log holds all of them.
func (r *room) verifyCounts() {
	if len(r.log) == 0 || r.log[0].id.Seq != 1 && !r.index.goneBetween(protocol.ID{}, r.log[0].id) {
		return
	}
	put := make(map[string]map[string]bool) // users, by target and emoji
	for i := range r.log {
		e := &r.log[i]
		if e.kind != kindReact {
			continue
		}
		emoji, on, _ := strings.Cut(e.text, " ")
		users := put[e.target+" "+emoji]
		if users == nil {
			users = make(map[string]bool)
			put[e.target+" "+emoji] = users
		}
		if users[e.key.user] = true; on != "on" {
			delete(users, e.key.user)
		}
		if e.count != len(users) {
			r.violate(RuleStands, "%s has the count %d of %s, instead of %d", e.id, e.count, emoji, len(users))
		}
	}
}

func (w *view) verifyPage(p *page, all changes) {
	violate := func(format string, args ...any) {
		w.room.violate(RuleStands, "%s %s %s: "+format, append([]any{w.client, p.what, p.head}, args...)...)
	}
	here := make(map[protocol.ID]bool, len(p.list))
	for i := range p.list {
		s := &p.list[i]
		here[s.id] = true
		switch {
		case i > 0 && s.id.Seq <= p.list[i-1].id.Seq:
			violate("%s comes after %s", s.id, p.list[i-1].id)
		case p.upTo && s.id.Seq > p.head.Seq:
			violate("%s is newer than the list may be", s.id)
		}
		w.verifyStanding(p, s, all[s.id], violate)
	}
	w.verifyWhole(p, here, all, violate)
}

// verifyStanding checks one message: it must include the state up to the page's head,
// and may include newer state.
func (w *view) verifyStanding(p *page, s *shown, c *changed, violate func(string, ...any)) {
	sent := w.room.sent.byKey[s.key]
	if sent == nil || sent.kind != "" {
		violate("%s was not sent by %q as %q", s.id, s.key.user, s.key.key)
		return
	}
	texts, marks := states[string]{{value: sent.text}}, map[string]states[int](nil)
	if c != nil {
		texts = append(texts, c.edits...)
		marks = c.marks
		if slices.ContainsFunc(c.deleted, func(d state[bool]) bool { return d.seq <= p.head.Seq }) {
			violate("%s is listed, although it was deleted", s.id)
		}
	}
	if !slices.Contains(texts.shownBy(p), s.text) {
		violate("%s is listed as %q, which was not its text then", s.id, s.text)
	}
	have := make(map[string]int)
	fields := strings.Fields(s.marks)
	for i := 0; i+1 < len(fields); i += 2 {
		have[fields[i]], _ = strconv.Atoi(fields[i+1])
		if marks[fields[i]] == nil {
			violate("%s is listed with %s, which nobody put", s.id, fields[i])
		}
	}
	for emoji, counts := range marks {
		if !slices.Contains(slices.Concat(counts, states[int]{{}}).shownBy(p), have[emoji]) {
			violate("%s is listed with %d of %s, which was not the count then", s.id, have[emoji], emoji)
		}
	}
}

// verifyWhole checks that no message is missing in a page, except deleted ones and
// those older than the log.
func (w *view) verifyWhole(p *page, here map[protocol.ID]bool, all changes, violate func(string, ...any)) {
	first, last := p.head.Seq+1, int64(0)
	if len(p.list) > 0 {
		first, last = p.list[0].id.Seq, p.list[len(p.list)-1].id.Seq
	}
	if p.newest && !p.cut {
		last = p.head.Seq
	}
	if p.upTo && !p.cut && len(p.list) < protocol.NewestCount || !p.upTo && !p.more {
		first = 0 // there are no older ones
	}
	for id, c := range all {
		if c.message == nil || here[id] || id.Seq <= first || id.Seq > last || id.Seq < w.room.index.oldestMessage {
			continue
		}
		if len(c.deleted.shownBy(p)) == 0 {
			violate("%s is missing", id)
		}
	}
}
