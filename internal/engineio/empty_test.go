package engineio

import (
	"testing"
	"time"

	"example.com/chat/internal/chattest"
)

// TestEmptyReportsTheEndOfTheLastSession opens two polling sessions and ends them one
// after the other.
func TestEmptyReportsTheEndOfTheLastSession(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	select {
	case <-s.Empty():
	default:
		t.Error("a server without sessions is not empty")
	}
	first, second := s.polling(), s.polling()
	empty := s.Empty()
	s.wants("POST", first, "1", 200, "ok")
	chattest.Eventually(t, "one session", func() bool { return s.Stats().Open == 1 })
	select {
	case <-empty:
		t.Error("a server with a session is empty")
	default:
	}
	s.wants("POST", second, "1", 200, "ok")
	select {
	case <-empty:
	case <-time.After(chattest.Patience):
		t.Fatal("the end of the last session is not reported")
	}
}
