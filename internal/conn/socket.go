package conn

import (
	"io"
	"net"
	"sync"
	"syscall"
)

// socket is the network connection of a Conn. It does not change, and is safe for
// concurrent use.
type socket struct {
	net net.Conn
	raw syscall.RawConn // nil if the socket can't be read and written without blocking
	tcp syscall.RawConn // the same, also beneath TLS; nil if there is none
}

func newSocket(n net.Conn) socket {
	s := socket{net: n}
	if tcp, ok := n.(*net.TCPConn); ok {
		s.raw, _ = tcp.SyscallConn() // nil if it is closed; then writes fail too
		s.tcp = s.raw
	} else if beneath, ok := n.(interface{ NetConn() net.Conn }); ok {
		if tcp, ok := beneath.NetConn().(*net.TCPConn); ok {
			s.tcp, _ = tcp.SyscallConn()
		}
	}
	return s
}

// unsent returns how many bytes written to the socket TCP has not sent yet; 0 if that is
// unknown.
func (s *socket) unsent() int {
	if s.tcp == nil {
		return 0
	}
	return unsentBy(s.tcp)
}

// unacknowledged returns how many bytes written to the socket the other side has not
// acknowledged; 0 if that is unknown.
func (s *socket) unacknowledged() int {
	n := 0
	if s.raw != nil {
		_ = s.raw.Control(func(fd uintptr) { n = unacknowledgedBy(fd) })
	}
	return n
}

// pieceSize is how much is read at once.
const pieceSize = 4 << 10

// buffers are borrowed while their contents are handled.
var buffers = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// releaseBuffer returns a borrowed buffer to the pool.
func releaseBuffer(b []byte) { buffers.Put((*[pieceSize]byte)(b[:pieceSize])) }

// reader returns a function that reads the next bytes into a borrowed buffer. Where the
// system allows it, no buffer is held while it waits.
func (s *socket) reader() func() ([]byte, error) {
	if s.raw == nil || !canDoNow {
		return s.readBlocking
	}
	r := &socketReader{}
	try := func(fd uintptr) bool {
		buf := buffers.Get().(*[pieceSize]byte)
		n, wait, err := readNow(fd, buf[:])
		if wait {
			buffers.Put(buf)
			return false
		}
		r.got, r.err = buf[:n], err
		return true
	}
	return func() ([]byte, error) {
		if err := s.raw.Read(try); err != nil {
			return nil, err
		}
		if r.err == nil && len(r.got) == 0 {
			r.err = io.EOF
		}
		if r.err != nil {
			releaseBuffer(r.got)
		}
		return r.got, r.err
	}
}

// socketReader is the result of one read.
type socketReader struct {
	got []byte
	err error
}

func (s *socket) readBlocking() ([]byte, error) {
	buf := buffers.Get().(*[pieceSize]byte)
	n, err := s.net.Read(buf[:])
	if n > 0 {
		return buf[:n], nil
	}
	buffers.Put(buf)
	if err == nil {
		err = io.ErrNoProgress
	}
	return nil, err
}
