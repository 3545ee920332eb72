package curves_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
	"example.com/chat/internal/room"
)

// sizes returns the sizes of a curve, a factor of ten apart.
func sizes(usual, measured []int) []int {
	if chattest.Measure() {
		return measured
	}
	return usual
}

// point is one measurement: the cost at a size.
type point struct {
	size int
	cost float64
}

// curve prints the points, and fails if a cost is more than one and a half times what the
// line base + slope × size predicts.
func curve(t *testing.T, unit string, base, slope float64, points []point) {
	t.Helper()
	for _, p := range points {
		want := base + slope*float64(p.size)
		t.Logf("%8d: %12.2f %s (recorded %.2f)", p.size, p.cost, unit, want)
		if p.cost > 1.5*want {
			t.Errorf("at %d: %.2f %s, more than 1.5 times the recorded %.2f", p.size, p.cost, unit, want)
		}
	}
}

// listener ignores the nodes of the cluster.
type listener struct{ room.Feed }

func (listener) Nodes([]cluster.NodeInfo) {}

func roomName(i int) string { return fmt.Sprint("room-", i) }

// store is a Redis with a broker that sends nothing by itself. It counts the commands
// that Redis executes, also those within scripts.
type store struct {
	t      *testing.T
	rdb    *redis.Client
	broker *redisbroker.Broker
}

