package sim

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"example.com/chat/internal/check"
	"example.com/chat/internal/load"
)

// Config configures a run; zero fields get their default.
type Config struct {
	// Seed decides which faults happen, and when.
	Seed uint64
	// For is the virtual time during which faults happen; by default 8 s.
	For time.Duration
	// Log gets the nodes' log.
	Log *slog.Logger
}

// Sizes of a run.
const (
	nodes       = 3
	clients     = 5
	defaultFor  = 8 * time.Second
	settledIn   = 40 * time.Second
	betweenMost = 1500 * time.Millisecond
)

// world is one run.
type world struct {
	cfg    Config
	random *rand.Rand
	redis  *redisServer
	nodes  []*node
	fleet  *load.Fleet
	log    *slog.Logger

	mu    sync.Mutex // guards the field below
	story []string   // the faults and their times
	began time.Time
}

// Result is the result of a run.
type Result struct {
	// History has the records of the clients, Story a line for each fault.
	History []check.Record
	Story   []string
	// Presence describes an error of the users in rooms at the end of the run; "" for
	// none.
	Presence string
}

// Run runs one world to its end. It must be called inside a synctest bubble,
// and leaves no goroutine behind.
func Run(cfg Config) (*Result, error) {
	if cfg.For == 0 {
		cfg.For = defaultFor
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	w := &world{cfg: cfg, random: rand.New(rand.NewPCG(cfg.Seed, 0)), log: cfg.Log, began: time.Now()}
	w.redis = startRedis()
	defer w.redis.mini.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ticking := w.keepTime(ctx)
	for i := range nodes {
		n := &node{id: fmt.Sprintf("n%d", i+1), net: w.redis.from(w.random.Uint64(), usual), seed: w.random.Uint64(), random: w.fork()}
		w.nodes = append(w.nodes, n)
		if err := n.start(ctx, w.log); err != nil {
			return nil, err
		}
	}
	w.people()
	w.break_()
	w.heal()
	finish, done := context.WithTimeout(ctx, settledIn)
	defer done()
	outside := w.redis.from(w.random.Uint64(), usual).client()
	list, err := w.fleet.Finish(finish, outside, namespace)
	presence := w.presence(ctx)
	_ = outside.Close()
	w.fleet.Close()
	for _, n := range w.nodes {
		n.kill()
	}
	cancel()
	ticking.Wait()
	// A client that is closed while it dials leaves that connection open.
	w.redis.each(nil, func(k *link) { w.redis.drop(k, true) })
	// Data in transit arrives, and calls without an answer time out: no time passes
	// after the end of a run.
	sleep(context.Background(), 10*time.Second)
	if err != nil {
		return nil, err
	}
	return &Result{History: list, Story: w.story, Presence: presence}, nil
}

// presentIn is how long after the last fault it may take until the lists of users are
// right: a dead node's lease has to end, and a node that lost its lease has to write its
// users again.
const presentIn = 15 * time.Second

// presence waits until Redis lists for each room exactly its clients, and describes the
// difference if it does not in time.
func (w *world) presence(ctx context.Context) string {
	there := make(map[string][]string)
	for _, c := range w.fleet.Clients {
		for _, name := range c.Rooms() {
			there[name] = append(there[name], c.User())
		}
	}
	for until := time.Now().Add(presentIn); ; {
		wrong := ""
		for _, name := range slices.Sorted(maps.Keys(there)) {
			slices.Sort(there[name])
			users, err := w.nodes[0].life.broker.Room().Present(ctx, name)
			listed := make([]string, len(users))
			for i, u := range users {
				listed[i] = u.ID
			}
			slices.Sort(listed)
			if err != nil || !slices.Equal(listed, there[name]) {
				wrong = fmt.Sprintf("%s has the users %v, and Redis lists %v (%v)", name, there[name], listed, err)
			}
		}
		if wrong == "" || time.Now().After(until) || !sleep(ctx, 100*time.Millisecond) {
			return wrong
		}
	}
}

// fork makes a random source for one part of the world, so that the parts do not
// influence each other.
func (w *world) fork() *rand.Rand { return rand.New(rand.NewPCG(w.random.Uint64(), 3)) }

// keepTime moves the clock of Redis.
func (w *world) keepTime(ctx context.Context) *sync.WaitGroup {
	var ticking sync.WaitGroup
	ticking.Go(func() { // ends with ctx; Run waits for it
		for sleep(ctx, 50*time.Millisecond) {
			w.redis.tick()
		}
	})
	return &ticking
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// people starts the clients, most of which send messages.
func (w *world) people() {
	w.fleet = load.NewFleet()
	for i := range clients {
		dialing, name := w.fork(), fmt.Sprintf("c%d", i+1)
		cfg := load.Config{
			Name: name, Rooms: []string{"lobby"}, Random: w.fork(),
			Every: 100 * time.Millisecond, Window: 1 + i, Switch: 6 * time.Second, Changes: 0.4,
			Dial: func(ctx context.Context, token string, _ int) (load.Wire, error) {
				wire, err := w.nodes[dialing.IntN(nodes)].connect(ctx, dialing, name, token)
				if err != nil {
					return nil, err // not a nil *wire in an interface
				}
				return wire, nil
			},
		}
		if i == 0 {
			cfg.Every, cfg.Switch = 0, 0
			cfg.Rooms = []string{"lobby", "side"}
		}
		if i == 1 {
			cfg.Rooms = []string{"lobby", "side"}
		}
		w.fleet.Add(cfg)
	}
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.story = append(w.story, fmt.Sprintf("%8s  ", time.Since(w.began).Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

// break_ runs one fault after the other, or several at once, and ends each after a
// while.
func (w *world) break_() {
	var mending sync.WaitGroup
	ctx := context.Background()
	end := time.Now().Add(w.cfg.For)
	sleep(ctx, 500*time.Millisecond) // some messages were sent by then
	for time.Now().Before(end) {
		f := faults[w.random.IntN(len(faults))]
		if f.rare && w.random.IntN(4) > 0 {
			continue
		}
		n := w.nodes[w.random.IntN(nodes)]
		long := 50*time.Millisecond + time.Duration(w.random.Int64N(int64(f.longest)))
		random := w.fork()
		mending.Go(func() { // ends with the fault; waited for below
			w.note("%s at %s for %s", f.name, n.id, long)
			f.do(w, n, random, func() { sleep(ctx, long) })
		})
		sleep(ctx, time.Duration(w.random.Int64N(int64(betweenMost))))
	}
	mending.Wait()
}

// heal ends all faults.
func (w *world) heal() {
	w.redis.setAway(false)
	for _, n := range w.nodes {
		n.mu.Lock()
		dead := n.life == nil
		n.lossy = false
		n.mu.Unlock()
		n.net.setCut(false)
		n.net.slow(usual)
		n.freeze(false)
		if dead {
			_ = n.start(context.Background(), w.log)
		}
	}
	w.note("all faults have ended")
}
