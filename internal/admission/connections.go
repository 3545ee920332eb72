package admission

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// Connections bounds the connections of an HTTP server that are not WebSockets, or
// not yet: those whose request arrives slowly, and idle ones. A connection beyond
// the bound is closed before anything is read, so that file descriptors remain for
// users and for Redis. Its State is an http.Server's ConnState.
type Connections struct {
	max        int
	perAddress int
	shared     func(netip.Addr) bool

	mu        sync.Mutex // guards the fields below
	count     int
	byAddress map[netip.Addr]int
}

// NewConnections returns a bound of limit connections, half of which one address
// may hold. Loopback addresses (see LimiterConfig.MaxPerAddress) and those for which
// shared returns true, as of trusted proxies, have no bound of their own. shared may
// be nil.
func NewConnections(limit int, shared func(netip.Addr) bool) *Connections {
	return &Connections{max: limit, perAddress: max(1, limit/2), shared: shared, byAddress: make(map[netip.Addr]int)}
}

// State counts a connection, and closes it if there are too many
// (http.Server.ConnState).
func (cs *Connections) State(c net.Conn, state http.ConnState) {
	address := ParseAddr(c.RemoteAddr().String())
	from := network(address)
	if cs.shared != nil && cs.shared(address) {
		from = netip.Addr{}
	}
	switch state {
	case http.StateNew:
		if !cs.add(from) {
			_ = c.Close() // its state becomes StateClosed
		}
	case http.StateHijacked, http.StateClosed:
		cs.remove(from)
	}
}

// Count returns the number of connections.
func (cs *Connections) Count() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.count
}

func (cs *Connections) add(from netip.Addr) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.count++
	if from.IsValid() {
		cs.byAddress[from]++
	}
	return cs.count <= cs.max && cs.byAddress[from] <= cs.perAddress
}

func (cs *Connections) remove(from netip.Addr) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.count--
	if cs.byAddress[from]--; cs.byAddress[from] <= 0 {
		delete(cs.byAddress, from)
	}
}

// ParseAddr reads the address of "host:port", as http.Request.RemoteAddr has it. It
// returns an invalid one if there is none.
func ParseAddr(hostPort string) netip.Addr {
	a, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr()
}
