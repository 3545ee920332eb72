package door

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// Web bounds the connections of an HTTP server that are not WebSockets, or not
// yet: those whose request trickles in, and those that wait for another one. It
// closes who comes beyond before anything is read, so that files are left for
// users and for Redis. An http.Server calls its State.
type Web struct {
	most      int
	byAddress int
	shared    func(netip.Addr) bool

	mu      sync.Mutex // guards the fields below
	count   int
	address map[netip.Addr]int
}

// NewWeb bounds them to so many, and half of these for one address, but for the
// loopback (see Config.ByAddress) and for addresses that are shared by many users,
// as those of trusted proxies; nil for none.
func NewWeb(most int, shared func(netip.Addr) bool) *Web {
	return &Web{most: most, byAddress: max(1, most/2), shared: shared, address: make(map[netip.Addr]int)}
}

// State is told of each connection (http.Server.ConnState).
func (w *Web) State(c net.Conn, state http.ConnState) {
	address := FromString(c.RemoteAddr().String())
	from := network(address)
	if w.shared != nil && w.shared(address) {
		from = netip.Addr{}
	}
	switch state {
	case http.StateNew:
		if !w.add(from) {
			_ = c.Close() // its state becomes StateClosed
		}
	case http.StateHijacked, http.StateClosed:
		w.remove(from)
	}
}

// Count is how many there are.
func (w *Web) Count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

func (w *Web) add(from netip.Addr) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count++
	if from.IsValid() {
		w.address[from]++
	}
	return w.count <= w.most && w.address[from] <= w.byAddress
}

func (w *Web) remove(from netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count--
	if w.address[from]--; w.address[from] <= 0 {
		delete(w.address, from)
	}
}

// FromString reads the address of "host:port", as requests have it; it is
// invalid where there is none.
func FromString(hostPort string) netip.Addr {
	a, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr()
}
