package redisbroker

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// subscription keeps one Pub/Sub connection to Redis, with all channels that
// are wanted on it, for as long as run runs. Whatever befalls the connection, a
// new one takes its place and each of its channels is confirmed anew, which is
// what tells the rooms to read their logs.
//
// A connection may look alive and bring nothing: so this node publishes a probe
// of its own every second, and one by which it doesn't come back is given up.
type subscription struct {
	b       *core
	tag     string // the hash tag of all its channels; on a single Redis of its own ones
	probe   string // the channel of its probe
	changed chan struct{}
	confirm chan struct{} // the probe's channel was confirmed
	pulse   *pulse
	end     context.CancelFunc // ends run; used by the switchboard

	mu     sync.Mutex // guards the fields below
	wanted map[string]uint64
	asked  map[string]uint64 // what the present connection was asked for
	count  uint64            // of calls of want, so that asking again is seen
	silent bool              // the present connection was given up for its silence
	broken *breakdown        // the one that is not mended yet; nil for none
	// due are the channels asked for and not confirmed yet, in the order in
	// which Redis confirms them; dueSince is when the first of them became that.
	due      []string
	dueSince time.Time
}

// Reconnecting begins at once and slows down.
const (
	resubscribeMin = 50 * time.Millisecond
	resubscribeMax = time.Second
)

// channelsPerCall bounds one SUBSCRIBE.
const channelsPerCall = 500

var (
	// errMoved is that the slot of a subscription is no longer where it was.
	errMoved = errors.New("the slot was moved to another node of the redis cluster")
	// errUnconfirmed is that a channel's confirmation was lost: whether it is
	// heard is not known.
	errUnconfirmed = errors.New("redis has confirmed another channel than the next one asked for")
	// errOneLine refuses a second connection to a client that is for one.
	errOneLine = errors.New("the subscription broke off")
)

func newSubscription(b *core, tag string) *subscription {
	s := &subscription{
		b:       b,
		tag:     tag,
		probe:   b.keys.probe(tag, b.cfg.Node.ID),
		changed: make(chan struct{}, 1),
		confirm: make(chan struct{}, 1),
		pulse:   newPulse(&b.counts.probes),
		end:     func() {},
		wanted:  make(map[string]uint64),
		asked:   make(map[string]uint64),
	}
	if tag != mainTag {
		s.pulse.name, s.pulse.grace, s.pulse.since = "partition "+tag, downAfter, time.Now()
	}
	b.health.watch(s.pulse)
	return s
}

// want adds a channel or takes it away, and returns how many are wanted now.
func (s *subscription) want(channel string, on bool) (left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on {
		s.count++
		s.wanted[channel] = s.count
	} else {
		delete(s.wanted, channel)
	}
	poke(s.changed)
	return len(s.wanted)
}

// poke leaves word, unless there is some already.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
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
		silent := s.wasSilent()
		if silent {
			err = errNoProbe // that its connection was closed is only how it ended
		}
		s.b.counts.remadeFor(silent)
		s.pulse.broken(err)
		s.b.log.Debug("a subscription to redis broke off; making a new one", "tag", s.tag, "error", err)
		s.broke(err)
		if s.b.cluster != nil {
			s.b.cluster.ReloadState(ctx) // its slot may be elsewhere now
		}
		if time.Since(began) > 2*resubscribeMax {
			wait = resubscribeMin
		}
		sleep(ctx, wait/2+s.b.cfg.Jitter(wait/2))
		wait = min(2*wait, resubscribeMax)
	}
}

// breakdown is the end of a subscription's connection.
type breakdown struct {
	at      time.Time
	cause   error
	outages int  // that the node had until then
	within  bool // one of them
}

// broke notes a breakdown.
func (s *subscription) broke(cause error) {
	outages, within := s.b.health.outageCount()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = &breakdown{time.Now(), cause, outages, within}
	}
}

// mended logs a breakdown that is over. One that became an outage has lines of
// its own.
func (s *subscription) mended() {
	outages, _ := s.b.health.outageCount()
	s.mu.Lock()
	broken := s.broken
	s.broken = nil
	s.mu.Unlock()
	if broken != nil && broken.outages == outages && !broken.within {
		s.b.log.Warn("a subscription to redis broke off and was made anew", "tag", s.tag,
			"after", time.Since(broken.at).Round(time.Millisecond), "error", broken.cause)
	}
}

// line is a connection of a subscription.
type line struct {
	*redis.PubSub
	sharded bool
}

func (l line) subscribe(ctx context.Context, channels ...string) error {
	if l.sharded {
		return l.SSubscribe(ctx, channels...)
	}
	return l.Subscribe(ctx, channels...)
}

func (l line) unsubscribe(ctx context.Context, channels ...string) error {
	if l.sharded {
		return l.SUnsubscribe(ctx, channels...)
	}
	return l.Unsubscribe(ctx, channels...)
}

