package curves_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/procstat"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
	"example.com/chat/internal/room"
)

func TestMain(m *testing.M) {
	code := m.Run()
	chattest.RemoveBuilds()
	os.Exit(code)
}

// commands counts the commands that a client sends to Redis.
type commands struct{ sent atomic.Int64 }

func (c *commands) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *commands) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.sent.Add(1)
		return next(ctx, cmd)
	}
}

func (c *commands) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.sent.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}

// stand is one node's hub and broker, without connections.
type stand struct {
	t      *testing.T
	hub    *room.Hub
	broker *redisbroker.Broker
	sent   *commands
	redis  int // the process of its Redis; 0 for the embedded broker
}

// open starts a node on the embedded broker, or on a Redis where times are measured.
func open(t *testing.T) *stand {
	t.Helper()
	s := &stand{t: t, sent: &commands{}}
	url := ""
	if chattest.Measure() {
		server := redistest.Start(t)
		url, s.redis = server.URL, chattest.PIDAt(t, strings.Replace(server.URL, "redis://", "http://", 1))
	} else {
		url = redistest.Embedded(t).URL()
	}
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	opts.Protocol, opts.PoolSize, opts.MaxRetries, opts.DisableIdentity = 2, 48, -1, true
	client := redis.NewClient(opts)
	t.Cleanup(func() { _ = client.Close() })
	client.AddHook(s.sent)
	s.broker, err = redisbroker.New(t.Context(), redisbroker.Config{
		Client: client, Namespace: "chat", History: 10_000, Node: cluster.NodeInfo{ID: "n1", Port: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.hub = room.New(room.Config{Node: "n1", Limits: protocol.Limits{Text: 4000, Rooms: 1 << 20}, History: 10_000}, s.broker.Room())
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.broker.Run(ctx, listener{s.hub.Feed()}) })
	t.Cleanup(func() {
		s.hub.Close(context.Background())
		cancel()
		running.Wait()
	})
	chattest.Eventually(t, "Redis to be reachable", s.hub.Up)
	return s
}

// member is a connection whose client reads at once. It counts the events that it gets.
type member struct{ events, bytes atomic.Int64 }

func (m *member) Deliver(b *room.Broadcast) { m.take(b.Event) }
func (m *member) Expel(string)              {}
func (m *member) take(e protocol.Event) {
	m.events.Add(1)
	m.bytes.Add(int64(len(e.Body)))
}

// enter adds a user with one connection.
func (s *stand) enter(name string) (*member, *room.User) {
	s.t.Helper()
	m := &member{}
	u, err := s.hub.Enter(s.t.Context(), m, protocol.NameClaim{User: name, Name: name})
	if err != nil {
		s.t.Fatal(err)
	}
	return m, u
}

func (s *stand) join(m *member, u *room.User, name string, after protocol.Cursor) *protocol.Error {
	return s.hub.Join(s.t.Context(), m, u, name, after, m.take)
}

// joinAll joins rooms, some at a time, and waits until that is written to Redis.
func (s *stand) joinAll(m *member, u *room.User, from, to int) {
	s.t.Helper()
	next := atomic.Int64{}
	next.Store(int64(from))
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(to); i = next.Add(1) - 1 {
				if err := s.join(m, u, roomName(int(i)), protocol.Cursor{}); err != nil {
					s.t.Error(err)
				}
			}
		})
	}
	all.Wait()
	s.quiet()
}

// quiet waits until the node has nothing to do but its heartbeats.
func (s *stand) quiet() {
	s.t.Helper()
	last, since := int64(-1), time.Now()
	chattest.Eventually(s.t, "the node to be quiet", func() bool {
		if now := s.sent.sent.Load(); now-last > 2 {
			last, since = now, time.Now()
		}
		return time.Since(since) > 300*time.Millisecond
	})
}

// fill appends n messages of the given size to a room, and returns the id of the first.
func (s *stand) fill(name string, n, size int) (first protocol.ID) {
	s.t.Helper()
	return fillLog(s.t, s.broker, name, n, size)
}

func fillLog(t *testing.T, b *redisbroker.Broker, name string, n, size int) (first protocol.ID) {
	t.Helper()
	text := strings.Repeat("x", size)
	for i := 0; i < n; {
		var drafts []protocol.Draft
		for ; i < n && len(drafts) < 50; i++ {
			drafts = append(drafts, protocol.Message(protocol.User{ID: "o", Name: "o"}, fmt.Sprint("k", i), text, "n2"))
		}
		list, err := b.Append(t.Context(), name, drafts)
		if err != nil {
			t.Fatal(err)
		}
		if first.IsZero() {
			first = list[0].ID
		}
	}
	return first
}

// peak watches goroutines and memory until it is stopped, and returns by how much they grew.
func peak() (stop func() (goroutines int, bytes int64)) {
	base, baseMemory := runtime.NumGoroutine(), memory()
	most, mostMemory := base, baseMemory
	end, done := make(chan struct{}), make(chan struct{})
	go func() { // ends with stop
		defer close(done)
		for {
			select {
			case <-end:
				return
			case <-time.After(2 * time.Millisecond):
				most, mostMemory = max(most, runtime.NumGoroutine()), max(mostMemory, memory())
			}
		}
	}()
	return func() (int, int64) {
		close(end)
		<-done
		return most - base - 1, mostMemory - baseMemory
	}
}

// memory returns the bytes that this process has of the system: the heap with what is not
// collected yet, and stacks.
func memory() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys - m.HeapReleased)
}

// allocated returns the bytes that f allocates.
func allocated(f func()) float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc - before.TotalAlloc)
}

// cpu returns the processor time of this process so far; 0 on other systems than Linux.
func cpu() time.Duration {
	spent, _ := procstat.CPU(os.Getpid()) // fails on other systems only
	return spent
}

// redisCPU returns the processor time of the stand's Redis so far.
func (s *stand) redisCPU() time.Duration {
	if s.redis == 0 {
		return 0
	}
	return chattest.UsageOf(s.t, s.redis).CPU
}
