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
	r := s.newRun()
	s.load = r
	r.base = time.Now().UnixNano()
	r.every, r.total = 1, 1
	s.tick(r.base)
	payload := answer(messageText, 0)
	if _, err := node.Write(payload); err != nil {
		t.Fatal(err)
	}
	for { // until the kernel has all of it
		n, err := unix.IoctlGetInt(c.fd, unix.TIOCINQ)
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
	engine.wait(0)
	if r.Delivered != 1 || r.last > received.UnixNano() || r.last < r.base {
		t.Errorf("%d delivered, %s after it was received", r.Delivered, time.Duration(r.last-received.UnixNano()))
	}
}
