package native

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// appendSHA is that of room.lua and append.lua, with the bounds before them.
const appendSHA = "731bb193a6951596bbd959a7c11babf1f16f0f36"

// appending is one execution of append.lua, which explains the keys and arguments.
type appending struct {
	*call
	log, changes, gone, stand, taken, before, reacts, marked string

	channel, room string
	history       int // messages kept
	waits         bool
	drafts        []draft

	known        []*string // of the drafts' members
	since        uint64    // 0 if the hash has none
	older        bool      // there may be keys before these
	stamp        string    // the ms of the new entries
	ms, seq      uint64
	follows      string            // the id that the new entries follow
	seen         map[string]string // the ids of the new entries by their members
	entered      []string          // what is added to the accepted keys
	least        uint64            // the seq of the oldest change, as the script knows it
	leastIsKnown bool

	headers, bodies []byte // what is published
}

// draft is an entry to append.
type draft struct {
	author, key, kind, tail string
	member                  string
	was                     string // the id under which the key was accepted before, "" if it was not
	wasAt                   id     // the same as numbers

	target    string
	at        id     // the same as numbers
	of        string // its seq
	free, on  bool
	what      string
	edits     int    // of the target, before this one
	editIDs   string // the same
	reactions []reaction
	changes   bool // it adds a reaction that is not there, or removes one that is
	count     int  // users who have the emoji then
}

// The outcomes of a draft.
const (
	accepted = iota
	repeated
	noTarget
	notAuthor
	tooManyEdits
	tooManyKinds
	tooManyReactions
	repeatedGone
)

// appendDrafts is append.lua.
func appendDrafts(c *call) bool {
	a, ok := newAppending(c)
	if !ok {
		return false
	}
	message, change, ok := c.heads(c.stream(a.log), c.stream(a.changes))
	if !ok {
		return false
	}
	top := message
	if change.at.seq > message.at.seq {
		top = change
	}
	a.follows, a.seq = top.id, top.at.seq
	a.ms = max(top.at.ms, c.now, message.top.ms, change.top.ms)
	if a.ms == message.top.ms && a.seq+1 <= message.top.seq || a.ms == change.top.ms && a.seq+1 <= change.top.seq {
		a.ms++ // an entry written by hand has a higher seq in this very ms
	}
	a.stamp = strconv.FormatUint(a.ms, 10)
	if !a.lookUp() || !a.parses() {
		return false
	}
	a.prepare()
	messages, changed := a.take()
	switch {
	case a.bodies != nil:
		a.enter()
		a.tidy(messages, changed, change.id != "")
		a.try("XADD", c.keys[8], "MAXLEN", "~", "256", "*", "room", a.room)
		line := lineField([]byte{'e'}, a.follows)
		line = lineField(line, string(a.headers))
		_ = c.redis.Publish(a.channel, string(append(line, a.bodies...)))
	case a.waits:
		a.rewrite()
	}
	return true
}

// newAppending checks the keys and arguments, and decodes the drafts.
func newAppending(c *call) (*appending, bool) {
	const keys, fixed = 9, 5
	if len(c.keys) != keys || !distinct(c.keys) || len(c.args) < fixed || c.args[1] != "PUBLISH" {
		return nil, false
	}
	for i, kind := range [...]string{typeStream, typeStream, typeZSet, typeHash, typeHash, typeHash, typeZSet, typeZSet} {
		if !c.is(c.keys[i], kind) {
			return nil, false
		}
	}
	history, ok := small(c.args[2])
	k := c.keys
	a := &appending{
		call: c, log: k[0], changes: k[1], gone: k[2], stand: k[3], taken: k[4], before: k[5], reacts: k[6], marked: k[7],
		channel: c.args[0], history: history, room: c.args[3], waits: c.args[4] == "1",
	}
	return a, ok && a.decode(c.args[fixed:])
}

