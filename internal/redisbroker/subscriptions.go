package redisbroker

import (
	"context"
	"sync"
)

// subscriptionManager keeps the subscriptions: a single one, or on a Redis Cluster one
// for each partition in use and one for the channels that belong to no room, because a
// sharded channel exists only on the shard of its slot. Each subscription has its own
// probe, and reconnects by itself.
type subscriptionManager struct {
	b *core

	mu      sync.Mutex // guards the fields below
	ctx     context.Context
	byTag   map[string]*subscription // by hash tag; there is always one for mainTag
	running sync.WaitGroup
}

func newSubscriptionManager(b *core) *subscriptionManager {
	m := &subscriptionManager{b: b, byTag: make(map[string]*subscription)}
	m.byTag[mainTag] = newSubscription(b, mainTag)
	return m
}

// want adds or removes a channel. A channel that is added again is confirmed again. It
// does not wait.
func (m *subscriptionManager) want(channel string, on bool) {
	tag := mainTag
	if m.b.cluster != nil {
		tag = m.b.keys.tagOf(channel)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.byTag[tag]
	if s == nil {
		if !on {
			return
		}
		s = newSubscription(m.b, tag)
		m.byTag[tag] = s
		m.startLocked(s)
	}
	if left := s.want(channel, on); left == 0 && tag != mainTag {
		delete(m.byTag, tag)
		m.b.health.unwatch(s.health)
		s.end()
	}
}

func (m *subscriptionManager) startLocked(s *subscription) {
	if m.ctx == nil {
		return
	}
	ctx, cancel := context.WithCancel(m.ctx)
	s.end = cancel
	m.running.Go(func() { // ends with ctx; run waits for it
		defer cancel()
		s.run(ctx)
	})
}

// run keeps all subscriptions until ctx is done.
func (m *subscriptionManager) run(ctx context.Context) {
	m.mu.Lock()
	m.ctx = ctx
	for _, s := range m.byTag {
		m.startLocked(s)
	}
	m.mu.Unlock()
	<-ctx.Done()
	m.mu.Lock()
	m.ctx = nil // no subscription starts any more
	m.mu.Unlock()
	m.running.Wait()
}
