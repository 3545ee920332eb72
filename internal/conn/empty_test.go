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
// with the queue, without progress after flushTime, and without a writer after Linger.
func TestAConnectionEndsOnceItsLastFrameIsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var cfg Config
		cfg.fill()
		o := &outbox{cfg: &cfg, queue: [][]byte{{1, 2, 3}}, waiting: 3, closing: true}
		began := time.Now()
		if o.flush(); time.Since(began) != cfg.Linger {
			t.Errorf("a flush without a writer took %s, want %s", time.Since(began), cfg.Linger)
		}
		o.setStuck()
		began = time.Now()
		if o.flush(); time.Since(began) != flushTime {
			t.Errorf("a flush to a socket that accepts nothing took %s, want %s", time.Since(began), flushTime)
		}
		began = time.Now()
		var flush sync.WaitGroup
		flush.Go(o.flush)
		synctest.Wait()
		o.wrote(1, nil)
		synctest.Wait()
		if o.mu.Lock(); o.flushed.c == nil {
			t.Error("the flush ended with two bytes in the queue")
		}
		o.mu.Unlock()
		o.wrote(2, nil)
		if flush.Wait(); time.Since(began) != 0 {
			t.Errorf("the flush went on for %s after the last byte", time.Since(began))
		}
	})
}
