package embed_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"example.com/chat/embed"
	"example.com/chat/embed/native"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/redisbroker"
)

// A backend carries out the scripts in one of three ways: natively on the embedded broker,
// by the interpreter of a Redis, or by that of miniredis.
type backend struct {
	name  string
	rdb   *redis.Client
	heard *redis.PubSub
	// clock is true if the clock is an argument of the scripts: no other way lets all of
	// them see the same time.
	clock bool
	shas  map[string]string
}

// twins are backends that get the same calls.
type twins struct {
	t        testing.TB
	ctx      context.Context
	now      time.Time
	embedded *embed.Broker
	list     []*backend
	channels []string
	native   int // calls that package native carried out
	calls    int // of those, and of those that were interpreted
}

// clocked is a script whose clock is its last argument, in ms.
func clocked(source string) string {
	const now = "{ string.format('%.0f', math.floor(clock / 1000)), string.format('%.0f', clock % 1000 * 1000) }"
	return "local clock = tonumber(table.remove(ARGV)); " + strings.NewReplacer("redis.call('TIME')", now, "call('TIME')", now).Replace(source)
}

// newTwins starts the backends: without real there is no Redis among them.
func newTwins(t testing.TB, real bool, channels ...string) *twins {
	w := &twins{t: t, ctx: context.Background(), now: time.UnixMilli(1_700_000_000_000), channels: channels}
	b, err := embed.StartBroker(embed.BrokerConfig{}.WithClock(func() time.Time { return w.now }).WithTrace(w.trace))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	opts, err := redis.ParseURL(b.URL())
	if err != nil {
		t.Fatal(err)
	}
	w.embedded = b
	w.add("native", opts, false)
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	w.add("Lua on miniredis", &redis.Options{Addr: m.Addr()}, true)
	if real {
		w.add("Lua on Redis", &redis.Options{Addr: redistest.Start(t).Addr}, true)
	}
	return w
}

// trace counts how the embedded broker carries out scripts. It is called before the reply.
func (w *twins) trace(native bool) {
	w.calls++
	if native {
		w.native++
	}
}

func (w *twins) add(name string, opts *redis.Options, clock bool) {
	w.t.Helper()
	opts.MaxRetries, opts.Protocol, opts.DisableIdentity, opts.PoolSize = -1, 2, true, 1
	b := &backend{name: name, rdb: redis.NewClient(opts), clock: clock, shas: make(map[string]string)}
	w.t.Cleanup(func() { _ = b.rdb.Close() })
	w.list = append(w.list, b)
	for script, source := range redisbroker.Scripts() {
		w.load(b, script, source)
	}
	b.heard = b.rdb.Subscribe(w.ctx, w.channels...)
	w.t.Cleanup(func() { _ = b.heard.Close() })
	for range w.channels {
		if _, err := b.heard.Receive(w.ctx); err != nil {
			w.t.Fatal(err)
		}
	}
}

// load makes a backend know a script.
func (w *twins) load(b *backend, script, source string) {
	w.t.Helper()
	if b.clock {
		source = clocked(source)
	}
	sha, err := b.rdb.ScriptLoad(w.ctx, source).Result()
	if err != nil {
		w.t.Fatalf("%s: %s: %v", b.name, script, err)
	}
	b.shas[script] = sha
}

// bound gives append.lua other bounds.
func (w *twins) bound(bounds native.Bounds) {
	w.t.Helper()
	_, source, _ := strings.Cut(redisbroker.Scripts()["append"], "\n")
	for _, b := range w.list {
		w.load(b, "append", boundsLine(bounds)+"\n"+source)
	}
	w.embedded.Alias(w.list[0].shas["append"], bounds)
}

// boundsLine is the first line of append.lua.
func boundsLine(b native.Bounds) string {
	return fmt.Sprintf("local KEYS_KEPT, KEY_AGE, CHANGES_KEPT, MAX_EDITS, MAX_KINDS, MAX_REACTIONS, MAX_ROOM_REACTIONS, MAX_USERS = %d, %d, %d, %d, %d, %d, %d, %d",
		b.KeysKept, b.KeyAge, b.ChangesKept, b.MaxEdits, b.MaxKinds, b.MaxReactions, b.MaxRoomReactions, b.MaxUsers)
}

// run calls a script on all backends, and compares the replies and what is published.
func (w *twins) run(script string, keys []string, args ...string) any {
	w.t.Helper()
	w.embedded.SetTime(w.now)
	var first any
	var published []string
	for i, b := range w.list {
		words := []any{"EVALSHA", b.shas[script], len(keys)}
		for _, word := range slices.Concat(keys, args) {
			words = append(words, word)
		}
		if b.clock {
			words = append(words, w.now.UnixMilli())
		}
		reply, err := b.rdb.Do(w.ctx, words...).Result()
		var refusal redis.Error
		switch {
		case errors.Is(err, redis.Nil):
		case errors.As(err, &refusal):
			reply = "error" // the texts differ
		case err != nil:
			w.t.Fatalf("%s: %v", b.name, err)
		}
		lines := w.lines(b)
		if i == 0 {
			first, published = reply, lines
			continue
		}
		if !reflect.DeepEqual(reply, first) {
			w.t.Fatalf("%s %q %q at %d:\n%s replies %q,\n%s %q (%v)", script, keys, args, w.now.UnixMilli(), w.list[0].name, first, b.name, reply, err)
		}
		if !slices.Equal(lines, published) {
			w.t.Fatalf("%s %q %q:\n%s publishes %q,\n%s %q", script, keys, args, w.list[0].name, published, b.name, lines)
		}
	}
	return first
}

