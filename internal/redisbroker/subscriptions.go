package redisbroker

import (
	"context"
	"sync"
)

// switchboard keeps the subscriptions: a single one, or on a Redis Cluster one
// for each partition in use and one for what is not of a room, since there a
// channel is heard where its slot is. Each has its own probe, and is made anew
// by itself.
type switchboard struct {
	b *core

	mu      sync.Mutex // guards the fields below
	ctx     context.Context
	lines   map[string]*subscription // by hash tag; mainTag's is always there
	running sync.WaitGroup
}

func newSwitchboard(b *core) *switchboard {
	w := &switchboard{b: b, lines: make(map[string]*subscription)}
	w.lines[mainTag] = newSubscription(b, mainTag)
	return w
}

// want adds a channel or takes it away. A channel that is wanted again is
// confirmed again. It never waits.
func (w *switchboard) want(channel string, on bool) {
	tag := mainTag
	if w.b.cluster != nil {
		tag = w.b.keys.tagOf(channel)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	line := w.lines[tag]
	if line == nil {
		if !on {
			return
		}
		line = newSubscription(w.b, tag)
		w.lines[tag] = line
		w.startLocked(line)
	}
	if left := line.want(channel, on); left == 0 && tag != mainTag {
		delete(w.lines, tag)
		w.b.health.unwatch(line.pulse)
		line.end()
	}
}

func (w *switchboard) startLocked(line *subscription) {
	if w.ctx == nil {
		return
	}
	ctx, cancel := context.WithCancel(w.ctx)
	line.end = cancel
	w.running.Go(func() { // ends with ctx; run waits for it
		defer cancel()
		line.run(ctx)
	})
}

// run keeps all subscriptions until ctx is done.
func (w *switchboard) run(ctx context.Context) {
	w.mu.Lock()
	w.ctx = ctx
	for _, line := range w.lines {
		w.startLocked(line)
	}
	w.mu.Unlock()
	<-ctx.Done()
	w.mu.Lock()
	w.ctx = nil // nothing begins any more
	w.mu.Unlock()
	w.running.Wait()
}
