package swarm

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errBehind reports that frames were queued faster than they could be written.
var errBehind = errors.New("the writer is behind")

// Result is the result of a load.
type Result struct {
	// Sent, Acknowledged and Refused count messages.
	Sent, Acknowledged, Refused int
	// Delivered counts copies that arrived, Missing those that did not, and Doubled
	// those that arrived again.
	Delivered, Missing, Doubled int
	// Lost counts connections that were lost meanwhile.
	Lost int
	// Took is the time from the first message to the last copy.
	Took time.Duration
	// Acks are the times from when a message was due to its acknowledgement,
	// Deliveries those to each copy, Late those to its sending.
	Acks, Deliveries, Late *Times
	// Busy is the share of the time in which the goroutine of the clients was not
	// waiting: near 1 it is itself the bottleneck.
	Busy float64
}

// Limits beyond which the generator itself is the bottleneck.
const (
	// MostBusy is the largest share of the time that the clients' goroutine may work.
	MostBusy = 0.9
	// MostLate bounds the 99th percentile of how late messages were sent.
	MostLate = 20 * time.Millisecond
)

// Bottleneck says why the result tells of the generator and not of the nodes; "" if it
// does not.
func (r *Result) Bottleneck() string {
	switch late := r.Late.At(99); {
	case r.Busy > MostBusy:
		return fmt.Sprintf("the generator was the bottleneck: its loop worked %.0f %% of the time", 100*r.Busy)
	case late > MostLate:
		return fmt.Sprintf("the generator was late: it sent one message in a hundred %s after its time or later", late.Round(time.Millisecond))
	}
	return ""
}

// run is one load. Only the goroutine of the clients uses it, until done is closed.
type run struct {
	s     *Swarm
	first int // number of the first message
	base  int64
	every float64 // ns between two messages in an open loop
	total int     // messages of an open loop
	index int     // of the next one of them
	said  []said  // messages to delete; nil for a load that sends
	until int64   // end of a closed loop; 0 for an open one
	sent  []sent
	last  int64 // when the last copy arrived
	open  int   // copies and answers that are missing
	wait0 time.Duration
	lost0 int
	over  bool
	done  chan struct{} // closed when everything has arrived
	Result
}

// sent is a message of a load.
type sent struct {
	due     int64
	sender  int32
	members uint16
	heard   uint16
	answers uint8
}

// Open sends rate messages a second for a time d, from all clients in turn, each at its
// time whatever happened to those before. It returns when all copies have arrived, or
// Config.Drain after the last message.
func (s *Swarm) Open(ctx context.Context, rate float64, d time.Duration) *Result {
	r := s.newRun()
	r.every = float64(time.Second) / rate
	r.total = max(1, int(rate*d.Seconds()))
	return r.carryOut(ctx, func() {}, d)
}

// Closed has window clients of each room send for a time d; each sends its next message
// when its own copy of the one before has arrived.
func (s *Swarm) Closed(ctx context.Context, window int, d time.Duration) *Result {
	r := s.newRun()
	return r.carryOut(ctx, func() {
		r.until = r.base + int64(d)
		senders := make([]int, len(s.members))
		for _, c := range s.conns {
			if !c.dead && senders[c.room] < window {
				senders[c.room]++
				r.send(c, r.base)
			}
		}
	}, d)
}

func (s *Swarm) newRun() *run {
	return &run{s: s, done: make(chan struct{}), Result: Result{Acks: newTimes(), Deliveries: newTimes(), Late: newTimes()}}
}

// carryOut runs the load: begin is called at its start.
func (r *run) carryOut(ctx context.Context, begin func(), d time.Duration) *Result {
	if !r.s.do(func() {
		r.first, r.wait0, r.lost0 = r.s.number, r.s.waited, r.s.lost
		r.base = time.Now().UnixNano()
		r.last = r.base
		r.s.load = r
		begin()
	}) {
		return &r.Result
	}
	timer := time.NewTimer(d + r.s.cfg.Drain)
	defer timer.Stop()
	select {
	case <-r.done:
	case <-timer.C:
	case <-ctx.Done():
	case <-r.s.ended:
	}
	r.s.do(func() {
		r.s.load = nil
		if !r.over { // it ends before everything has arrived
			r.finish(time.Now().UnixNano())
		}
	})
	r.sum()
	return &r.Result
}

