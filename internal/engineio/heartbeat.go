package engineio

import (
	"time"

	"example.com/chat/internal/conn"
)

// heartbeat schedules a session's pings, and decides when its client has been silent for
// too long. The session's mutex guards it.
type heartbeat struct {
	cfg      *Config
	heard    time.Time   // when the last packet arrived or was handled
	handling bool        // the handler is running: no other packet is read meanwhile
	nextPing time.Time   // while no ping is unanswered
	pongBy   time.Time   // deadline for any packet; zero without an unanswered ping
	timer    *time.Timer // calls Session.tick
}

func newHeartbeat(cfg *Config) heartbeat {
	now := time.Now()
	return heartbeat{cfg: cfg, heard: now, nextPing: now.Add(cfg.PingInterval)}
}

// start starts the timer, which calls tick in a goroutine of its own. stop ends it.
func (b *heartbeat) start(tick func()) { b.timer = time.AfterFunc(time.Until(b.nextPing), tick) }

func (b *heartbeat) stop() { b.timer.Stop() }

// wake makes the timer call tick after d.
func (b *heartbeat) wake(d time.Duration) { b.timer.Reset(d) }

// hear records that a packet arrived or was handled.
func (b *heartbeat) hear() { b.heard = time.Now() }

// restart records a pong: the next ping is due after the interval.
func (b *heartbeat) restart() {
	b.hear()
	b.nextPing, b.pongBy = b.heard.Add(b.cfg.PingInterval), time.Time{}
	b.wake(b.cfg.PingInterval)
}

// pingDue reports whether it is time to send a ping.
func (b *heartbeat) pingDue(now time.Time) bool {
	return b.pongBy.IsZero() && !now.Before(b.nextPing)
}

// pongDue reports whether the deadline for an answer to a ping has passed.
func (b *heartbeat) pongDue(now time.Time) bool {
	return !b.pongBy.IsZero() && !now.Before(b.pongBy)
}

// pinged sets the deadline for the answer to a ping that is sent now.
func (b *heartbeat) pinged(now time.Time) {
	b.pongBy = b.nextPing.Add(b.cfg.PingTimeout)
	if late := now.Sub(b.nextPing); late > b.cfg.PingTimeout/2 {
		b.pongBy = now.Add(b.cfg.PingTimeout) // the delay on this side does not count against the client
	}
}

// timedOut reports whether the client has sent nothing for too long after a ping. It extends
// the deadline by what has arrived since, and if the pong may wait behind something else.
// socket is the session's WebSocket, or nil.
func (b *heartbeat) timedOut(now time.Time, socket *conn.Conn) bool {
	if !b.pongDue(now) {
		return false
	}
	if b.handling || socket != nil && socket.Behind() {
		b.heard = now // the pong may have arrived unread, or waits behind earlier data
	}
	if socket != nil && socket.Heard().After(b.heard) {
		b.heard = socket.Heard()
	}
	b.pongBy = b.heard.Add(b.cfg.PingTimeout)
	return b.pongDue(now)
}

// schedule sets the timer for the next ping, or for the deadline of its answer.
func (b *heartbeat) schedule() {
	due := b.nextPing
	if !b.pongBy.IsZero() {
		due = b.pongBy
	}
	b.wake(time.Until(due))
}
