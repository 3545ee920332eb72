package native

import "github.com/alicebob/miniredis/v2"

// readSHA is that of room.lua and read.lua.
const readSHA = "43982d4cc442b5d13fe83ef98fb4978b5ece5765"

// reading is one execution of read.lua, which explains the keys and arguments.
type reading struct {
	*call
	log, changes stream
	changed      bool     // there are changes of this log
	skipped      []string // the ids of what is not ours
	inexact      bool     // an entry was found whose seq is not exact in Lua
}

// readLog is read.lua.
func readLog(c *call) bool {
	if len(c.keys) != 4 || !distinct(c.keys) || len(c.args) != 3 {
		return false
	}
	for i, kind := range [...]string{typeStream, typeStream, typeZSet, typeHash} {
		if !c.is(c.keys[i], kind) {
			return false
		}
	}
	n, ok := small(c.args[2])
	if !ok {
		return false
	}
	var from id
	if c.args[1] != "" {
		if from, ok = exactID(c.args[1]); !ok {
			return false
		}
	}
	r := reading{call: c, log: c.stream(c.keys[0]), changes: c.stream(c.keys[1])}
	message, change, ok := c.heads(r.log, r.changes)
	if !ok {
		return false
	}
	r.changed = change.id != ""
	switch {
	case c.args[0] == "stand":
		r.stand(from, n, message, change)
	case c.args[0] == "after":
		r.after(from, n)
	case c.args[0] == "before" && c.args[1] != "":
		r.before(from, n)
	default:
		return false
	}
	return !r.inexact
}

// found is an entry of ours.
type found struct {
	seq   int64
	entry *miniredis.StreamEntry
}

// walk reads up to want entries of ours from a stream, upwards or downwards from an
// index. It returns them and whether that is all there is (read.lua, walk).
func (r *reading) walk(s stream, up bool, from, want int) (list []found, whole bool) {
	const pages, maxSkipped = 20, 100
	step := -1
	if up {
		step = 1
	}
	last := -1 // the entry with which the page before ended
	for range pages {
		n, k := 0, from
		for ; n <= want && k >= 0 && k < len(s); k += step {
			n++
			e := &s[k]
			switch {
			case k == last:
			case !ours(e):
				if len(r.skipped) < maxSkipped {
					r.skipped = append(r.skipped, e.ID)
				}
			case len(list) == want:
				return list, false
			default:
				i, ok := exactID(e.ID)
				r.inexact = r.inexact || !ok
				list = append(list, found{int64(i.seq), e})
			}
		}
		if n <= want {
			return list, true
		}
		last = k - step
		from = last
	}
	return list, false
}

// both reads up to want entries of both streams, merged, in the order of the walk.
func (r *reading) both(up bool, from func(stream) int, want int) (list []found, whole bool) {
	a, wholeA := r.walk(r.log, up, from(r.log), want)
	b, wholeB := []found(nil), true
	if r.changed {
		b, wholeB = r.walk(r.changes, up, from(r.changes), want)
	}
	for len(list) < want {
		switch {
		case len(a) == 0 && !wholeA, len(b) == 0 && !wholeB, len(a) == 0 && len(b) == 0:
			return list, wholeA && wholeB && len(a) == 0 && len(b) == 0
		case len(b) == 0, len(a) > 0 && (a[0].seq < b[0].seq) == up:
			list, a = append(list, a[0]), a[1:]
		default:
			list, b = append(list, b[0]), b[1:]
		}
	}
	return list, wholeA && wholeB && len(a) == 0 && len(b) == 0
}

// begin begins the reply of a read with n values after its first three.
func (r *reading) begin(n int, first func(), more bool) {
	const fixed = 3
	r.array(fixed + n)
	first()
	r.flag(more)
	r.array(len(r.skipped))
	for _, one := range r.skipped {
		r.bulk(one)
	}
}

// width is how many values an entry has in a reply.
const width = 6

// values replies with the values of an entry's fields.
func (r *reading) values(e *miniredis.StreamEntry) {
	for i := range width {
		r.bulk(e.Values[2*i+1])
	}
}

// stand replies with the newest messages before an id, or of all, as they stand.
func (r *reading) stand(from id, n int, message, change head) {
	start := len(r.log) - 1
	if r.args[1] != "" {
		start = r.log.at(from) - 1
	}
	list, whole := r.walk(r.log, false, start, n)
	top := message.entry
	if r.changed && message.at.seq < change.at.seq {
		top = change.entry
	}
	const kept = 2
	r.begin((width+kept)*len(list), func() {
		if top == nil {
			r.array(0)
			return
		}
		r.array(width)
		r.values(top)
	}, !whole)
	for _, e := range list {
		r.values(e.entry)
		edits, reactions := "", ""
		if r.changed {
			of := text(float64(e.seq))
			edits, reactions = r.field(r.keys[3], "e"+of), r.field(r.keys[3], "r"+of)
		}
		r.bulk(edits)
		r.bulk(reactions)
	}
}

// after replies with the entries of any kind after an id, or from the beginning.
func (r *reading) after(from id, n int) {
	list, whole := r.both(true, func(s stream) int { return s.at(from) }, n+1)
	if cursor := r.args[1]; cursor != "" {
		if len(list) > 0 && list[0].entry.ID == cursor {
			list = list[1:]
		} else if _, deleted := r.score(r.keys[2], cursor); len(list) == 0 || !deleted {
			r.begin(0, func() { r.number(0) }, false)
			return
		}
	}
	more := !whole
	if len(list) > n {
		list, more = list[:n], true
	}
	low, missing := int64(from.seq), int64(0)
	for _, e := range list {
		missing += e.seq - low - 1
		low = e.seq
	}
	if missing > 0 && r.count(r.keys[2], int64(from.seq), low) < missing {
		r.begin(0, func() { r.number(0) }, false)
		return
	}
	r.begin(width*len(list), func() { r.number(1) }, more)
	for _, e := range list {
		r.values(e.entry)
	}
}

// before replies with the entries of any kind just before an id.
func (r *reading) before(from id, n int) {
	list, whole := r.both(false, func(s stream) int { return s.at(from) - 1 }, n)
	fits, high := len(list), int64(from.seq)
	for k, e := range list {
		if high > e.seq+1 && r.count(r.keys[2], e.seq, high) < high-e.seq-1 {
			fits = k
			break
		}
		high = e.seq
	}
	r.begin(width*fits, func() { r.bulk("") }, fits == len(list) && !whole)
	for k := fits - 1; k >= 0; k-- {
		r.values(list[k].entry)
	}
}
