package swarm

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestArrivalIsTheKernelsTime reads a message some time after the kernel received it.
func TestArrivalIsTheKernelsTime(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	own, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	node, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	s, _ := stage(1)
	c := s.conns[0]
	c.net = own
	engine, err := newEpoll(s)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.close()
	if err := engine.add(c); err != nil {
		t.Fatal(err)
	}
	if on, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS); err != nil || on == 0 {
		t.Skip("this kernel has no time stamps of TCP")
	}
	s.engine = engine
	payload := answer(messageText, 0)
	// The kernel begins with time stamps some time after the first socket wants them.
	for end := time.Now().Add(time.Minute); ; {
		if late := arrival(t, s, engine, node, payload); late < 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("for a minute no message had a time before it was read")
		}
	}
}

// arrival lets a message arrive and rest for a while, and returns how long after its
// arrival the clients think that it came.
func arrival(t *testing.T, s *Swarm, engine engine, node net.Conn, payload []byte) time.Duration {
	t.Helper()
	r := s.newRun()
	r.first, s.number, s.load = 0, 0, r
	r.base = time.Now().UnixNano()
	r.every, r.total = 1, 1
	s.tick(r.base)
	if _, err := node.Write(payload); err != nil {
		t.Fatal(err)
	}
	for { // until the kernel has all of it
		n, err := unix.IoctlGetInt(s.conns[0].fd, unix.TIOCINQ)
		if err != nil {
			t.Fatal(err)
		}
		if n == len(payload) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	received := time.Now()
	time.Sleep(20 * time.Millisecond) // the time until it is read, which must not count
	for r.Delivered == 0 {
		engine.wait(0)
	}
	if r.last < r.base {
		t.Fatalf("it arrived %s before it was sent", time.Duration(r.base-r.last))
	}
	return time.Duration(r.last - received.UnixNano())
}