// sum fills in the result. The goroutine of the clients does not use it any more.
func (r *run) sum() {
	r.Sent = len(r.sent)
	for _, m := range r.sent {
		r.Missing += int(m.members) - min(int(m.members), int(m.heard))
		r.Doubled += int(m.heard) - min(int(m.members), int(m.heard))
	}
	r.Took = time.Duration(r.last - r.base)
}

// finish computes what depends on the end of the load.
func (r *run) finish(now int64) {
	r.over = true
	r.Lost = r.s.lost - r.lost0
	r.Busy = 1 - float64(r.s.waited-r.wait0)/float64(max(1, now-r.base))
}

// tick sends what is due (Swarm.tick).
func (r *run) tick(now int64) int64 {
	if r.until > 0 {
		if now < r.until {
			return r.until
		}
		r.settled(now)
		return 0
	}
	for r.index < r.total {
		due := r.base + int64(float64(r.index)*r.every)
		if due > now {
			return due
		}
		c := r.sender()
		if c == nil {
			r.total = r.index // nobody is left
			break
		}
		if !c.dead {
			r.send(c, due)
		}
		r.index++
	}
	r.settled(now)
	return 0
}

// sender returns the client that sends the next message of an open loop, nil for none.
func (r *run) sender() *conn {
	if r.said != nil {
		return r.said[r.index].c
	}
	return r.s.next()
}

// next returns the client whose turn it is, nil if all are lost.
func (s *Swarm) next() *conn {
	for range s.conns {
		c := s.conns[s.turn%len(s.conns)]
		s.turn++
		if !c.dead {
			return c
		}
	}
	return nil
}

// send sends a message that was due at a time.
func (r *run) send(c *conn, due int64) {
	s := r.s
	r.Late.observe(time.Duration(time.Now().UnixNano() - due))
	r.sent = append(r.sent, sent{due: due, sender: int32(c.index), members: uint16(s.members[c.room])})
	r.open += s.members[c.room] + 1
	if room := s.cfg.Rooms[c.room]; r.said != nil {
		s.message = s.remover.AppendRemove(s.message[:0], room, r.said[r.index].id, s.number)
	} else {
		s.message = s.cfg.Dialect.AppendSend(s.message[:0], room, s.text, s.number)
	}
	s.number++
	s.write(c, appendFrame(s.buf[:0], opText, s.message))
}

// read handles an event about a message.
func (r *run) read(c *conn, kind Kind, number int, message []byte, at int64) {
	i := number - r.first
	if number < 0 || i < 0 || i >= len(r.sent) {
		return // of an earlier load
	}
	m := &r.sent[i]
	switch kind {
	case Delivered:
		r.delivered(c, m, at)
	case Acknowledged:
		if r.s.remover != nil && r.said == nil {
			r.s.said = append(r.s.said, said{c, r.s.remover.ID(message)})
		}
		r.Acknowledged++
		r.Acks.observe(time.Duration(at - m.due))
		r.answered(m)
	case Refused:
		if r.said != nil && r.s.remover.Gone(message) {
			r.Acknowledged++ // there is nothing to delete
		} else {
			r.Refused++
		}
		r.answered(m)
		r.open -= int(m.members) - int(m.heard)
	default:
		return
	}
	r.settled(at)
}

// delivered handles a copy of a message.
func (r *run) delivered(c *conn, m *sent, at int64) {
	m.heard++
	if m.heard > m.members {
		return
	}
	r.Delivered++
	r.open--
	r.last = max(r.last, at)
	r.Deliveries.observe(time.Duration(at - m.due))
	if r.until == 0 || m.sender != int32(c.index) {
		return
	}
	if now := time.Now().UnixNano(); now < r.until {
		r.send(c, now)
	}
}

// answered counts the answer to a message, once.
func (r *run) answered(m *sent) {
	if m.answers == 0 {
		r.open--
	}
	m.answers = 1
}

// settled ends the load if nothing is missing.
func (r *run) settled(now int64) {
	all := r.until > 0 && now >= r.until || r.until == 0 && r.index == r.total
	if all && r.open <= 0 && !r.over {
		r.finish(time.Now().UnixNano()) // now may be the kernel's time of what was read later
		close(r.done)
	}
}
