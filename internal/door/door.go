// Package door decides who may come in. A node that thousands come to at once
// would drown in their handshakes, and those whom it serves would notice: so
// only so many are under way at a time, and who comes beyond them is told to
// come again later, before the node has spent anything on them.
//
// A visit is under way from the request that opens a connection until the
// welcome. One that says nothing costs next to nothing, but takes a place. An
// address may hold only a part of the places; when these, or all, are taken, the
// visit of that address, or of any, that has been silent for longest has to go.
package door

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"time"
)

// Config says how many may be on their way in; what is zero gets its default.
type Config struct {
	// Most is how many visits may be under way. The default is 128 for each
	// processor: a handshake takes one for about half a millisecond, so that those
	// who are in wait for 64 ms at most, and a client that answers within 100 ms
	// still lets more than a thousand a second in.
	Most int
	// ByAddress is how many of them may be one address's; by default half. An
	// IPv6 address counts with its /64 network, which is what one customer gets.
	// The loopback is not bounded so: whoever comes from there is this
	// machine's own, most likely a proxy with everybody behind it.
	ByAddress int
	// Patience is how long a visit may say nothing before it has to go when its
	// place is wanted; default 500 ms.
	Patience time.Duration
}

func (c *Config) fill() {
	if c.Most == 0 {
		c.Most = perProcessor * runtime.GOMAXPROCS(0)
	}
	if c.ByAddress == 0 {
		c.ByAddress = max(1, c.Most/2)
	}
	if c.Patience == 0 {
		c.Patience = 500 * time.Millisecond
	}
}

// perProcessor is how many visits may be under way for each processor.
const perProcessor = 128

// retryMost is the longest that who is refused is told to wait.
const retryMost = 3 * time.Second

// Stats are what a Door counted.
type Stats struct {
	// UnderWay are the visits that have not been welcomed yet. Refused are those
	// that were not let in, Evicted those that had to go because they were
	// silent.
	UnderWay         int
	Refused, Evicted uint64
}

// Door is one node's.
type Door struct {
	cfg Config

	mu      sync.Mutex // guards the fields below, and the visits' own
	count   int
	address map[netip.Addr]int
	// silent are those that have not said hello, the oldest first.
	silent           list
	refused, evicted uint64
}

// New makes a Door.
func New(cfg Config) *Door {
	cfg.fill()
	return &Door{cfg: cfg, address: make(map[netip.Addr]int)}
}

// Visit is somebody on the way in. Its methods may be called by any goroutine;
// those of a nil Visit do nothing.
type Visit struct {
	door    *Door
	address netip.Addr
	began   time.Time

	over       bool
	evict      func()
	prev, next *Visit // in silent
	listed     bool
}

// Knock asks to be let in. Who is not gets no Visit, but how long to wait before
// it asks again: a random time, so that those who came together don't come
// together again.
func (d *Door) Knock(from netip.Addr) (*Visit, time.Duration) {
	from = network(from)
	now := time.Now()
	d.mu.Lock()
	var gone *Visit
	full, share := d.count >= d.cfg.Most, d.address[from] >= d.cfg.ByAddress
	switch {
	case share: // its own visits give way, which makes room for it in all too
		gone = d.oldestLocked(now, from)
	case full:
		gone = d.oldestLocked(now, netip.Addr{})
	}
	if (full || share) && gone == nil {
		d.refused++
		d.mu.Unlock()
		return nil, 1 + rand.N(retryMost)
	}
	var evict func()
	if gone != nil {
		evict = gone.evict
		d.evicted++
		gone.endLocked()
	}
	v := &Visit{door: d, address: from, began: now}
	d.count++
	if from.IsValid() {
		d.address[from]++
	}
	d.silent.push(v)
	d.mu.Unlock()
	if evict != nil {
		evict()
	}
	return v, 0
}

// oldestLocked returns the visit that has been silent for longest, and for at least
// Patience: of an address, or of any where that is the zero one. nil for none.
func (d *Door) oldestLocked(now time.Time, from netip.Addr) *Visit {
	for v := d.silent.first; v != nil && now.Sub(v.began) >= d.cfg.Patience; v = v.next {
		if !from.IsValid() || v.address == from {
			return v
		}
	}
	return nil
}

// OnEvict has f called, once, if the visit has to go. f must not block.
func (v *Visit) OnEvict(f func()) {
	if v == nil {
		return
	}
	v.door.mu.Lock()
	over := v.over
	v.evict = f
	v.door.mu.Unlock()
	if over {
		f()
	}
}

// Speak tells that the visitor has said hello: it is not made to go any more.
func (v *Visit) Speak() {
	if v == nil {
		return
	}
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	v.door.silent.remove(v)
}

// Hush tells that the visitor has to say hello anew, as the last was refused.
func (v *Visit) Hush() {
	if v == nil {
		return
	}
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	if !v.over && !v.listed {
		v.began = time.Now()
		v.door.silent.push(v)
	}
}

// End tells that the visitor is in, or gone. Only the first call counts.
func (v *Visit) End() {
	if v == nil {
		return
	}
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	v.endLocked()
}

func (v *Visit) endLocked() {
	if v.over {
		return
	}
	d := v.door
	v.over, v.evict = true, nil
	d.count--
	if d.address[v.address]--; d.address[v.address] <= 0 {
		delete(d.address, v.address)
	}
	d.silent.remove(v)
}

// Stats returns the counts so far.
func (d *Door) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Stats{UnderWay: d.count, Refused: d.refused, Evicted: d.evicted}
}

// network is by what an address is counted; invalid where it is not.
func network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	switch {
	case a.IsLoopback():
		return netip.Addr{}
	case a.Is4():
		return a
	}
	const ipv6Network = 64
	p, err := a.Prefix(ipv6Network)
	if err != nil {
		return netip.Addr{} // not an address
	}
	return p.Addr()
}

// list is of visits, the oldest first.
type list struct{ first, last *Visit }

func (l *list) push(v *Visit) {
	v.listed, v.prev = true, l.last
	if l.last != nil {
		l.last.next = v
	} else {
		l.first = v
	}
	l.last = v
}

func (l *list) remove(v *Visit) {
	if !v.listed {
		return
	}
	if v.prev != nil {
		v.prev.next = v.next
	} else {
		l.first = v.next
	}
	if v.next != nil {
		v.next.prev = v.prev
	} else {
		l.last = v.prev
	}
	v.listed, v.prev, v.next = false, nil, nil
}
