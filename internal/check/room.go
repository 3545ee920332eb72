package check

import (
	"maps"
	"slices"

	"example.com/chat/internal/protocol"
)

// room is all that the history contains about one room.
type room struct {
	v     *verifier
	name  string
	log   []entry // the final log
	wiped []int64
	sent  submissions
	views map[string]*view
	// first is when an entry was first known.
	first map[protocol.ID]int64
	index *index // made by verify
}

func newRoom(v *verifier, name string) *room {
	r := &room{v: v, name: name, views: make(map[string]*view), first: make(map[protocol.ID]int64)}
	r.sent = newSubmissions(r)
	return r
}

// The kinds of entries that change messages.
const (
	kindEdit   = "edit"
	kindDelete = "delete"
	kindReact  = "react"
)

func (r *room) violate(rule Rule, format string, args ...any) {
	r.v.violate(rule, r.name, format, args...)
}

// wipes returns how often the log may have lost entries.
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

// known records that an entry was known at a time.
func (r *room) known(id protocol.ID, at int64) {
	if old, ok := r.first[id]; !ok || at < old {
		r.first[id] = at
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

func (r *room) verify() {
	r.index = newIndex(r)
	r.sent.countUnknown()
	r.verifyLog()
	r.sent.verifyAcknowledged()
	r.sent.verifyOrder()
	r.sent.verifyTime()
	for _, name := range r.clients() {
		r.views[name].verify()
	}
	verifyAgreement(r)
	verifyShown(r)
}

// clients returns the names of those who received something of the room, sorted.
func (r *room) clients() []string { return slices.Sorted(maps.Keys(r.views)) }

// verifyLog checks the log itself.
func (r *room) verifyLog() {
	keys := make(map[userKey]protocol.ID, len(r.log))
	for i := range r.log {
		e := &r.log[i]
		if e.bad {
			r.violate(RuleLog, "an entry without a valid id")
			continue
		}
		if old, ok := keys[e.key]; ok {
			r.violate(RuleTwice, "the log holds %q of %s as %s and as %s", e.key.key, e.key.user, old, e.id)
		}
		keys[e.key] = e.id
		r.sent.verifyEntry(e, "the log")
		if i == 0 {
			continue
		}
		before := &r.log[i-1]
		switch {
		case e.id.Seq <= before.id.Seq || e.id.MS < before.id.MS:
			r.violate(RuleLog, "%s follows %s in the log", e.id, before.id)
		case !r.index.leftBetween(before.id, e.id):
			r.violate(RuleLog, "the log has a gap between %s and %s", before.id, e.id)
		}
	}
}
