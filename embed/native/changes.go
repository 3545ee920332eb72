package native

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/alicebob/miniredis/v2"
)

// What append.lua does for edits, deletions and reactions.

// reaction is an emoji of a message, with the number of its users and some of their ids.
type reaction struct {
	emoji string
	count int
	users string // with commas between
}

// parseEdits decodes the edits of a message, "MS COUNT ID,ID,… TEXT", as the script does;
// ok is false where it can't.
func parseEdits(state string) (count int, ids string, ok bool) {
	parts := strings.SplitN(state, " ", 4)
	if len(parts) != 4 {
		return 0, "", false
	}
	n, err := strconv.ParseUint(parts[1], 10, 31)
	return int(n), parts[2], err == nil && number(parts[0]) && !strings.ContainsAny(parts[2], spaces)
}

// number reports whether s consists of digits.
func number(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// parseReactions decodes what is kept of the reactions of a message, a line
// "EMOJI COUNT ID,ID,…" for each emoji.
func parseReactions(kept string) (list []reaction, ok bool) {
	if kept == "" {
		return nil, true
	}
	for line := range strings.SplitSeq(kept, "\n") {
		parts := strings.SplitN(line, " ", 3)
		if len(parts) != 3 || parts[0] == "" || strings.ContainsAny(parts[0], spaces) {
			return nil, false
		}
		count, ok := small(parts[1])
		if !ok {
			return nil, false
		}
		list = append(list, reaction{parts[0], count, parts[2]})
	}
	return list, true
}

// edits returns the edits of a message: how many, and the ids of their entries. ok is
// false where the script would fail.
func (a *appending) edits(of string) (count int, ids string, ok bool) {
	state := a.fields(a.stand, "e"+of)[0]
	if state == nil {
		return 0, "", true
	}
	return parseEdits(*state)
}

// judge returns the outcome of a change.
func (a *appending) judge(d *draft) (outcome int) {
	target := a.stream(a.log).find(d.target, d.at)
	if target == nil || !ours(target) {
		return noTarget
	}
	if !d.free && target.Values[fieldAuthor] != d.author {
		return notAuthor
	}
	switch d.kind {
	case "edit":
		if d.edits, d.editIDs, _ = a.edits(d.of); d.edits >= a.bounds.MaxEdits { // parses has checked it
			return tooManyEdits
		}
	case "react":
		d.reactions, _ = parseReactions(a.field(a.stand, "r"+d.of)) // parses has checked it
		total, before := 0, len(d.reactions)
		for _, r := range d.reactions {
			total += r.count
		}
		a.react(d)
		switch {
		case !d.changes || !d.on:
		case before < len(d.reactions) && before >= a.bounds.MaxKinds:
			return tooManyKinds
		case total >= a.bounds.MaxReactions || a.card(a.reacts) >= a.bounds.MaxRoomReactions:
			return tooManyReactions
		}
	}
	return accepted
}

// reactsMember is the member of reacts for a draft's reaction.
func (d *draft) reactsMember() string { return d.of + "|" + d.what + "|" + d.author }

// react adds or removes a reaction in the list of its message.
func (a *appending) react(d *draft) {
	at := slices.IndexFunc(d.reactions, func(r reaction) bool { return r.emoji == d.what })
	if _, had := a.score(a.reacts, d.reactsMember()); had == d.on {
		if at >= 0 {
			d.count = d.reactions[at].count
		}
		return
	}
	d.changes = true
	if at < 0 {
		at = len(d.reactions)
		d.reactions = append(d.reactions, reaction{emoji: d.what})
	}
	r := &d.reactions[at]
	var users []string
	for user := range strings.SplitSeq(r.users, ",") {
		if user != "" && user != d.author {
			users = append(users, user)
		}
	}
	if d.on && len(users) < a.bounds.MaxUsers {
		users = append(users, d.author)
	}
	if d.on {
		r.count++
	} else {
		r.count--
	}
	r.users = strings.Join(users, ",")
	d.count = r.count
	if r.count <= 0 {
		d.reactions = slices.Delete(d.reactions, at, at+1)
	}
}

// apply carries out a change.
func (a *appending) apply(d *draft, id string) {
	switch {
	case d.kind == "delete":
		a.do("XDEL", a.log, d.target)
		a.add(a.gone, float64(d.at.seq), d.target)
		_, _ = a.forget(d.of, true) // parses has checked it
		return
	case d.kind == "edit":
		ids := id
		if d.editIDs != "" {
			ids = d.editIDs + "," + id
		}
		a.db.HSet(a.stand, "e"+d.of, a.stamp+" "+strconv.Itoa(d.edits+1)+" "+ids+" "+d.what)
	case d.kind == "react" && d.changes:
		if d.on {
			a.add(a.reacts, float64(d.at.seq), d.reactsMember())
		} else {
			a.remove(a.reacts, d.reactsMember())
		}
		lines := make([]string, len(d.reactions))
		for i, r := range d.reactions {
			lines[i] = r.emoji + " " + strconv.Itoa(r.count) + " " + r.users
		}
		if len(lines) > 0 {
			a.db.HSet(a.stand, "r"+d.of, strings.Join(lines, "\n"))
		} else {
			a.do("HDEL", a.stand, "r"+d.of)
		}
	default:
		return
	}
	a.add(a.marked, float64(d.at.seq), d.of)
}

// forget removes the entries of a message's edits from the changes, and its state. With
// remember, their ids remain valid as cursors. It returns about how many things it removed;
// ok is false where the script fails, at what was written by hand.
func (a *appending) forget(of string, remember bool) (work int, ok bool) {
	const fixed = 10
	edits, ids, ok := a.edits(of)
	if !ok || edits > 0 && !a.removeEdits(ids, remember) {
		return 0, false
	}
	a.do("HDEL", a.stand, "e"+of, "r"+of)
	seq, err := strconv.ParseFloat(cmp.Or(of, "0"), 64) // Redis reads "" as 0
	if err != nil {
		return 0, false
	}
	set, _ := a.db.SortedSet(a.reacts)
	var members []string
	for member, score := range set {
		if score == seq {
			members = append(members, member)
		}
	}
	for _, member := range members {
		a.remove(a.reacts, member)
	}
	a.remove(a.marked, of)
	return edits + len(members) + fixed, true
}

// removeEdits removes entries from the changes, unless they are beyond their bound.
func (a *appending) removeEdits(ids string, remember bool) (ok bool) {
	if !a.leastIsKnown {
		a.least, a.leastIsKnown = math.MaxUint64, true
		if changes := a.stream(a.changes); len(changes) > 0 {
			first, _ := parseID(changes[0].ID) // miniredis has checked it
			a.least = first.seq
		}
	}
	last, ok := exactID(ids[strings.LastIndexByte(ids, ',')+1:])
	if !ok || last.seq < a.least {
		return ok
	}
	for one := range strings.SplitSeq(ids, ",") {
		at, ok := exactID(one)
		if one == "" {
			continue
		}
		if !ok {
			return false
		}
		if at.seq < a.least || a.stream(a.changes).find(one, at) == nil {
			continue
		}
		a.do("XDEL", a.changes, one)
		if remember {
			a.add(a.gone, float64(at.seq), one)
		}
	}
	return true
}

// prune forgets the state of messages that have left the log by its bound, a bounded part
// in each call: those before the oldest entry that chat wrote. It ends at what was written
// by hand, as the script does.
func (a *appending) prune() {
	const most, atOnce = 200, 2000
	// The script reads one entry, and then pages of 200 that begin with the last one.
	const looks = 1 + 20*199
	log := a.stream(a.log)
	first := slices.IndexFunc(log[:min(len(log), looks)], func(e miniredis.StreamEntry) bool { return ours(&e) })
	if first < 0 {
		return
	}
	oldest, _ := parseID(log[first].ID) // miniredis has checked it
	work := 0
	for _, of := range a.lowest(a.marked, most, float64(oldest.seq)) {
		n, ok := a.forget(of, false)
		if work += n; !ok || work > atOnce {
			return
		}
	}
}
