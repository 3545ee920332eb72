package engineio

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// noopAfter is how long a poll may wait during an upgrade. The client must end polling
// first, so it is short. But the answer to a poll must not overtake a client that has
// ended polling already and sends the upgrade right after its probe, and a client that
// polls until it has read the answer to the probe must not poll continuously. The
// official server takes up to 100 ms.
const noopAfter = 30 * time.Millisecond

// poll is one GET, and the answer to it. The session's mutex guards its fields. claim and
// batch do not change once they are set.
type poll struct {
	claim
	wake chan struct{} // makes the waiting GET check the session; nil once it is answered

	batch  []*Message // the answer; nil until it is given
	at     time.Time  // when it was given
	writes int32      // writes of it that have begun
	passed bool       // the client has sent another request since
}

// polls serves the GETs of a session. The session's mutex guards its fields; methods with
// the suffix Locked require it.
type polls struct {
	session  *Session
	waiting  *poll         // the GET that waits for packets; nil if there is none
	answered *poll         // the last answered one; nil if its answer is not repeated
	left     chan struct{} // closed when waiting has ended; nil unless a goroutine waits for that
	arrived  chan struct{} // closed when a GET arrives; nil unless a goroutine waits for that
}

// openPolling opens a session, and answers with its open packet.
func (s *Server) openPolling(w http.ResponseWriter, r *http.Request, admitted any) bool {
	session := newSession(s, nil)
	if !session.begin(r, admitted) {
		refuse(w, codeRequest)
		return false
	}
	batch := session.polls.open(s.claimOf(r))
	if session.polls.write(w, batch) != nil { // no client knows the session
		session.end(ReasonTransport)
	}
	return true
}

// open returns the answer to the handshake.
func (g *polls) open(c claim) []*Message {
	s := g.session
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks.open = c.mark
	batch := s.out.takeAll()
	if s.ended {
		batch = append(batch, s.last)
		s.removeLocked()
	}
	return batch
}

// serve serves a GET: it waits for packets and writes them. A poll whose connection
// breaks, or whose answer can't be written, loses nothing: the next one gets the same
// packets.
func (g *polls) serve(w http.ResponseWriter, r *http.Request) {
	p, write := g.begin(r.Context(), g.session.server.claimOf(r))
	if p != nil && write == 0 {
		// The server's own deadline is for requests that are answered at once.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		switch g.await(r.Context(), p) {
		case pollReplaced:
			_ = g.write(w, []*Message{noopPacket}) // no client should be there to read it
			return
		case pollOver:
			p = nil
		}
		write = 1
	}
	if p == nil {
		refuse(w, codeRequest)
		return
	}
	if g.write(w, p.batch) != nil {
		g.requeue(p, write)
	}
}

// begin begins a poll. If it repeats an answered one, begin returns that and the number of
// the write; the number is 0 for a poll that waits. If the poll may not be served, begin
// returns nil, and the session has ended.
func (g *polls) begin(ctx context.Context, c claim) (p *poll, write int32) {
	s := g.session
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat.hear()
	c = s.marks.ofPoll(c)
	// A repeat, and a poll through another node, replaces the first poll, which no
	// client waits for any more. Any other second poll ends the session.
	if g.waiting != nil && !c.same(g.waiting.claim) && c.via == g.waiting.via && !g.awaitEndLocked(ctx) {
		if ctx.Err() == nil {
			s.endLocked(ReasonTransport, false)
		}
		return nil, 0
	}
	if again := g.repeatedLocked(c); again != nil {
		return again, again.writes
	}
	g.wakeLocked() // so that the replaced poll ends
	g.passedLocked()
	g.waiting = &poll{claim: c, wake: make(chan struct{}, 1)}
	if g.arrived != nil {
		close(g.arrived)
		g.arrived = nil
	}
	return g.waiting, 0
}

// wakeLocked makes the waiting GET check the session. It does not block.
func (g *polls) wakeLocked() {
	if g.waiting != nil {
		select {
		case g.waiting.wake <- struct{}{}:
		default:
		}
	}
}

// passedLocked records that the client has sent another request since the last answered
// poll.
func (g *polls) passedLocked() {
	if g.answered != nil {
		g.answered.passed = true
	}
}

// awaitEndLocked waits a moment for the current poll to end, and reports whether it
// has. It releases the lock meanwhile.
func (g *polls) awaitEndLocked(ctx context.Context) bool {
	if g.left != nil { // a third one
		return false
	}
	g.left = make(chan struct{})
	moment, cancel := context.WithTimeout(ctx, overlapWithin)
	defer cancel()
	g.session.awaitLocked(moment, g.left)
	g.left = nil
	return g.waiting == nil && ctx.Err() == nil
}

