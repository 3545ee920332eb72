package swarm

import (
	"context"
	"time"
)

// Remover is a Dialect in which clients can delete their messages.
type Remover interface {
	// ID returns the id of the message that sent acknowledges.
	ID(sent []byte) string
	// AppendRemove appends the command that deletes a message, with a mark as in
	// AppendSend.
	AppendRemove(dst []byte, room, id string, number int) []byte
	// Gone reports whether a refusal of that command means that the room does not hold
	// the message any more.
	Gone(refusal []byte) bool
}

// said is an accepted message.
type said struct {
	c  *conn
	id string
}

// Remembered returns the number of messages that Remove would delete.
func (s *Swarm) Remembered() (n int) {
	s.do(func() { n = len(s.said) })
	return n
}

// Remove deletes the messages of all clients, rate of them a second, and returns how
// many are left.
func (s *Swarm) Remove(ctx context.Context, rate float64) (left int) {
	r := s.newRun()
	r.every = float64(time.Second) / rate
	if !s.do(func() { r.said, s.said = s.said, nil }) || len(r.said) == 0 {
		return 0
	}
	r.total = len(r.said)
	result := r.carryOut(ctx, func() {}, time.Duration(float64(r.total)*r.every))
	return r.total - result.Acknowledged
}
