package embed_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/chat/embed/native"
	"example.com/chat/internal/chattest"
	"example.com/chat/internal/redisbroker"
)

// A world is one room of all backends, in which a random source decides what happens. The
// bounds are small, so that all of them are reached.
type world struct {
	*twins
	r *rand.Rand

	channel, room                 string
	log, changes, gone, stand     string
	taken, before, reacts, marked string
	history                       int
	replicas                      bool
	hands                         bool   // somebody changes everything by hand
	top                           int64  // the highest ms of an id so far
	foreign                       bool   // the id with it was just written by hand
	deleting                      bool   // the log was just removed, and its messages are deleted
	wrong                         string // a key that somebody has given another type
	data                          *data
	done                          []string // what happened, for the report of a difference
}

const (
	worldChannel = "live"
	worldMoved   = "moved"
)

func newWorld(w *twins, r *rand.Rand) *world {
	w.do("FLUSHALL")
	o := &world{twins: w, r: r, channel: worldChannel, room: "lobby", log: "log", changes: "changes", gone: "gone", stand: "stand",
		taken: "keys", before: "oldkeys", reacts: "reacts", marked: "marked", data: &data{}}
	o.history, o.replicas, o.hands = 1+r.IntN(8), r.IntN(4) == 0, r.IntN(3) > 0
	bounds := native.Bounds{
		KeysKept: r.IntN(8), KeyAge: oneOf(r, 0, 1, 50, 1000, 600_000), ChangesKept: 1 + r.IntN(8), MaxEdits: 1 + r.IntN(3), MaxKinds: 1 + r.IntN(3),
		MaxReactions: 1 + r.IntN(4), MaxRoomReactions: 1 + r.IntN(8), MaxUsers: 1 + r.IntN(3),
	}
	if r.IntN(20) == 0 { // the streams get long
		o.history, bounds.ChangesKept = 10_000, 2000
	}
	w.bound(bounds)
	return o
}

func (o *world) keys() []string {
	return []string{o.log, o.changes, o.gone, o.stand, o.taken, o.before, o.reacts, o.marked, worldMoved}
}

