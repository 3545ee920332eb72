package redisbroker

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// subscription keeps one Pub/Sub connection to Redis, with all channels that are wanted
// on it, while run runs. When the connection breaks, a new one replaces it and each channel
// is confirmed again, which makes the channel's room read its log.
//
// A connection may look alive and deliver nothing. So the node publishes a probe every
// second, and closes a connection on which its probes do not arrive.
type subscription struct {
	b       *core
	tag     string // the hash tag of all its channels; on a single Redis, of its probe's
	probe   string // the channel of its probe
	changed chan struct{}
	confirm chan struct{} // the probe's channel was confirmed
	health  *subscriptionHealth
	end     context.CancelFunc // ends run; used by the subscriptionManager

	mu     sync.Mutex // guards the fields below
	wanted map[string]uint64
	asked  map[string]uint64 // channels that the present connection subscribed to, or is about to
	// stale holds the channels of which wanted and asked may differ: those of the calls of
	// want since the last call of differences. With a new connection it is replaced by all.
	stale  map[string]struct{}
	count  uint64     // of calls of want, so that a channel that is added again is noticed
	silent bool       // the present connection was closed because it was silent
	broken *breakdown // the one that no new connection has replaced yet; nil for none
	// due are the channels whose confirmation is expected, in the order in which Redis
	// confirms them; dueSince is since when the first of them is due.
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
	// errMoved means that the slot of a subscription moved to another node.
	errMoved = errors.New("the slot was moved to another node of the redis cluster")
	// errUnconfirmed means that the confirmation of a channel was lost: it is not known
	// whether the connection is subscribed to it.
	errUnconfirmed = errors.New("redis has confirmed another channel than the next one asked for")
	// errOneConnection refuses a second connection of a client that is made for one.
	errOneConnection = errors.New("the subscription broke off")
)

func newSubscription(b *core, tag string) *subscription {
	s := &subscription{
		b:       b,
		tag:     tag,
		probe:   b.keys.probe(tag, b.cfg.Node.ID),
		changed: make(chan struct{}, 1),
		confirm: make(chan struct{}, 1),
		health:  newSubscriptionHealth(&b.counts.probes),
		end:     func() {},
		wanted:  make(map[string]uint64),
		asked:   make(map[string]uint64),
		stale:   make(map[string]struct{}),
	}
	if tag != mainTag {
		s.health.name, s.health.grace, s.health.since = "partition "+tag, downAfter, time.Now()
	}
	b.health.watch(s.health)
	return s
}

// want adds or removes a channel, and returns the number of channels then.
func (s *subscription) want(channel string, on bool) (left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on {
		s.count++
		s.wanted[channel] = s.count
	} else {
		delete(s.wanted, channel)
	}
	s.stale[channel] = struct{}{}
	notify(s.changed)
	return len(s.wanted)
}

// notify sends to a channel with a buffer of one, unless something waits there already.
func notify(c chan struct{}) {
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
			err = errNoProbe // the closed connection is only the consequence
		}
		s.b.counts.remadeFor(silent)
		s.health.broken(err)
		s.b.log.Debug("a subscription to redis broke off; making a new one", "tag", s.tag, "error", err)
		s.broke(err)
		if s.b.cluster != nil {
			s.b.cluster.ReloadState(ctx) // its slot may have moved
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
	outages int  // that the node had before
	within  bool // it happened during one of them
}

// broke records a breakdown.
func (s *subscription) broke(cause error) {
	outages, within := s.b.health.outageCount()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = &breakdown{time.Now(), cause, outages, within}
	}
}

// mended logs a breakdown that is over, unless it was part of an outage, which is logged
// elsewhere.
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

// connection is one Pub/Sub connection of a subscription.
type connection struct {
	*redis.PubSub
	sharded bool
}

func (c connection) subscribe(ctx context.Context, channels ...string) error {
	if c.sharded {
		return c.SSubscribe(ctx, channels...)
	}
	return c.Subscribe(ctx, channels...)
}

func (c connection) unsubscribe(ctx context.Context, channels ...string) error {
	if c.sharded {
		return c.SUnsubscribe(ctx, channels...)
	}
	return c.Unsubscribe(ctx, channels...)
}