func openStore(t *testing.T) *store {
	t.Helper()
	opts, err := redis.ParseURL(redistest.Start(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	opts.Protocol, opts.MaxRetries, opts.DisableIdentity = 2, -1, true
	s := &store{t: t, rdb: redis.NewClient(opts)}
	t.Cleanup(func() { _ = s.rdb.Close() })
	s.broker, err = redisbroker.New(t.Context(), redisbroker.Config{
		Client: s.rdb, Namespace: "chat", History: 200_000, Node: cluster.NodeInfo{ID: "n1", Port: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stats sums the values of a section of INFO whose names have one of the prefixes.
func (s *store) stats(section, field string, prefixes ...string) (sum float64) {
	s.t.Helper()
	text, err := s.rdb.Info(s.t.Context(), section).Result()
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		for _, prefix := range prefixes {
			// used_cpu_user_children and the like are parts of others.
			if name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); strings.HasPrefix(name, prefix) && (section != "cpu" || name == prefix) {
				value, _, _ = strings.Cut(strings.TrimPrefix(value, field), ",")
				n, err := strconv.ParseFloat(value, 64)
				if err != nil {
					s.t.Fatal(line, err)
				}
				sum += n
			}
		}
	}
	return sum
}

// cost returns how many commands f makes Redis execute, and the µs of processor time.
func (s *store) cost(f func()) (commands, µs float64) {
	count := func() float64 {
		return s.stats("commandstats", "calls=", "cmdstat_") - s.stats("commandstats", "calls=", "cmdstat_info")
	}
	busy := func() float64 { return s.stats("cpu", "", "used_cpu_user", "used_cpu_sys") }
	beforeBusy, before := busy(), count()
	f()
	after, afterBusy := count(), busy()
	// Both counts have the same number of INFO too many.
	return after - before, 1e6 * (afterBusy - beforeBusy)
}

func (s *store) append(name string, drafts ...protocol.Draft) []protocol.Receipt {
	s.t.Helper()
	list, err := s.broker.Append(s.t.Context(), name, drafts)
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// fill appends n messages with the keys k0 and so on.
func (s *store) fill(name string, n int) {
	s.t.Helper()
	for i := 0; i < n; {
		var drafts []protocol.Draft
		for ; i < n && len(drafts) < 100; i++ {
			drafts = append(drafts, note(fmt.Sprint("k", i)))
		}
		s.append(name, drafts...)
	}
}

func note(key string) protocol.Draft {
	return protocol.Message(protocol.User{ID: "o", Name: "o"}, key, "hello", "n1")
}

// key returns the name of a key of a room.
func key(kind, name string) string {
	return strings.Replace(redisbroker.LogKey("chat", name), ":log:", ":"+kind+":", 1)
}

// batch executes many commands in a few pipelines.
func (s *store) batch(n int, add func(pipe redis.Pipeliner, i int)) {
	s.t.Helper()
	for i := 0; i < n; {
		pipe := s.rdb.Pipeline()
		for end := min(n, i+5000); i < end; i++ {
			add(pipe, i)
		}
		if _, err := pipe.Exec(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
}

// What a page of the list of rooms costs, at its beginning and in its middle.
func TestListingRooms(t *testing.T) {
	var first, middle, busy []point
	for _, n := range sizes([]int{2000, 20_000}, []int{3000, 30_000, 300_000}) {
		s := openStore(t)
		s.batch(n, func(pipe redis.Pipeliner, i int) {
			pipe.ZAdd(t.Context(), "chat:{cluster}:busy", redis.Z{Score: float64(-1 - i/2), Member: roomName(i)})
		})
		var page protocol.RoomPage
		read := func(after string) func() {
			return func() {
				var err error
				if page, err = s.broker.Rooms(t.Context(), after); err != nil {
					t.Fatal(err)
				}
			}
		}
		commands, µs := s.cost(read(""))
		if len(page.Rooms) != protocol.MaxListed || page.Rooms[0].Count != n/2 {
			t.Errorf("of %d rooms the first page begins with %v", n, page.Rooms[0])
		}
		first, busy = append(first, point{n, commands}), append(busy, point{n, µs})
		commands, _ = s.cost(read(fmt.Sprintf("u%d-%s", n/4, roomName(n/2))))
		if len(page.Rooms) != protocol.MaxListed {
			t.Errorf("a page of %d", len(page.Rooms))
		}
		middle = append(middle, point{n, commands})
	}
	// A page of 500, and some 15 steps to find its beginning.
	curve(t, "commands in Redis for the first page", 520, 0, first)
	curve(t, "commands in Redis for a page in the middle", 520, 0, middle)
	if chattest.Measure() {
		curve(t, "µs of Redis's time for the first page", 1000, 0, busy)
	}
}

// What a repeat costs in a room with many entries of one millisecond, as after Redis's clock
// went back.
func TestRepeats(t *testing.T) {
	var commands, busy []point
	for _, n := range sizes([]int{100, 1000}, []int{1000, 10_000, 100_000}) {
		s := openStore(t)
		// The room's clock does not go back: all entries get the time of this one.
		id := fmt.Sprintf("%d-1", s.rdb.Time(t.Context()).Val().Add(time.Hour).UnixMilli())
		err := s.rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: key("log", "lobby"), ID: id,
			Values: []string{"id", id, "author", "x", "key", "x", "kind", "", "target", "", "json", "{}"}}).Err()
		if err != nil {
			t.Fatal(err)
		}
		s.fill("lobby", n)
		const times = 20
		c, µs := s.cost(func() {
			for i := range times {
				if r := s.append("lobby", note(fmt.Sprint("k", n-1-i)))[0]; !r.Duplicate || r.ID.Seq != int64(n+1-i) {
					t.Fatalf("%+v", r)
				}
			}
		})
		commands, busy = append(commands, point{n, c / times}), append(busy, point{n, µs / times})
	}
	curve(t, "commands in Redis for a repeat", 8, 0, commands)
	if chattest.Measure() {
		curve(t, "µs of Redis's time for a repeat", 60, 0, busy)
	}
}

// What the first append after ten minutes costs, with many keys of repeats that are to be
// forgotten.
func TestExpiredKeys(t *testing.T) {
	var commands, longest []point
	for _, n := range sizes([]int{2000, 20_000}, []int{6000, 60_000, 600_000}) {
		s := openStore(t)
		s.fill("lobby", 10)
		for _, kind := range []string{"oldkeys", "keys"} {
			s.batch(n, func(pipe redis.Pipeliner, i int) {
				pipe.HSet(t.Context(), key(kind, "lobby"), fmt.Sprintf("o|%s-%024d", kind, i), "1764000000000-1")
			})
		}
		old := s.rdb.Time(t.Context()).Val().Add(-time.Hour).UnixMilli()
		s.rdb.HSet(t.Context(), key("keys", "lobby"), "since", fmt.Sprintf("%020d+", old))
		s.rdb.ConfigSet(t.Context(), "slowlog-log-slower-than", "0")
		s.rdb.Do(t.Context(), "slowlog", "reset")
		c, _ := s.cost(func() { s.append("lobby", note("first")) })
		commands = append(commands, point{n, c})
		most := time.Duration(0)
		for _, entry := range s.rdb.SlowLogGet(t.Context(), 10).Val() {
			if strings.EqualFold(entry.Args[0], "evalsha") || strings.EqualFold(entry.Args[0], "eval") {
				most = max(most, entry.Duration)
			}
		}
		longest = append(longest, point{n, float64(most.Microseconds())})
		if left := s.rdb.HLen(t.Context(), key("keys", "lobby")).Val(); left != 2 {
			t.Errorf("the newer keys are %d", left)
		}
		if moved := s.rdb.HLen(t.Context(), key("oldkeys", "lobby")).Val(); moved < int64(n) {
			t.Errorf("the older keys are %d", moved)
		}
	}
	curve(t, "commands in Redis for the append that forgets them", 16, 0, commands)
	if chattest.Measure() {
		curve(t, "µs for which that append blocks Redis", 300, 0, longest)
	}
}

// What the deletion of a message costs that was edited as often as it can be.
func TestDeletions(t *testing.T) {
	var commands, busy []point
	for _, edits := range []int{10, protocol.MaxEdits} {
		s := openStore(t)
		target := s.append("lobby", note("m"))[0].ID
		change := func(kind, key string) protocol.Draft {
			return protocol.Draft{User: "o", Key: key, Kind: kind, Target: target, Text: []byte("x"), Tail: []byte(`"kind":"` + kind + `"}`)}
		}
		for i := range edits {
			s.append("lobby", change(protocol.Edit, fmt.Sprint("e", i)))
		}
		c, µs := s.cost(func() {
			if r := s.append("lobby", change(protocol.Delete, "d"))[0]; r.Refused != nil {
				t.Fatal(r.Refused)
			}
		})
		commands, busy = append(commands, point{edits, c}), append(busy, point{edits, µs})
	}
	curve(t, "commands in Redis for a deletion", 30, 2, commands)
	if chattest.Measure() {
		curve(t, "µs of Redis's time for a deletion", 400, 6, busy)
	}
}

// What a heartbeat costs in a cluster of many nodes.
func TestHeartbeats(t *testing.T) {
	var commands []point
	for _, nodes := range sizes([]int{2, 20}, []int{2, 20, 200}) {
		s := openStore(t)
		ends := s.rdb.Time(t.Context()).Val().Add(5 * time.Second).UnixMilli()
		for i := range nodes - 1 {
			id := fmt.Sprintf("m%d~x", i)
			s.rdb.ZAdd(t.Context(), "chat:{cluster}:nodes", redis.Z{Score: float64(ends), Member: id})
			s.rdb.HSet(t.Context(), "chat:{cluster}:info", id, fmt.Sprintf(`{"id":"m%d"}`, i))
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { // ends with cancel
			defer close(done)
			s.broker.Run(ctx, listener{room.New(room.Config{}, s.broker.Room()).Feed()})
		}()
		beats := func() float64 { return s.stats("commandstats", "calls=", "cmdstat_eval") }
		chattest.Eventually(t, "the first heartbeats", func() bool { return beats() > 2 })
		var n float64
		c, _ := s.cost(func() {
			before := beats()
			chattest.Eventually(t, "two more", func() bool { n = beats() - before; return n >= 2 })
		})
		commands = append(commands, point{nodes, c / n})
		cancel()
		<-done
	}
	curve(t, "commands in Redis for a heartbeat", 9, 0, commands)
}
