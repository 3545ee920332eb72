package conn

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/chattest"
)

func TestCloseSendsWhatWasSentBefore(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	r := s.raw(t)
	c := <-s.conns
	for range 100 {
		c.Send(Text([]byte("x")))
	}
	c.Close(4003, strings.Repeat("ü", 100))
	c.Close(1000, "only the first counts")
	c.Send(Text([]byte("too late")))
	for range 100 {
		if _, payload, err := r.frame(); err != nil || string(payload) != "x" {
			t.Fatalf("got %s, %v", payload, err)
		}
	}
	head, payload, err := r.frame()
	if err != nil || head != finClose || len(payload) > 125 || !strings.HasSuffix(string(payload), "ü") {
		t.Errorf("got frame %x %q, %v", head, payload, err)
	}
	_, _ = r.Write(masked(finClose, string(payload)))
	if got := <-s.closed; got[0] != 4003 {
		t.Errorf("the handler got %v at the close", got)
	}
}

func TestAPanicEndsItsConnectionAlone(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	bad, good := s.raw(t), s.raw(t)
	_, _ = bad.Write(masked(0x81, "panic"))
	bad.closes(1011)
	_, _ = good.Write(masked(0x81, "still here"))
	if _, payload, err := good.frame(); err != nil || string(payload) != "still here" {
		t.Errorf("the other connection got %s, %v", payload, err)
	}
	if s.Stats().Panics != 1 {
		t.Errorf("%d panics were counted", s.Stats().Panics)
	}
}

// This test counts goroutines, so it does not run in parallel with others.
func TestCloseLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	s := NewServer(Config{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = s.Accept(w, r, func(c *Conn) Handler { return &echo{c, make(chan [2]any, 1)} })
	}))
	var clients sync.WaitGroup
	for range 50 {
		c, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(web.URL, "http"), nil)
		if err != nil {
			t.Fatal(err)
		}
		clients.Go(func() {
			defer c.Close()
			for {
				if _, _, err := c.ReadMessage(); err != nil {
					if !websocket.IsCloseError(err, 1001) {
						t.Errorf("a client got %v, want close code 1001", err)
					}
					return
				}
			}
		})
	}
	chattest.Eventually(t, "the connections", func() bool { return s.Stats().Open == 50 })
	s.Close()
	clients.Wait()
	web.Close()
	if s.Stats().Open != 0 {
		t.Errorf("%d connections are open", s.Stats().Open)
	}
	chattest.Eventually(t, "the end of all goroutines", func() bool { return runtime.NumGoroutine() <= before+1 })
}

// The answer to the client's close is written before the connection ends, even if the loop
// is late because the machine is busy. In virtual time.
func TestTheAnswerToACloseIsWrittenLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		s := &Server{}
		s.cfg.fill()
		c := newConn(s, near, newLoop(s.cfg.JoinEvery))
		c.in.handler, c.in.closed, c.in.code = &collect{}, true, 4000
		go c.finish()                      // ends with the answer
		time.Sleep(500 * time.Millisecond) // of virtual time
		stop := make(chan struct{})
		defer close(stop)
		go c.out.loop.run(stop) // ends with stop
		want := closeFrame(4000, "")
		got := make([]byte, len(want))
		if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %x, %v, want %x", got, err, want)
		}
	})
}
