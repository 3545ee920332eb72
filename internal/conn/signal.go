package conn

import "time"

// signal wakes the goroutine that waits for an event, of which there is at most one. The
// owner's mutex guards it. The zero value is ready for use.
type signal struct{ c chan struct{} }

// expect returns a channel that the next notify closes.
func (s *signal) expect() <-chan struct{} {
	s.c = make(chan struct{})
	return s.c
}

// notify wakes the goroutine that waits, if there is one.
func (s *signal) notify() {
	if s.c != nil {
		close(s.c)
		s.c = nil
	}
}

// closedWithin reports whether the channel is closed within d; true if it is nil.
func closedWithin(d time.Duration, c <-chan struct{}) bool {
	if c == nil {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c:
		return true
	case <-timer.C:
		return false
	}
}
