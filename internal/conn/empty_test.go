package conn

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chat/internal/chattest"
)

// closedNow reports whether a channel is closed, without waiting.
func closedNow(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestEmptyReportsTheEndOfTheLastConnection opens two connections and ends them one
// after the other.
func TestEmptyReportsTheEndOfTheLastConnection(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	if !closedNow(s.Empty()) {
		t.Error("a server without connections is not empty")
	}
	first, second := s.raw(t), s.raw(t)
	chattest.Eventually(t, "two connections", func() bool { return s.Stats().Open == 2 })
	empty := s.Empty()
	_ = first.Close()
	<-s.closed
	chattest.Eventually(t, "one connection", func() bool { return s.Stats().Open == 1 })
	if closedNow(empty) || closedNow(s.Empty()) {
		t.Error("a server with a connection is empty")
	}
	_ = second.Close()
	select {
	case <-empty:
	case <-time.After(chattest.Patience):
		t.Fatal("the end of the last connection is not reported")
	}
	if !closedNow(s.Empty()) {
		t.Error("a server without connections is no longer empty")
	}
}

// TestAConnectionEndsOnceItsLastFrameIsWritten checks in virtual time that flush ends
// with the queue, and without progress after flushTime.
func TestAConnectionEndsOnceItsLastFrameIsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s Server
		s.cfg.fill()
		c := &Conn{server: &s, queue: [][]byte{{1, 2, 3}}, waiting: 3, closing: true}
		began := time.Now()
		if c.flush(); time.Since(began) != flushTime {
			t.Errorf("a flush without a writer took %s, want %s", time.Since(began), flushTime)
		}
		began = time.Now()
		var flush sync.WaitGroup
		flush.Go(c.flush)
		synctest.Wait()
		c.wrote(1, nil)
		synctest.Wait()
		if c.mu.Lock(); c.drained == nil {
			t.Error("the flush ended with two bytes in the queue")
		}
		c.mu.Unlock()
		c.wrote(2, nil)
		if flush.Wait(); time.Since(began) != 0 {
			t.Errorf("the flush went on for %s after the last byte", time.Since(began))
		}
	})
}
