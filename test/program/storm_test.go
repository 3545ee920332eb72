package program_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/redisopen"
)

// stormSize is the number of clients that reconnect at once.
func stormSize(t *testing.T) int {
	n := chattest.Count(300, 5000)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	const spare = 500
	if most := int(min(limit.Cur, 1<<30)) - spare; n > most {
		t.Logf("the file limit allows %d clients, not %d", most, n)
		n = most
	}
	return n
}

// storm is a crowd of stormers, and a client that sends to them.
type storm struct {
	t     *testing.T
	list  []*stormer
	voice *chattest.Client
	rooms []string
	heads map[string]int64 // the newest entry of each room
	keys  int
	// earlier is how many handshakes were refused before the storm.
	earlier int
}

// say sends n messages to each room, and waits for their acknowledgements.
func (s *storm) say(n int) {
	s.t.Helper()
	heads := make(map[string]int64)
	for range n {
		for _, room := range s.rooms {
			s.keys++
			s.voice.Send("send", "room", room, "text", "message "+strconv.Itoa(s.keys), "key", strconv.Itoa(s.keys))
		}
	}
	for range n * len(s.rooms) {
		sent := s.voice.Next("sent")
		heads[sent.Room] = max(heads[sent.Room], int64(sent.Seq()))
	}
	s.heads = heads
}

// await waits until each stormer has all messages, and returns how long each took.
func (s *storm) await(began time.Time, urls func() []string) []time.Duration {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 120*time.Second)
	defer cancel()
	took := make([]time.Duration, len(s.list))
	var all sync.WaitGroup
	var failed atomic.Int64
	for i, c := range s.list {
		all.Go(func() {
			if err := c.until(ctx, urls, s.heads); err != nil && failed.Add(1) <= 5 {
				s.t.Errorf("client %d: %v", i, err)
			}
			took[i] = time.Since(began)
		})
	}
	all.Wait()
	if n := failed.Load(); n > 0 {
		s.t.Fatalf("%d of %d clients failed", n, len(s.list))
	}
	slices.Sort(took)
	return took
}

// drop ends all connections.
func (s *storm) drop() {
	for _, c := range s.list {
		if c.conn != nil {
			_ = c.conn.Close()
			c.conn = nil
		}
	}
}

// refused returns the number of handshakes that were answered with 503.
func (s *storm) refused() int {
	n := -s.earlier
	for _, c := range s.list {
		n += c.refused
	}
	return n
}

// commandStats counts how often Redis executed each command, also within scripts.
func commandStats(t *testing.T, rdb *redis.Client) map[string]int {
	t.Helper()
	text, err := rdb.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	stats := make(map[string]int)
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		calls, _, _ := strings.Cut(rest, ",")
		if n, err := strconv.Atoi(calls); ok && err == nil {
			stats[name] = n
		}
	}
	return stats
}

// The bounds of a storm.
const (
	// within is how long after the death of their node its clients may take to be up to
	// date at another node.
	within = 10 * time.Second
	// feltAtMost bounds the median latency of other users' messages meanwhile, on a
	// machine that is busy with the storm's own clients.
	feltAtMost = 250 * time.Millisecond
	// nodeMiB and clientKiB are the resident memory that a node may take at its
	// peak, by itself and for each client.
	nodeMiB, clientKiB = 64, 32
)