// lines returns what a backend has published since the last call.
func (w *twins) lines(b *backend) (list []string) {
	w.t.Helper()
	const mark = "until here"
	if len(w.channels) == 0 {
		return nil
	}
	if err := b.rdb.Publish(w.ctx, w.channels[0], mark).Err(); err != nil {
		w.t.Fatal(err)
	}
	for {
		m, err := b.heard.ReceiveMessage(w.ctx)
		if err != nil {
			w.t.Fatal(err)
		}
		if m.Payload == mark {
			return list
		}
		list = append(list, m.Channel+": "+m.Payload)
	}
}

// do carries out a command on all backends, as somebody does by hand. Its replies are not
// compared.
func (w *twins) do(words ...any) {
	for _, b := range w.list {
		_ = b.rdb.Do(w.ctx, words...).Err()
	}
}

// compare fails the test if the backends hold different data, and returns what they hold.
func (w *twins) compare(keys []string, after string) *data {
	w.t.Helper()
	var first *data
	for i, b := range w.list {
		d := w.read(b, keys)
		if i == 0 {
			first = d
		} else if !reflect.DeepEqual(d, first) {
			w.t.Fatalf("after %s at %d:\n%s holds %s\n%s holds %s", after, w.now.UnixMilli(), w.list[0].name, first, b.name, d)
		}
	}
	return first
}

// data is the whole content of a database.
type data struct {
	Keys    []string
	Types   map[string]string
	TTL     map[string]bool
	Streams map[string]any
	Sets    map[string][]redis.Z
	Members map[string][]string
	Hashes  map[string]map[string]string
	Strings map[string]string
}

func (d *data) String() string {
	var b strings.Builder
	for _, key := range d.Keys {
		fmt.Fprintf(&b, "\n  %s (%s, TTL %v):", key, d.Types[key], d.TTL[key])
		entries, _ := d.Streams[key].([]any)
		for _, entry := range entries {
			fmt.Fprintf(&b, "\n    %q", entry)
		}
		for _, z := range d.Sets[key] {
			fmt.Fprintf(&b, "\n    %q %s", z.Member, strconv.FormatFloat(z.Score, 'f', -1, 64))
		}
		fmt.Fprintf(&b, " %q %q %q", d.Hashes[key], d.Strings[key], d.Members[key])
	}
	return b.String()
}

// read reads everything that a backend holds. Other keys than the given ones are compared
// by their names only.
func (w *twins) read(b *backend, keys []string) *data {
	w.t.Helper()
	d := &data{
		Types: make(map[string]string), TTL: make(map[string]bool), Streams: make(map[string]any),
		Sets: make(map[string][]redis.Z), Members: make(map[string][]string), Hashes: make(map[string]map[string]string), Strings: make(map[string]string),
	}
	pipe := b.rdb.Pipeline()
	all := pipe.Keys(w.ctx, "*")
	types, ttls := make([]*redis.StatusCmd, len(keys)), make([]*redis.DurationCmd, len(keys))
	for i, key := range keys {
		types[i], ttls[i] = pipe.Type(w.ctx, key), pipe.TTL(w.ctx, key)
	}
	if _, err := pipe.Exec(w.ctx); err != nil {
		w.t.Fatalf("%s: %v", b.name, err)
	}
	d.Keys = all.Val()
	slices.Sort(d.Keys)
	pipe = b.rdb.Pipeline()
	for i, key := range keys {
		if types[i].Val() == "none" {
			continue
		}
		d.Types[key], d.TTL[key] = types[i].Val(), ttls[i].Val() > 0
		switch types[i].Val() {
		case "stream":
			pipe.Do(w.ctx, "XRANGE", key, "-", "+")
		case "zset":
			pipe.ZRangeWithScores(w.ctx, key, 0, -1)
		case "hash":
			pipe.HGetAll(w.ctx, key)
		case "set":
			pipe.SMembers(w.ctx, key)
		case "string":
			pipe.Get(w.ctx, key)
		}
	}
	if pipe.Len() == 0 {
		return d
	}
	replies, err := pipe.Exec(w.ctx)
	if err != nil {
		w.t.Fatalf("%s: %v", b.name, err)
	}
	for _, reply := range replies {
		key, _ := reply.Args()[1].(string)
		switch reply := reply.(type) {
		case *redis.Cmd:
			d.Streams[key] = reply.Val()
			if key == worldMoved {
				d.Streams[key] = withoutIDs(reply.Val())
			}
		case *redis.ZSliceCmd:
			d.Sets[key] = reply.Val()
		case *redis.MapStringStringCmd:
			d.Hashes[key] = reply.Val()
		case *redis.StringSliceCmd:
			slices.Sort(reply.Val())
			d.Members[key] = reply.Val()
		case *redis.StringCmd:
			d.Strings[key] = reply.Val()
		}
	}
	return d
}

// withoutIDs returns the fields of a stream's entries, whose ids are of the backend's clock.
func withoutIDs(stream any) any {
	entries, _ := stream.([]any)
	var fields []any
	for _, entry := range entries {
		if parts, ok := entry.([]any); ok {
			fields = append(fields, parts[1:]...)
		}
	}
	return fields
}
