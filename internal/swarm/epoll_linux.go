package swarm

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// epoll is an engine without a goroutine or a buffer for each connection: one epoll
// instance, one buffer, and one recvmsg for each socket that has something, which also
// brings the kernel's time stamp.
type epoll struct {
	s      *Swarm
	fd     int
	bell   int // an eventfd: wake
	timer  int // a timerfd: until
	set    int64
	events []unix.EpollEvent
	buf    []byte
	oob    []byte
}

// Event data of the descriptors that belong to no connection, whose data is its index.
const (
	bellEvent  = -1
	timerEvent = -2
)

// readBuffer holds what one recvmsg takes from a socket.
const readBuffer = 64 << 10

func newEpoll(s *Swarm) (engine, error) {
	e := &epoll{s: s, fd: -1, bell: -1, timer: -1,
		events: make([]unix.EpollEvent, 256), buf: make([]byte, readBuffer), oob: make([]byte, unix.CmsgSpace(16))}
	var err error
	if e.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if e.bell, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		e.close()
		return nil, os.NewSyscallError("eventfd", err)
	}
	if e.timer, err = unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		e.close()
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	for fd, data := range map[int]int32{e.bell: bellEvent, e.timer: timerEvent} {
		// Edges: neither has to be read.
		if err := unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: data}); err != nil {
			e.close()
			return nil, os.NewSyscallError("epoll_ctl", err)
		}
	}
	return e, nil
}

// add moves a connection from the runtime's poller to this one (engine).
func (e *epoll) add(c *conn) error {
	tcp, ok := c.net.(*net.TCPConn)
	if !ok {
		return errors.New("not a TCP connection")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		c.fd, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return err
	}
	if failed != nil {
		c.fd = -1
		return os.NewSyscallError("fcntl", failed)
	}
	// The kernel may be too old for time stamps of TCP; then the read's is used.
	_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	_ = tcp.Close() // of the first descriptor only
	c.net = nil
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.index)}))
}

// wait waits for sockets (engine). It sends what becomes due between two of them.
func (e *epoll) wait(until int64) {
	e.arm(until)
	began := time.Now()
	n, err := unix.EpollWait(e.fd, e.events, -1)
	e.s.waited += time.Since(began)
	if err != nil {
		return // EINTR; nothing else can happen with valid descriptors
	}
	for _, event := range e.events[:n] {
		if event.Fd < 0 {
			if event.Fd == timerEvent {
				e.set = 0
			}
			continue
		}
		if c := e.s.conns[event.Fd]; !c.dead {
			e.read(c)
			e.s.tick(time.Now().UnixNano())
		}
	}
}

// arm sets the timer, unless it is set to that time.
func (e *epoll) arm(until int64) {
	if until == 0 || until == e.set {
		return
	}
	e.set = until
	_ = unix.TimerfdSettime(e.timer, unix.TFD_TIMER_ABSTIME, &unix.ItimerSpec{Value: unix.NsecToTimespec(until)}, nil) // never fails with these
}

// read reads once from a connection.
func (e *epoll) read(c *conn) {
	n, oobn, _, _, err := unix.Recvmsg(c.fd, e.buf, e.oob, unix.MSG_DONTWAIT)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil || n == 0:
		e.s.drop(c)
		return
	}
	e.s.input(c, e.buf[:n], stamp(e.oob[:oobn]))
}

// stamp returns the time stamp of a recvmsg: when the kernel received the newest bytes
// of what was read.
func stamp(oob []byte) int64 {
	for len(oob) > 0 {
		head, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		if head.Level == unix.SOL_SOCKET && head.Type == unix.SO_TIMESTAMPNS {
			switch order := binary.NativeEndian; len(data) { // of a timespec
			case 16:
				return int64(order.Uint64(data))*int64(time.Second) + int64(order.Uint64(data[8:]))
			case 8:
				return int64(order.Uint32(data))*int64(time.Second) + int64(order.Uint32(data[4:]))
			}
		}
		oob = rest
	}
	return time.Now().UnixNano()
}

// write writes a frame whole. A socket that does not take it belongs to a node that
// has stopped reading (engine).
func (e *epoll) write(c *conn, frame []byte) error {
	n, err := unix.SendmsgN(c.fd, frame, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if err == nil && n < len(frame) {
		return io.ErrShortWrite
	}
	return err
}

func (e *epoll) drop(c *conn) {
	_ = unix.Close(c.fd) // and so out of epoll
	c.fd = -1
}

// wake ends a wait (engine).
func (e *epoll) wake() {
	_, _ = unix.Write(e.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // fails only if one is pending
}

func (e *epoll) close() {
	for _, c := range e.s.conns {
		if c != nil && c.fd >= 0 {
			e.drop(c)
		}
	}
	for _, fd := range []int{e.fd, e.bell, e.timer} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}
