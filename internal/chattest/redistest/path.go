package redistest

import (
	"net"
	"sync"
	"testing"
)

// Path is a path to a server that can be made to drop large packets, like a tunnel whose
// MTU the ends do not know. A connection that sends a large packet is stuck in that
// direction from then on, since TCP repeats the same packet.
type Path struct {
	// Addr is the address on which it listens.
	Addr string

	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	conns  map[net.Conn]bool
	to     bool // large packets to the server are dropped
	from   bool // large packets from the server are dropped
	closed bool
}

// narrowest is the largest packet, in bytes, that a narrow Path forwards.
const narrowest = 1000

// NewPath opens a path to the server, which the end of the test closes.
func NewPath(t testing.TB, s *Server) *Path {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Path{Addr: l.Addr().String(), target: s.Addr, listener: l, conns: make(map[net.Conn]bool)}
	p.running.Go(p.accept) // ends with the listener; close waits
	t.Cleanup(p.close)
	return p
}

// Narrow sets whether large packets to the server, and from it, are dropped from now on.
func (p *Path) Narrow(to, from bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to, p.from = to, from
}

func (p *Path) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}

func (p *Path) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		if p.add(client, server) {
			p.running.Go(func() { p.copy(server, client, &p.to) })   // ends with the connections
			p.running.Go(func() { p.copy(client, server, &p.from) }) // as above
		}
	}
}

// add registers connections to be closed with the Path; it returns false if that is
// closed.
func (p *Path) add(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.closed {
			_ = c.Close()
		} else {
			p.conns[c] = true
		}
	}
	return !p.closed
}

func (p *Path) remove(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(p.conns, c)
	}
}

// copy copies from one end to the other until either is closed.
func (p *Path) copy(to, from net.Conn, narrow *bool) {
	defer p.remove(to, from)
	stuck := false
	for buffer := make([]byte, 64<<10); ; {
		n, err := from.Read(buffer)
		p.mu.Lock()
		stuck = stuck || *narrow && n > narrowest
		p.mu.Unlock()
		if !stuck && n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