// A node with many clients is killed, and they reconnect to the other two nodes. Each
// gets what it missed once and in order, the load on Redis depends on the rooms and not
// on the clients, and other users continue. The test measures time and memory, so it runs
// while no other test does.
func TestAStormOfThoseWhoseNodeDied(t *testing.T) {
	if chattest.Race {
		t.Skip("the race detector multiplies time and memory: measured without it")
	}
	n := stormSize(t)
	server := redistest.Start(t)
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer rdb.Close()
	nodes := startNodes(t, 3, server.URL, "--rate=0")
	urls := []string{nodes[0].URL(1), nodes[1].URL(1), nodes[2].URL(1)}
	survivors := []int{nodes[1].PID(), nodes[2].PID()}
	p := startPulse(t, urls[1:]...)
	s := gather(t, n, urls)
	p.lap(0)
	quiet := p.lap(400)
	before := usage(t, survivors)
	for _, pid := range survivors {
		chattest.ResetPeak(t, pid)
	}

	nodes[0].Signal(syscall.SIGKILL)
	<-nodes[0].Done()
	began := time.Now()
	s.say(3)
	spent := commandStats(t, rdb)
	s.drop()
	took := s.await(began, func() []string { return urls[1:] })
	spent = spentSince(spent, commandStats(t, rdb))
	felt := p.lap(0)
	after := usage(t, survivors)

	last := took[len(took)-1]
	t.Logf("%d clients: half were current after %s, all after %s; %d handshakes refused; the nodes worked for %s",
		n, round(took[n/2]), round(last), s.refused(), after.cpu-before.cpu)
	t.Logf("of others, before: %s; meanwhile: %s", quiet, felt)
	t.Logf("Redis executed, also within scripts: %v", spent)
	if last > within {
		t.Errorf("the last client was current after %s", last)
	}
	if felt.Median > feltAtMost {
		t.Errorf("of others, %s", felt)
	}
	// A room that was not followed is read once, and so is its presence. The newest
	// entries of each room's log and of its changes are read by each node's audit, and by
	// each append.
	audits := 2 * (2 + int(last/(3*time.Second)))
	reads := spent["xrange"] + spent["xrevrange"] - 2*spent["publish"] + spent["hgetall"]
	if most := 2 * len(s.rooms) * (4 + audits); reads > most {
		t.Errorf("Redis was read %d times by two nodes for %d rooms: %v", reads, len(s.rooms), spent)
	}
	if calls := spent["evalsha"]; n >= 1000 && calls > 2*n { // one script for each join would be three a client
		t.Errorf("%d scripts were called for %d clients in two rooms each", calls, n)
	}
	for _, pid := range survivors {
		most := chattest.UsageOf(t, pid).Peak / 1024
		t.Logf("a node took %d MiB at the most", most>>10)
		if most > nodeMiB<<10+n*clientKiB {
			t.Errorf("a node took %d KiB", most)
		}
	}

	s.say(2)
	s.await(time.Now(), func() []string { return nil })
	s.drop()
	s.leaveNothing(rdb, survivors, before)
}

// leaveNothing waits until nodes and Redis are as they were before the clients.
func (s *storm) leaveNothing(rdb *redis.Client, pids []int, before use) {
	s.t.Helper()
	const others = 4 // the sender, and the pulse's three users
	chattest.Eventually(s.t, "Redis to list no user who left", func() bool {
		names, err := rdb.HLen(s.t.Context(), "chat:{cluster}:names").Result()
		return err == nil && names == others
	})
	for _, room := range s.rooms {
		chattest.Eventually(s.t, room+" to be empty again", func() bool {
			s.voice.Send("members", "room", room)
			return s.voice.Next("members").Count == 1
		})
	}
	chattest.Eventually(s.t, "the nodes to close the ended connections", func() bool { return usage(s.t, pids).files <= before.files+len(pids)*redisopen.PoolSize })
	now := usage(s.t, pids)
	s.t.Logf("two nodes had %d files and %d MiB before, %d and %d when all were gone", before.files, before.memory>>10, now.files, now.memory>>10)
}

// use is the resources that processes use.
type use struct {
	cpu    time.Duration
	memory int // KiB
	files  int
}

func usage(t *testing.T, pids []int) use {
	t.Helper()
	var u use
	for _, pid := range pids {
		one := chattest.UsageOf(t, pid)
		u.cpu += one.CPU
		u.memory += one.Resident / 1024
		u.files += one.Files
	}
	return u
}

// spentSince returns the counts since before.
func spentSince(before, after map[string]int) map[string]int {
	spent := make(map[string]int)
	for name, n := range after {
		if d := n - before[name]; d > 0 {
			spent[name] = d
		}
	}
	return spent
}

// gather has n clients at the first node, each in a small room and in one room of all,
// and a sender at the second node.
func gather(t *testing.T, n int, urls []string) *storm {
	t.Helper()
	const small = 50
	s := &storm{t: t, rooms: []string{"all"}}
	for i := range small {
		s.rooms = append(s.rooms, "room-"+strconv.Itoa(i))
	}
	s.voice = chattest.Dial(t, urls[1])
	s.voice.Hello()
	for _, room := range s.rooms {
		s.voice.Join(room)
	}
	s.say(5)
	t.Cleanup(s.drop)
	for i := range n {
		s.list = append(s.list, &stormer{rooms: []*stormRoom{{name: s.rooms[1+i%small]}, {name: "all"}}})
	}
	began := time.Now()
	took := s.await(began, func() []string { return urls[:1] })
	t.Logf("%d clients came to a fresh node within %s", n, round(took[n-1]))
	s.earlier = s.refused()
	s.say(5)
	s.await(time.Now(), func() []string { return nil })
	return s
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