// decode decodes the drafts.
func (a *appending) decode(args []string) bool {
	const plain, change = 4, 8
	a.drafts = make([]draft, 0, len(args)/plain)
	for len(args) > 0 {
		if len(args) < plain {
			return false
		}
		d := draft{author: args[0], key: args[1], kind: args[2], tail: args[3]}
		d.member = d.author + "|" + d.key
		if d.kind == "" {
			args = args[plain:]
		} else {
			if len(args) < change {
				return false
			}
			d.target, d.free, d.what, d.on = args[4], args[5] == "1", args[6], args[7] == "1"
			args = args[change:]
			var ok bool
			if d.at, ok = exactID(d.target); !ok {
				return false
			}
			d.of = strconv.FormatUint(d.at.seq, 10)
			if d.kind == "react" && (d.what == "" || strings.ContainsAny(d.what, spaces) || strings.ContainsAny(d.author, spaces+",")) {
				return false // the lists of reactions would read otherwise than they were written
			}
		}
		a.drafts = append(a.drafts, d)
	}
	return true
}

// spaces are what Lua's pattern %s matches.
const spaces = " \t\n\v\f\r"

// The field since has the digits of a time, a sign, and dots up to its width.
const (
	sinceDigits = 20
	sinceWidth  = sinceDigits + 1 + 60
)

// lookUp looks the drafts' keys up among those that were accepted before. It returns false
// for values that the script did not write.
func (a *appending) lookUp() bool {
	const own = 1
	fields := make([]string, own, own+len(a.drafts))
	fields[0] = "since"
	for i := range a.drafts {
		fields = append(fields, a.drafts[i].member)
	}
	a.known = a.fields(a.taken, fields...)
	if since := a.known[0]; since != nil {
		text := strings.TrimLeft(*since, "0")
		var ok bool
		if len(*since) != sinceWidth || len(*since)-len(text) >= sinceDigits {
			return false
		}
		text = text[:sinceDigits-(len(*since)-len(text))]
		if a.since, ok = digits(text); !ok || a.since >= exact || a.since == 0 {
			return false
		}
		a.older = (*since)[sinceDigits] == '+'
	}
	var earlier []*string
	if a.older {
		earlier = a.fields(a.before, fields...)
	}
	for i := range a.drafts {
		d, was := &a.drafts[i], a.known[own+i]
		if was == nil && earlier != nil {
			was = earlier[own+i]
		}
		if was != nil {
			var ok bool
			d.was = *was
			if d.wasAt, ok = exactID(d.was); !ok {
				return false
			}
		}
	}
	a.known = a.known[own:]
	return true
}

// parses reports whether the state of the targets is as the script writes it.
func (a *appending) parses() bool {
	for i := range a.drafts {
		d := &a.drafts[i]
		if d.kind == "" || d.was != "" {
			continue
		}
		state := a.fields(a.stand, "e"+d.of, "r"+d.of)
		if edits := state[0]; edits != nil {
			count, ids, ok := parseEdits(*edits)
			if !ok {
				return false
			}
			for one := range strings.SplitSeq(ids, ",") {
				if _, ok := exactID(one); !ok && count > 0 {
					return false
				}
			}
		}
		if state[1] != nil {
			if _, ok := parseReactions(*state[1]); !ok {
				return false
			}
		}
	}
	return true
}

// prepare does what the script does before the first entry.
func (a *appending) prepare() {
	changing, growing := false, false
	for i := range a.drafts {
		if d := &a.drafts[i]; d.was == "" {
			changing = changing || d.kind != ""
			growing = growing || d.kind != "delete"
		}
	}
	fresh := a.follows == ""
	// The script tries whether it may change the keys. That changes only what somebody
	// wrote by hand.
	if growing && (fresh || changing) {
		if _, had := a.score(a.reacts, ""); had {
			a.add(a.reacts, 0, "")
		}
	}
	if growing && fresh {
		for _, key := range [...]string{a.changes, a.gone, a.stand, a.reacts, a.marked} {
			a.delete(key)
		}
	}
	if changing {
		a.do("XDEL", a.log, "0-1")
		a.do("XDEL", a.changes, "0-1")
		a.do("HDEL", a.stand, "")
		a.remove(a.reacts, "")
		a.remove(a.marked, "")
	}
}