// oneOf returns one of the values.
func oneOf[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// ids returns the ids of the entries of a stream.
func (o *world) ids(key string) (list []string) {
	entries, _ := o.data.Streams[key].([]any)
	for _, entry := range entries {
		if parts, ok := entry.([]any); ok {
			list = append(list, fmt.Sprint(parts[0]))
		}
	}
	return list
}

// id returns an id, as a rule one that the room knows or knew.
func (o *world) id(keys ...string) string {
	var list []string
	for _, key := range keys {
		list = append(list, o.ids(key)...)
		for _, z := range o.data.Sets[key] {
			list = append(list, fmt.Sprint(z.Member))
		}
	}
	switch n := o.r.IntN(40); {
	case n == 0:
		return oneOf(o.r, "0-0", "0-1", "1-0", "1-1", "5-3", "99999999999999-1")
	case n == 1:
		return oneOf(o.r, "x", "1-", "01-1", "18446744073709551615-1", "1-18446744073709551615", "9007199254740993-1", "1")
	case len(list) == 0:
		return strconv.FormatInt(o.now.UnixMilli(), 10) + "-1"
	}
	// The newer ones, as a rule: many are of messages that can be changed.
	return list[max(o.r.IntN(len(list)), o.r.IntN(len(list)))]
}

// step lets one thing happen, and compares the backends.
func (o *world) step() {
	what := ""
	switch n := o.r.IntN(100); {
	case o.wrong != "" && n < 40:
		o.do("DEL", o.wrong)
		what, o.wrong = "DEL "+o.wrong, ""
	case n < 70:
		what = o.append()
	case n < 88:
		what = o.reading()
	default:
		what = o.byHand()
	}
	o.done = append(o.done, what)
	if o.r.IntN(4) > 0 {
		to := o.now.UnixMilli() + oneOf[int64](o.r, 0, 0, 1, 1, 3, 40, 2000, -1, -500)
		o.now = time.UnixMilli(to)
	}
	from := max(0, len(o.done)-8)
	o.data = o.compare(o.keys(), strings.Join(o.done[from:], "\nand "))
	o.top = max(o.top, o.now.UnixMilli())
	for _, id := range append(o.ids(o.log), o.ids(o.changes)...) {
		ms, _, _ := strings.Cut(id, "-")
		if n, err := strconv.ParseInt(ms, 10, 64); err == nil && n < 1e15 { // the others no script can go past
			o.top = max(o.top, n)
		}
	}
}

// leap sets the clock past all ids, unless the newest one was just written by hand. Redis
// remembers a stream's highest id, also of an entry that was deleted, and miniredis does
// not: after changes by hand, an id that is too low for the one could be fine for the other.
func (o *world) leap() {
	if o.hands && !o.foreign {
		o.now = time.UnixMilli(max(o.now.UnixMilli(), o.top+1))
	}
	o.foreign = false
}

// append appends drafts.
func (o *world) append() string {
	args := []string{o.channel, "PUBLISH", strconv.Itoa(o.history), o.room, oneOf(o.r, "0", "1")}
	if !o.replicas {
		args[4] = "0"
	}
	if o.r.IntN(100) == 0 { // what nodes never send
		args[1+o.r.IntN(2)] = oneOf(o.r, "SPUBLISH", "x", "")
	}
	for range oneOf(o.r, 1, 1, 1, 2, 3, 5) {
		args = append(args, o.draft()...)
	}
	if o.r.IntN(150) == 0 {
		args = args[:len(args)-1]
	}
	o.leap()
	o.deleting = false
	keys := o.keys()
	if o.hands && o.r.IntN(200) == 0 {
		keys[o.r.IntN(8)] = oneOf(o.r, keys[:8]...) // the ninth gets ids of the backend's clock
	}
	reply := o.run("append", keys, args...)
	return fmt.Sprintf("append %q, which replied %q", args, reply)
}

// draft returns the arguments of one draft.
func (o *world) draft() []string {
	user := oneOf(o.r, "u1", "u2", "u3", "u4", "u5")
	key := "k" + strconv.Itoa(o.r.IntN(oneOf(o.r, 4, 30, 1_000_000)))
	tail := oneOf(o.r, `"from":"x"}`, `"text":"hello, world"}`, "\"é\n\x00\xff\"}")
	kind := oneOf(o.r, "", "", "", "edit", "react", "react", "delete", "other")
	if o.deleting && o.r.IntN(2) == 0 {
		kind = "delete"
	}
	if kind == "" {
		return []string{user, key, kind, tail}
	}
	target := o.id(o.log, o.log, o.log, o.changes, o.gone)
	free, what, on := oneOf(o.r, "0", "0", "1"), oneOf(o.r, "new text", "", "a b\nc", "1 2 3"), "0"
	switch kind {
	case "react":
		free, on = "1", oneOf(o.r, "1", "1", "0")
		what = oneOf(o.r, "👍", "❤", "x", "y", "z", "👍")
		if set := o.data.Sets[o.reacts]; len(set) > 0 && o.r.IntN(2) == 0 { // one that is there
			parts := strings.Split(fmt.Sprint(oneOf(o.r, set...).Member), "|")
			for _, id := range o.ids(o.log) {
				if len(parts) == 3 && strings.HasSuffix(id, "-"+parts[0]) {
					target, what = id, parts[1]
					if on == "0" {
						user = parts[2]
					}
				}
			}
		}
		if o.r.IntN(100) == 0 {
			what = oneOf(o.r, "", "a b", "a\nb")
		}
	case "delete":
		what = ""
	}
	if o.r.IntN(200) == 0 {
		user = oneOf(o.r, "", "a,b", "a b", "a\nb")
	}
	return []string{user, key, kind, tail, target, free, what, on}
}

// reading reads the log.
func (o *world) reading() string {
	what := oneOf(o.r, "stand", "stand", "after", "after", "before")
	from := o.id(o.log, o.changes, o.gone)
	if o.r.IntN(4) == 0 && what != "before" || o.r.IntN(200) == 0 {
		from = ""
	}
	n := strconv.Itoa(oneOf(o.r, 1, 1, 2, 3, 5, 10, 1000))
	if o.r.IntN(200) == 0 {
		what = oneOf(o.r, "x", what)
		n = oneOf(o.r, "x", "", n)
	}
	keys := o.keys()[:4]
	if o.r.IntN(300) == 0 {
		keys = keys[:3]
	}
	reply := o.run("read", keys, what, from, n)
	return fmt.Sprintf("read %s %s %s, which replied %q", what, from, n, reply)
}

// byHand does what no node does.
func (o *world) byHand() string {
	words := o.handiwork()
	if len(words) > 0 {
		o.do(words...)
	}
	return fmt.Sprintf("%q by hand", words)
}

// handiwork returns a command of somebody who changes Redis by hand.
func (o *world) handiwork() []any {
	ms := o.now.UnixMilli()
	stream := oneOf(o.r, o.log, o.changes)
	// An id above all others, so that every backend accepts it.
	next := func(seq uint64) string {
		o.foreign, o.top = true, o.top+2+int64(o.r.IntN(2))
		if o.r.IntN(2) == 0 {
			o.now = time.UnixMilli(max(ms, o.top))
		}
		return fmt.Sprintf("%d-%d", o.top, seq)
	}
	what := o.r.IntN(34)
	if harmless := []int{10, 12, 18, 19, 20, 26}; !o.hands {
		what = oneOf(o.r, harmless...)
	}
	switch what {
	case 0, 1, 2:
		return []any{"XADD", stream, next(uint64(oneOf(o.r, 1, 50, 1000))), "by", "hand"}
	case 3:
		id := next(uint64(oneOf(o.r, 60, 2000)))
		return []any{"XADD", stream, id, "id", id, "author", "u1", "key", "k1", "kind", "", "target", "", "json", "{}"}
	case 4:
		return []any{"XADD", stream, next(7), "id", "1-1", "author", "u1", "key", "k1", "kind", "", "target", "", "json", "{}"}
	case 5:
		if o.r.IntN(4) == 0 { // more than a page, of at most twenty
			ms, _, _ := strings.Cut(next(1), "-")
			for i := range oneOf(o.r, 100, 230, 450) {
				o.do("XADD", stream, fmt.Sprintf("%s-%d", ms, 1_000_000+i), "by", "hand")
			}
		}
	case 6, 7:
		return []any{"DEL", oneOf(o.r, o.keys()...)}
	case 8:
		o.deleting = true
		return []any{"DEL", o.log}
	case 9:
		return []any{"DEL", o.changes}
	case 10, 11:
		return []any{"HSET", oneOf(o.r, o.taken, o.before), "u1|k" + strconv.Itoa(o.r.IntN(30)), o.id(o.log, o.changes)}
	case 12:
		return []any{"HSET", o.taken, "since", oneOf(o.r, "0", "1", "9007199254740993",
			fmt.Sprintf("%020d%s%060d", max(0, ms-int64(o.r.IntN(2000))), oneOf(o.r, "+", "-"), 0), fmt.Sprintf("%020d+%s", ms, strings.Repeat(".", 60)))}
	case 13, 14:
		o.wrong = oneOf(o.r, o.keys()...)
		o.do("DEL", o.wrong)
		return []any{oneOf(o.r, "SET", "SADD", "LPUSH"), o.wrong, "x"}
	case 15:
		return []any{"HSET", o.stand, oneOf(o.r, "e", "r") + strconv.Itoa(o.r.IntN(20)), oneOf(o.r, "", "x", "1 2", "1 1 1-1 t", "1 1 x t", "x 1 u1", "👍 0 ")}
	case 16:
		return []any{"HSET", o.stand, "", "x"}
	case 17:
		return []any{"ZADD", oneOf(o.r, o.marked, o.reacts), o.r.IntN(20), oneOf(o.r, "", "1", "2", "3", "x")}
	case 18:
		return []any{"ZADD", o.gone, o.r.IntN(30), fmt.Sprintf("%d-%d", ms, o.r.IntN(30))}
	case 19:
		return []any{"EXPIRE", oneOf(o.r, o.keys()...), 100_000}
	case 20:
		return []any{"FLUSHALL"}
	case 21:
		if o.data.Types[stream] == "" { // Redis remembers the ids that a stream had
			return []any{"XADD", stream, "0-1", "by", "hand"}
		}
	case 22:
		return []any{"ZREMRANGEBYRANK", oneOf(o.r, o.reacts, o.gone, o.marked), 0, o.r.IntN(3)}
	case 23:
		return []any{"RENAME", oneOf(o.r, o.taken, o.gone), oneOf(o.r, o.before, o.reacts, o.marked)}
	case 24:
		if o.r.IntN(4) > 0 {
			return nil
		}
		return []any{"XADD", stream, "9007199254740993-1", "by", "hand"}
	case 25:
		ids := o.ids(stream)
		if len(ids) > 1 {
			return []any{"XDEL", stream, ids[o.r.IntN(len(ids)-1)]} // not the newest: Redis remembers it
		}
	case 26:
		o.history = 1 + o.r.IntN(8)
	}
	return nil
}

// TestNativeScriptsEqualLua compares the native scripts with the Lua ones, on miniredis and
// on a real Redis: each reply, all that is published, and after each step all data.
func TestNativeScriptsEqualLua(t *testing.T) {
	w := newTwins(t, true, worldChannel)
	seed := chattest.SeedOrNew()
	r := rand.New(rand.NewPCG(seed, 0))
	const worldLength, usual = 60, 5 * time.Second
	count := chattest.Count(0, 20_000)
	began := time.Now()
	n := 0
	var o *world
	for more := true; more; n++ {
		if n%worldLength == 0 {
			o = newWorld(w, r)
		}
		o.step()
		if more = n+1 < count; count == 0 {
			more = time.Since(began) < usual
		}
	}
	t.Logf("%d steps, %d of %d calls native, in %s", n, w.native, w.calls, time.Since(began).Round(time.Millisecond))
	if w.native*10 < w.calls*7 {
		t.Errorf("of %d calls only %d were native", w.calls, w.native)
	}
}

// bytesSource is a random source that repeats the fuzzer's bytes, and then counts.
type bytesSource struct {
	bytes []byte
	n     uint64
}

func (s *bytesSource) Uint64() uint64 {
	s.n++
	if len(s.bytes) == 0 {
		return s.n * 0x9e3779b97f4a7c15
	}
	var b [8]byte
	n := copy(b[:], s.bytes[:min(4, len(s.bytes))])
	s.bytes = s.bytes[n:]
	// The upper bits decide about small numbers.
	return binary.BigEndian.Uint64(append(b[:n:n], make([]byte, 8-n)...))
}

// FuzzNativeScripts compares the native scripts with the Lua ones on miniredis, where the
// fuzzer decides what happens.
func FuzzNativeScripts(f *testing.F) {
	for seed := range 8 {
		b := make([]byte, 400)
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	w := newTwins(f, false, worldChannel)
	f.Fuzz(func(t *testing.T, said []byte) {
		w.t = t
		source := &bytesSource{bytes: said}
		o := newWorld(w, rand.New(source))
		for range 40 {
			o.step()
			if len(source.bytes) == 0 {
				break
			}
		}
	})
}

// TestNativeScriptsAreOfTheseLuaScripts fails when a script has changed: then its function in
// embed/native must be reviewed and changed, and its SHA-1 there.
func TestNativeScriptsAreOfTheseLuaScripts(t *testing.T) {
	w := newTwins(t, false)
	interpreted := []string{"here", "lease", "list", "names", "rooms"}
	if first, _, _ := strings.Cut(redisbroker.Scripts()["append"], "\n"); first != boundsLine(native.Usual) {
		t.Errorf("append.lua begins with %q, and the bounds in embed/native are %q", first, boundsLine(native.Usual))
	}
	for name := range redisbroker.Scripts() {
		sha := w.list[0].shas[name]
		if want := !slices.Contains(interpreted, name); w.embedded.Knows(sha) != want {
			t.Errorf("%s.lua has the SHA-1 %s: known to embed/native: %v, want %v. Review its function, then set the SHA-1 there", name, sha, !want, want)
		}
	}
}
