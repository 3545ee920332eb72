package embed

import (
	"time"

	"example.com/chat/embed/native"
)

// WithClock returns a configuration whose broker has the clock, for scripts.
func (cfg BrokerConfig) WithClock(now func() time.Time) BrokerConfig {
	cfg.now = now
	return cfg
}

// WithTrace returns a configuration whose broker calls f for each EVALSHA: native reports
// whether package native carried it out.
func (cfg BrokerConfig) WithTrace(f func(native bool)) BrokerConfig {
	cfg.trace = f
	return cfg
}

// SetTime sets the clock of interpreted scripts.
func (b *Broker) SetTime(now time.Time) { b.redis.SetTime(now) }

// Alias makes the broker carry out a script that differs from append.lua in its bounds.
func (b *Broker) Alias(sha string, bounds native.Bounds) {
	b.engine.do(func(e *engine) { e.native.Alias(sha, bounds) })
}

// Knows reports whether package native carries out a script.
func (b *Broker) Knows(sha string) (knows bool) {
	b.engine.do(func(e *engine) { knows = e.native.Knows(sha) })
	return knows
}