// take judges each draft, writes those that are accepted, and replies. It reports whether
// messages and changes are among them.
func (a *appending) take() (messages, changed bool) {
	const width = 3
	a.array(width * len(a.drafts))
	for i := range a.drafts {
		d := &a.drafts[i]
		id, outcome := "", accepted
		if first, ok := a.seen[d.member]; ok {
			id, outcome = first, repeated
		} else if d.was != "" {
			id, outcome = d.was, repeatedGone
			if a.holds(d) {
				outcome = repeated
			}
		} else if d.kind != "" {
			outcome = a.judge(d)
		}
		if outcome == accepted {
			id = a.write(d)
			if d.kind == "" {
				messages = true
			} else {
				changed = true
				a.apply(d, id)
			}
		}
		a.bulk(d.member)
		a.bulk(id)
		a.number(outcome)
	}
	return messages, changed
}

// write appends the entry of a draft to its stream, and returns its id.
func (a *appending) write(d *draft) string {
	a.seq++
	id := a.stamp + "-" + strconv.FormatUint(a.seq, 10)
	b := make([]byte, 0, len(`{"id":"","room":"","time":,"count":,`)+len(id)+len(a.room)+len(a.stamp)+20+len(d.tail))
	b = append(b, `{"id":"`...)
	b = append(b, id...)
	b = append(b, `","room":"`...)
	b = append(b, a.room...)
	b = append(b, `","time":`...)
	b = append(b, a.stamp...)
	b = append(b, ',')
	if d.kind == "react" {
		b = append(b, `"count":`...)
		b = strconv.AppendInt(b, int64(d.count), 10)
		b = append(b, ',')
	}
	json := string(append(b, d.tail...))
	stream, most := a.log, a.args[2]
	if d.kind != "" {
		stream, most = a.changes, strconv.Itoa(a.bounds.ChangesKept)
	}
	a.do("XADD", stream, "MAXLEN", most, id, "id", id, "author", d.author, "key", d.key, "kind", d.kind, "target", d.target, "json", json)
	if len(a.drafts) > 1 {
		if a.seen == nil {
			a.seen = make(map[string]string, len(a.drafts))
		}
		a.seen[d.member] = id
	}
	a.entered = append(a.entered, d.member, id)
	for _, field := range [...]string{id, d.author, d.key, d.kind, d.target} {
		a.headers = lineField(a.headers, field)
	}
	a.bodies = lineField(a.bodies, json)
	return id
}

// holds reports whether a stream holds the entry that a draft became before.
func (a *appending) holds(d *draft) bool {
	for _, key := range [...]string{a.log, a.changes} {
		e := a.stream(key).find(d.was, d.wasAt)
		if e != nil && ours(e) && e.Values[fieldAuthor] == d.author && e.Values[fieldKey] == d.key {
			return true
		}
	}
	return false
}

// enter adds the keys of the new entries to the accepted ones.
func (a *appending) enter() {
	if a.since > 0 && a.now >= a.since && a.now-a.since >= uint64(a.bounds.KeyAge) && a.size(a.taken) > a.bounds.KeysKept {
		a.delete(a.before)
		a.do("RENAME", a.taken, a.before)
		a.since, a.older = 0, true
	}
	if a.since == 0 || a.since > a.now {
		sign := "-"
		if a.older {
			sign = "+"
		}
		a.entered = append(a.entered, "since", fmt.Sprintf("%0*d%s%s", sinceDigits, a.now, sign, strings.Repeat(".", sinceWidth-sinceDigits-1)))
	}
	a.db.HSet(a.taken, a.entered...)
}

// tidy removes what is beyond the bounds.
func (a *appending) tidy(messages, changed, hasChanges bool) {
	if changed {
		extra := a.card(a.gone) - a.history - a.bounds.ChangesKept
		for _, member := range a.lowest(a.gone, max(extra, 0), math.Inf(1)) {
			a.remove(a.gone, member)
		}
	}
	if messages && (changed || hasChanges) && a.card(a.marked) > 0 && len(a.stream(a.log)) >= a.history {
		a.prune()
	}
}

// rewrite writes one key that was accepted before again, for WAIT.
func (a *appending) rewrite() {
	for i := range a.drafts {
		d := &a.drafts[i]
		if d.was == "" {
			continue
		}
		key := a.before
		if a.known[i] != nil {
			key = a.taken
		}
		a.do("HDEL", key, d.member)
		a.db.HSet(key, d.member, d.was)
		return
	}
}