// oneLine returns a client for one connection of a subscription, and what closes
// it. By itself go-redis makes a new connection when that breaks, and holds a
// lock meanwhile for which Close waits, as long as Redis is silent; but here each
// connection is a life of its own, and so the second is refused at once. A
// ClusterClient decides by the channel where to connect, and stays as it is.
func (b *core) oneLine() (redis.UniversalClient, func()) {
	client, ok := b.rdb.(*redis.Client)
	if !ok {
		return b.rdb, func() {}
	}
	opts := *client.Options()
	dial := opts.Dialer
	var dialed atomic.Bool
	opts.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dialed.Swap(true) {
			return nil, errOneLine
		}
		return dial(ctx, network, addr)
	}
	opts.PoolSize, opts.MinIdleConns = 1, 0
	one := redis.NewClient(&opts)
	return one, func() { _ = one.Close() }
}

// life is one connection's, from its making to the error that ends it.
func (s *subscription) life(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	client, closeClient := s.b.oneLine()
	defer closeClient()
	// Without a channel no connection is made yet: on a Redis Cluster the first
	// one decides to which node.
	conn := line{client.Subscribe(ctx), s.b.cluster != nil}
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer conn.Close()
	defer cancel()

	s.mu.Lock()
	clear(s.asked)
	s.silent, s.due = false, nil
	s.mu.Unlock()
	own := []string{s.probe}
	if s.tag == mainTag {
		own = append(own, s.b.keys.news())
	}
	s.ask(own)
	if err := conn.subscribe(ctx, own...); err != nil {
		return err
	}
	helpers.Go(func() { s.write(ctx, conn) })  // ends with this life, which waits for it
	helpers.Go(func() { s.listen(ctx, conn) }) // as above
	for {
		message, err := conn.Receive(ctx)
		if err != nil {
			return err
		}
		switch m := message.(type) {
		case *redis.Subscription:
			switch m.Kind {
			case "subscribe", "ssubscribe":
				if !s.answered(m.Channel) {
					return errUnconfirmed
				}
				s.confirmed(m.Channel)
			case "sunsubscribe":
				// Nobody asked for the end of this one: the slot went away.
				if m.Channel == s.probe {
					return errMoved
				}
			}
		case *redis.Message:
			s.heard(m)
		}
	}
}

// ask notes that channels are about to be asked for.
func (s *subscription) ask(channels []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) == 0 {
		s.dueSince = time.Now()
	}
	s.due = append(s.due, channels...)
}

// answered notes a confirmation; false when an earlier one is missing.
func (s *subscription) answered(channel string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) == 0 || s.due[0] != channel {
		return false
	}
	s.due, s.dueSince = s.due[1:], time.Now()
	return true
}

func (s *subscription) confirmed(channel string) {
	if channel == s.probe {
		s.pulse.confirmed()
		s.mended()
		poke(s.confirm)
		if s.tag == mainTag {
			s.b.Hurry()
		}
		return
	}
	s.mu.Lock()
	_, wanted := s.wanted[channel]
	s.mu.Unlock()
	if room, ok := s.b.keys.liveRoom(channel); ok && wanted {
		s.b.listener.Following(room)
	}
}

func (s *subscription) heard(m *redis.Message) {
	switch {
	case m.Channel == s.probe:
		s.pulse.heard(m.Payload)
	case m.Channel == s.b.keys.news():
		if m.Payload == string(lineNodes) {
			s.b.Hurry()
			return
		}
		deliverNews(s.b.listener, m.Payload)
	default:
		if room, ok := s.b.keys.liveRoom(m.Channel); ok {
			deliver(s.b.listener, room, m.Payload)
		}
	}
}

// write asks the connection for what is wanted and not asked for yet, and the
// other way round, each time something changed.
func (s *subscription) write(ctx context.Context, conn line) {
	for {
		add, drop := s.differences()
		for len(add) > 0 {
			n := min(len(add), channelsPerCall)
			s.ask(add[:n])
			if conn.subscribe(ctx, add[:n]...) != nil {
				_ = conn.Close() // Receive ends too
				return
			}
			add = add[n:]
		}
		if len(drop) > 0 && conn.unsubscribe(ctx, drop...) != nil {
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

// listen publishes the probe every second, and ends the connection when for
// probeLost it did not come back, or a channel was not confirmed.
func (s *subscription) listen(ctx context.Context, conn line) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	dead := time.NewTimer(probeLost)
	defer dead.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-dead.C:
			left := s.left()
			if left <= 0 {
				s.giveUp(conn)
				return
			}
			dead.Reset(left)
			continue
		case <-tick.C:
		case <-s.confirm:
		}
		if s.pulse.isSubscribed() {
			sending, cancel := context.WithTimeout(ctx, 2*beatEvery)
			err := s.b.publish(sending, s.b.rdb, s.probe, s.pulse.send())
			cancel()
			s.pulse.published(err)
		}
	}
}

// left is for how long the connection, if it stays silent, is still held to be
// alive.
func (s *subscription) left() time.Duration {
	left := s.pulse.left()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) > 0 {
		left = min(left, probeLost-time.Since(s.dueSince))
	}
	return left
}

// giveUp ends a connection that looks alive and is not.
func (s *subscription) giveUp(conn line) {
	s.mu.Lock()
	s.silent = true
	s.mu.Unlock()
	_ = conn.Close() // Receive ends too
}

func (s *subscription) wasSilent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.silent
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