// oneConnection returns a client for one connection of a subscription, and a function
// that closes it. By itself go-redis opens a new connection when one breaks, under a lock
// that Close waits for as long as Redis is silent. Here a life ends with its connection,
// so a second one is refused at once. A ClusterClient, which chooses the node by the
// channel, is used as it is.
func (b *core) oneConnection() (redis.UniversalClient, func()) {
	client, ok := b.rdb.(*redis.Client)
	if !ok {
		return b.rdb, func() {}
	}
	opts := *client.Options()
	dial := opts.Dialer
	var dialed atomic.Bool
	opts.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dialed.Swap(true) {
			return nil, errOneConnection
		}
		return dial(ctx, network, addr)
	}
	opts.PoolSize, opts.MinIdleConns = 1, 0
	one := redis.NewClient(&opts)
	return one, func() { _ = one.Close() }
}

// life opens one connection and handles it until it breaks. It returns the cause.
func (s *subscription) life(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	client, closeClient := s.b.oneConnection()
	defer closeClient()
	// This does not connect yet: on a Redis Cluster the first channel decides to which node.
	conn := connection{client.Subscribe(ctx), s.b.cluster != nil}
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer conn.Close()
	defer cancel()

	s.restart()
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
				// Redis itself ended this one: the slot has moved.
				if m.Channel == s.probe {
					return errMoved
				}
			}
		case *redis.Message:
			s.heard(m)
		}
	}
}

// restart forgets what the connection before subscribed to.
func (s *subscription) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = make(map[string]uint64)
	s.stale = make(map[string]struct{}, len(s.wanted))
	for channel := range s.wanted {
		s.stale[channel] = struct{}{}
	}
	s.silent, s.due = false, nil
}

// ask records channels whose confirmation is due.
func (s *subscription) ask(channels []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) == 0 {
		s.dueSince = time.Now()
	}
	s.due = append(s.due, channels...)
}

// answered records a confirmation. It returns false if an earlier one is missing.
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
		s.health.confirmed()
		s.mended()
		notify(s.confirm)
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
		s.health.heard(m.Payload)
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

// write subscribes and unsubscribes channels, each time the wanted ones have changed.
func (s *subscription) write(ctx context.Context, conn connection) {
	for {
		add, drop := s.differences()
		for part := range slices.Chunk(add, channelsPerCall) {
			s.ask(part)
			if conn.subscribe(ctx, part...) != nil {
				_ = conn.Close() // Receive ends too
				return
			}
		}
		for part := range slices.Chunk(drop, channelsPerCall) {
			if conn.unsubscribe(ctx, part...) != nil {
				_ = conn.Close()
				return
			}
		}
		select {
		case <-ctx.Done():
			_ = conn.Close() // Receive ignores the end of its context
			return
		case <-s.changed:
		}
	}
}

// differences returns the channels to subscribe and to unsubscribe. Its time depends on
// the calls of want since the last time alone, not on the number of channels.
func (s *subscription) differences() (add, drop []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for channel := range s.stale {
		count, wanted := s.wanted[channel]
		asked, ok := s.asked[channel]
		switch {
		case wanted && (!ok || asked != count):
			add = append(add, channel)
			s.asked[channel] = count
		case !wanted && ok:
			drop = append(drop, channel)
			delete(s.asked, channel)
		}
	}
	s.stale = make(map[string]struct{}) // a cleared map keeps its size, and so its cost
	return add, drop
}

// listen publishes a probe every second. It closes the connection if none has arrived, or
// a channel was not confirmed, for probeLost.
func (s *subscription) listen(ctx context.Context, conn connection) {
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
		if s.health.isSubscribed() {
			sending, cancel := context.WithTimeout(ctx, 2*beatEvery)
			err := s.b.publish(sending, s.b.rdb, s.probe, s.health.send())
			cancel()
			s.health.published(err)
		}
	}
}

// left returns how long the connection may still stay silent before it counts as dead.
func (s *subscription) left() time.Duration {
	left := s.health.left()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.due) > 0 {
		left = min(left, probeLost-time.Since(s.dueSince))
	}
	return left
}

// giveUp ends a connection that looks alive and is not.
func (s *subscription) giveUp(conn connection) {
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
