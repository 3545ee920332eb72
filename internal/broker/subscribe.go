package broker

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// subscription keeps one Pub/Sub connection to Redis, with all channels that
// are wanted on it, for as long as run runs. Whatever befalls the connection, a
// new one takes its place and each of its channels is confirmed anew, which is
// what tells the rooms to read their logs.
type subscription struct {
	b       *Broker
	pulse   *pulse
	changed chan struct{} // something in wanted differs from asked

	mu     sync.Mutex // guards the fields below
	wanted map[string]uint64
	asked  map[string]uint64 // what the present connection was asked for
	count  uint64            // of calls of want, so that asking again is seen
	conn   *redis.PubSub
	dead   bool // the present connection was ended by restart
}

// Reconnecting begins at once and slows down.
const (
	resubscribeMin = 50 * time.Millisecond
	resubscribeMax = time.Second
)

// channelsPerCall bounds one SUBSCRIBE.
const channelsPerCall = 500

func newSubscription(b *Broker) *subscription {
	s := &subscription{
		b:       b,
		pulse:   newPulse(&b.counts.probes),
		changed: make(chan struct{}, 1),
		wanted:  make(map[string]uint64),
		asked:   make(map[string]uint64),
	}
	b.health.watch(s.pulse)
	return s
}

// want adds a channel or takes it away. A channel that is wanted again is
// confirmed again.
func (s *subscription) want(channel string, on bool) {
	s.mu.Lock()
	if on {
		s.count++
		s.wanted[channel] = s.count
	} else {
		delete(s.wanted, channel)
	}
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// run keeps the subscription until ctx is done.
func (s *subscription) run(ctx context.Context) {
	wait := resubscribeMin
	for ctx.Err() == nil {
		began := time.Now()
		err := s.life(ctx)
		if ctx.Err() != nil {
			return
		}
		silent := s.wasRestarted()
		if silent {
			err = errNoProbe // that its connection was closed is only how it ended
		}
		s.b.counts.remadeFor(silent)
		s.pulse.broken(err)
		s.b.log.Warn("the subscription to redis broke off; making a new one", "error", err)
		if time.Since(began) > 2*resubscribeMax {
			wait = resubscribeMin
		}
		sleep(ctx, wait/2+s.b.cfg.Jitter(wait/2))
		wait = min(2*wait, resubscribeMax)
	}
}

// life is one connection's, from its making to the error that ends it.
func (s *subscription) life(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	conn := s.b.rdb.Subscribe(ctx)
	var writer sync.WaitGroup
	defer writer.Wait()
	defer conn.Close()
	defer cancel()

	probe := s.b.probeChannel()
	s.mu.Lock()
	s.conn, s.dead = conn, false
	clear(s.asked)
	s.mu.Unlock()
	if err := conn.Subscribe(ctx, probe, s.b.keys.cluster("news")); err != nil {
		return err
	}
	writer.Go(func() { s.write(ctx, conn) }) // ends with this life, which waits for it
	for {
		message, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		switch m := message.(type) {
		case *redis.Subscription:
			if m.Kind == "subscribe" {
				s.confirmed(m.Channel, probe)
			}
		case *redis.Message:
			s.heard(m, probe)
		}
	}
}

func (s *subscription) confirmed(channel, probe string) {
	if channel == probe {
		s.pulse.confirmed()
		s.b.hurry()
		return
	}
	if room, ok := s.b.keys.liveRoom(channel); ok {
		s.b.listener.Following(room)
	}
}

func (s *subscription) heard(m *redis.Message, probe string) {
	switch {
	case m.Channel == probe:
		s.pulse.heard(m.Payload)
	case m.Channel == s.b.keys.cluster("news"):
		if m.Payload == "n" {
			s.b.hurry()
			return
		}
		s.b.listener.News([]byte(m.Payload))
	default:
		if room, ok := s.b.keys.liveRoom(m.Channel); ok {
			s.b.listener.Live(room, []byte(m.Payload))
		}
	}
}

// write asks the connection for what is wanted and not asked for yet, and the
// other way round, each time something changed.
func (s *subscription) write(ctx context.Context, conn *redis.PubSub) {
	for {
		add, drop := s.differences()
		for len(add) > 0 {
			n := min(len(add), channelsPerCall)
			if conn.Subscribe(ctx, add[:n]...) != nil {
				_ = conn.Close() // Receive ends too
				return
			}
			add = add[n:]
		}
		if len(drop) > 0 && conn.Unsubscribe(ctx, drop...) != nil {
			_ = conn.Close()
			return
		}
		select {
		case <-ctx.Done():
			_ = conn.Close() // Receive does not heed its context
			return
		case <-s.changed:
		}
	}
}

func (s *subscription) differences() (add, drop []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for channel, count := range s.wanted {
		if s.asked[channel] != count {
			add = append(add, channel)
			s.asked[channel] = count
		}
	}
	for channel := range s.asked {
		if _, ok := s.wanted[channel]; !ok {
			drop = append(drop, channel)
			delete(s.asked, channel)
		}
	}
	return add, drop
}

// restart ends the present connection, which may look alive and be dead.
func (s *subscription) restart() {
	s.mu.Lock()
	conn := s.conn
	s.dead = conn != nil
	s.mu.Unlock()
	if conn != nil {
		_ = conn.Close()
	}
}

func (s *subscription) wasRestarted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

// probe sends one to this very subscription.
func (s *subscription) probe(ctx context.Context) error {
	return s.b.rdb.Publish(ctx, s.b.probeChannel(), s.pulse.send()).Err()
}

// sleep waits, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
