package admission

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"time"
)

// LimiterConfig bounds the handshakes that may be in flight. A field that is zero
// gets its default.
type LimiterConfig struct {
	// MaxSlots is the number of handshakes that may be in flight. The default is
	// 128 for each processor: a handshake takes about half a millisecond of one, so
	// connected users wait 64 ms at most, and clients that answer within 100 ms
	// still connect at more than a thousand a second.
	MaxSlots int
	// MaxPerAddress is the number of slots that one address may hold, by default
	// half of MaxSlots. An IPv6 address counts with its /64 network, which is what
	// one customer gets. Loopback addresses have no bound of their own: they are
	// most likely a proxy with every user behind it.
	MaxPerAddress int
	// SilentFor is how long a slot may be inactive before it can be evicted in
	// favour of another; default 500 ms.
	SilentFor time.Duration
}

func (c *LimiterConfig) fill() {
	if c.MaxSlots == 0 {
		c.MaxSlots = slotsPerProcessor * runtime.GOMAXPROCS(0)
	}
	if c.MaxPerAddress == 0 {
		c.MaxPerAddress = max(1, c.MaxSlots/2)
	}
	if c.SilentFor == 0 {
		c.SilentFor = 500 * time.Millisecond
	}
}

const slotsPerProcessor = 128

// maxRetryAfter is the longest wait that Acquire returns.
const maxRetryAfter = 3 * time.Second

// LimiterStats are the counts of a Limiter.
type LimiterStats struct {
	// InFlight is the number of slots in use. Refused counts the calls of Acquire
	// that returned no slot, Evicted the slots that were evicted while inactive.
	InFlight         int
	Refused, Evicted uint64
}

// Limiter bounds the handshakes of one node that are in flight: from the request
// that opens a connection until the welcome. An inactive handshake (no hello yet)
// costs next to nothing but holds a slot. When all slots, or those of an address,
// are in use, the slot that has been inactive for longest is evicted.
//
// A Limiter may be used by any number of goroutines.
type Limiter struct {
	cfg LimiterConfig

	mu        sync.Mutex // guards the fields below, and those of the slots
	count     int
	byAddress map[netip.Addr]int
	inactive  slotList // slots without a hello, the oldest first
	refused   uint64
	evicted   uint64
}

// NewLimiter returns a Limiter.
func NewLimiter(cfg LimiterConfig) *Limiter {
	cfg.fill()
	return &Limiter{cfg: cfg, byAddress: make(map[netip.Addr]int)}
}

// Slot is one handshake in flight. Its methods may be called by any goroutine;
// those of a nil *Slot do nothing.
type Slot struct {
	limiter *Limiter
	address netip.Addr
	began   time.Time

	released   bool
	onEvict    func()
	prev, next *Slot // in Limiter.inactive
	listed     bool
}

// Acquire returns a handshake slot for an address, or nil and how long to wait
// before trying again. The wait is random, so that clients which came together do
// not return together.
func (l *Limiter) Acquire(from netip.Addr) (*Slot, time.Duration) {
	slot, onEvict, wait := l.acquire(network(from))
	if onEvict != nil {
		onEvict()
	}
	return slot, wait
}

// acquire returns the slot, and the function that closes the connection whose slot
// was evicted for it; nil for none.
func (l *Limiter) acquire(from netip.Addr) (slot *Slot, onEvict func(), wait time.Duration) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	var victim *Slot
	full, share := l.count >= l.cfg.MaxSlots, l.byAddress[from] >= l.cfg.MaxPerAddress
	switch {
	case share: // evicting one of its own makes room for the address and in total
		victim = l.oldestLocked(now, from)
	case full:
		victim = l.oldestLocked(now, netip.Addr{})
	}
	if (full || share) && victim == nil {
		l.refused++
		return nil, nil, 1 + rand.N(maxRetryAfter)
	}
	if victim != nil {
		onEvict = victim.onEvict
		l.evicted++
		victim.releaseLocked()
	}
	slot = &Slot{limiter: l, address: from, began: now}
	l.count++
	if from.IsValid() {
		l.byAddress[from]++
	}
	l.inactive.push(slot)
	return slot, onEvict, 0
}

// oldestLocked returns the slot that has been inactive for longest, and for at
// least SilentFor: of one address, or of any if that is the zero one. It returns
// nil if there is none.
func (l *Limiter) oldestLocked(now time.Time, from netip.Addr) *Slot {
	for s := l.inactive.first; s != nil && now.Sub(s.began) >= l.cfg.SilentFor; s = s.next {
		if !from.IsValid() || s.address == from {
			return s
		}
	}
	return nil
}

// OnEvict sets the function that is called, once, when the slot is evicted; if it
// has been, f is called now. f must not block.
func (s *Slot) OnEvict(f func()) {
	if s == nil {
		return
	}
	if s.setOnEvict(f) {
		f()
	}
}

func (s *Slot) setOnEvict(f func()) (released bool) {
	s.limiter.mu.Lock()
	defer s.limiter.mu.Unlock()
	s.onEvict = f
	return s.released
}

// Activate protects the slot from eviction: its client has sent hello.
func (s *Slot) Activate() {
	if s == nil {
		return
	}
	s.limiter.mu.Lock()
	defer s.limiter.mu.Unlock()
	s.limiter.inactive.remove(s)
}

// Deactivate ends the protection of Activate: the hello was refused, and the client
// has to send another.
func (s *Slot) Deactivate() {
	if s == nil {
		return
	}
	s.limiter.mu.Lock()
	defer s.limiter.mu.Unlock()
	if !s.released && !s.listed {
		s.began = time.Now()
		s.limiter.inactive.push(s)
	}
}

// Release gives the slot back, at the welcome or at the end of the connection. Only
// the first call counts.
func (s *Slot) Release() {
	if s == nil {
		return
	}
	s.limiter.mu.Lock()
	defer s.limiter.mu.Unlock()
	s.releaseLocked()
}

func (s *Slot) releaseLocked() {
	if s.released {
		return
	}
	l := s.limiter
	s.released, s.onEvict = true, nil
	l.count--
	if l.byAddress[s.address]--; l.byAddress[s.address] <= 0 {
		delete(l.byAddress, s.address)
	}
	l.inactive.remove(s)
}

// Stats returns the counts so far.
func (l *Limiter) Stats() LimiterStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return LimiterStats{InFlight: l.count, Refused: l.refused, Evicted: l.evicted}
}

// network returns what an address is counted by; invalid if it is not counted.
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

// slotList is a list of slots, the oldest first.
type slotList struct{ first, last *Slot }

func (l *slotList) push(s *Slot) {
	s.listed, s.prev = true, l.last
	if l.last != nil {
		l.last.next = s
	} else {
		l.first = s
	}
	l.last = s
}

func (l *slotList) remove(s *Slot) {
	if !s.listed {
		return
	}
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		l.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		l.last = s.prev
	}
	s.listed, s.prev, s.next = false, nil, nil
}