// endLocked records that no poll waits any more.
func (g *polls) endLocked() {
	g.waiting = nil
	if g.left != nil {
		close(g.left)
		g.left = nil
	}
}

// pollState is the state of a poll that has begun.
type pollState int

const (
	pollWaits    pollState = iota
	pollAnswered           // it has its batch
	pollReplaced           // another request has replaced it
	pollOver               // it gets nothing: the session has upgraded, or the client has closed the connection
)

// await waits for the end of a poll: for packets, at most until the next ping.
func (g *polls) await(ctx context.Context, p *poll) pollState {
	for enough := false; ; {
		state, probed := g.check(p, clientGone(ctx), enough)
		if state != pollWaits {
			return state
		}
		var tick <-chan time.Time
		if probed {
			tick = time.After(noopAfter)
		}
		select {
		case <-p.wake:
		case <-tick:
			enough = true
		case <-ctx.Done():
		}
	}
}

// check answers a poll if there is something to answer, and returns its state. gone reports
// that its client has closed the connection, and enough that it has waited for noopAfter.
// probed reports that an upgrade has begun, in which polls are answered soon.
func (g *polls) check(p *poll, gone, enough bool) (state pollState, probed bool) {
	s := g.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.waiting != p {
		return pollReplaced, false
	}
	switch {
	case s.ended:
		p.batch = g.lastLocked()
	case s.out.socket != nil, gone:
		g.endLocked()
		return pollOver, false
	case len(s.out.queue) > 0:
		p.batch = s.out.takePart()
	case s.upgrade.probed && enough:
		p.batch = []*Message{noopPacket}
	default:
		return pollWaits, s.upgrade.probed
	}
	p.at, p.writes, p.wake = time.Now(), 1, nil
	g.answered = p
	g.endLocked() // before the client can receive the answer and poll again
	return pollAnswered, false
}

// lastLocked returns the answer to a poll of an ended session. If it does not hold the rest
// of the queue, a later poll gets that.
func (g *polls) lastLocked() []*Message {
	s := g.session
	if s.removed {
		return append(s.out.takeAll(), s.last)
	}
	batch := s.out.takePart()
	if len(s.out.queue) == 0 {
		batch = append(batch, s.last)
		s.removeLocked()
	}
	return batch
}

// write writes packets as one payload.
func (g *polls) write(w http.ResponseWriter, batch []*Message) error {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("Content-Length", strconv.Itoa(polledSize(batch)+len(batch)-1))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(g.session.server.cfg.BodyTime))
	for i, m := range batch {
		if i > 0 {
			if _, err := w.Write([]byte{separator}); err != nil {
				return err
			}
		}
		if _, err := w.Write(m.polled()); err != nil {
			return err
		}
	}
	err := control.Flush()
	_ = control.SetWriteDeadline(time.Time{})
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// repeatedLocked returns the last answered poll if a poll with the claim repeats it; else
// nil.
func (g *polls) repeatedLocked(c claim) *poll {
	p := g.answered
	if p == nil || !c.same(p.claim) {
		return nil
	}
	if byID := c.id != "" && c.id == p.id; !byID {
		if p.passed {
			return nil
		}
		if p.writes > maxRepeats || time.Since(p.at) > repeatWithin {
			g.session.marks.useless = true
			return nil
		}
	}
	p.writes++
	return p
}

// requeue queues the answer to a poll again that could not be written: its client
// can't have received it completely, and polls again. write is the number of the failed
// write.
func (g *polls) requeue(p *poll, write int32) {
	s := g.session
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended || p.writes > write, len(p.batch) == 1 && p.batch[0] == noopPacket:
		return // it has no use, a later write succeeded, or it is empty
	case g.answered != p: // another answer was given since: this one would be late
		s.endLocked(ReasonTransport, false)
		return
	}
	g.answered = nil
	s.out.putBack(p.batch)
	g.wakeLocked()
}

// arrivesWithin is how long the client's close waits for a poll.
const arrivesWithin = 30 * time.Millisecond

// awaitArrival waits a moment for a poll if there is none. A client that closes has one in
// flight, which the close may have overtaken on another connection; it should get the
// end of the session and not a refusal.
func (g *polls) awaitArrival() {
	arrived := g.expectArrival()
	if arrived == nil {
		return
	}
	timer := time.NewTimer(arrivesWithin)
	defer timer.Stop()
	select {
	case <-arrived:
	case <-timer.C:
	}
}

// expectArrival returns a channel that is closed when a poll arrives; nil if one waits, or
// the session has ended.
func (g *polls) expectArrival() <-chan struct{} {
	s := g.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || g.waiting != nil {
		return nil
	}
	g.arrived = make(chan struct{})
	return g.arrived
}
