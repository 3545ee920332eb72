//go:build linux

package badnet

import (
	"container/heap"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// way is what happens to the packets of one host in one direction. The zero value
// delivers all of them at once.
type way struct {
	// rate is how many bytes a second pass, 0 for no bound. At most queueBytes wait for
	// that; further packets are dropped.
	rate int
	// delay is how long a packet is in transit.
	delay time.Duration
	// loss is the share of packets that are dropped, late the share of those that are
	// lateBy longer in transit, so that others overtake them.
	loss, late float64
	lateBy     time.Duration
	// larger drops all packets of more bytes silently; 0 drops none.
	larger int
	// stalled drops all packets.
	stalled bool
}

// queueBytes bounds what waits for a bounded rate: three seconds at 20 kB/s, as in a home
// router.
const queueBytes = 64 << 10

// line is how a host is connected to the switch.
type line struct {
	up, down way // from the host, and to it
}

// direction is a way in use.
type direction struct {
	way
	free time.Time // when the packets so far have passed at the rate
	last time.Time // when the newest packet is delivered
}

// port is where a host is connected.
type port struct {
	host     *host
	up, down direction
	to       map[*port]*direction // further ways to single hosts
}

// network is the switch.
type network struct {
	t       *testing.T
	wake    chan struct{}
	stop    chan struct{}
	running sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	random *rand.Rand
	ports  map[[4]byte]*port
	queue  packets
	count  int64 // of packets, which keeps equal times in order
	lost   int
}

// packet is a packet in transit.
type packet struct {
	at    time.Time
	order int64
	to    *port
	data  []byte
}

// packets is a heap by the time of delivery.
type packets []packet

func (p packets) Len() int { return len(p) }
func (p packets) Less(i, j int) bool {
	return p[i].at.Before(p[j].at) || p[i].at.Equal(p[j].at) && p[i].order < p[j].order
}
func (p packets) Swap(i, j int) { p[i], p[j] = p[j], p[i] }
func (p *packets) Push(x any)   { *p = append(*p, x.(packet)) }
func (p *packets) Pop() any {
	last := (*p)[len(*p)-1]
	(*p)[len(*p)-1].data = nil
	*p = (*p)[:len(*p)-1]
	return last
}

// newNetwork starts a switch, which ends with the test.
func newNetwork(t *testing.T, random *rand.Rand) *network {
	n := &network{t: t, random: random, wake: make(chan struct{}, 1), stop: make(chan struct{}), ports: make(map[[4]byte]*port)}
	n.running.Go(n.deliver) // ends with stop; the clean-up waits
	t.Cleanup(func() {
		close(n.stop)
		n.running.Wait()
	})
	return n
}

// connect makes a host and connects it.
func (n *network) connect(name, ip string) *host {
	n.t.Helper()
	h := newHost(n.t, name, ip)
	p := &port{host: h, to: make(map[*port]*direction)}
	n.mu.Lock()
	n.ports[[4]byte(net.ParseIP(ip).To4())] = p
	n.mu.Unlock()
	go n.read(p) // ends when the host closes its device
	return h
}

// set changes a host's line from now on.
func (n *network) set(h *host, l line) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.portLocked(h)
	p.up.way, p.down.way = l.up, l.down
}

// between sets a further way from one host to another, beside those of their lines.
func (n *network) between(from, to *host, w way) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.portLocked(from).to[n.portLocked(to)] = &direction{way: w}
}

// part drops all packets between two hosts, or none any more.
func (n *network) part(a, b *host, apart bool) {
	n.between(a, b, way{stalled: apart})
	n.between(b, a, way{stalled: apart})
}

func (n *network) portLocked(h *host) *port { return n.ports[[4]byte(net.ParseIP(h.ip).To4())] }

// read forwards the packets that a host sends.
func (n *network) read(p *port) {
	buffer := make([]byte, 64<<10)
	for {
		size, err := p.host.tun.Read(buffer)
		if err != nil {
			return
		}
		const header, destination = 20, 16 // of IPv4 (RFC 791)
		if size < header || buffer[0]>>4 != 4 {
			continue
		}
		n.forward(p, [4]byte(buffer[destination:header]), buffer[:size])
	}
}

// forward decides whether and when a packet is delivered.
func (n *network) forward(from *port, address [4]byte, data []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	to := n.ports[address]
	if to == nil {
		return
	}
	at := time.Now()
	for _, d := range []*direction{&from.up, from.to[to], &to.down} {
		if d == nil {
			continue
		}
		var passed bool
		if at, passed = d.pass(n.random, at, len(data)); !passed {
			n.lost++
			return
		}
	}
	n.count++
	heap.Push(&n.queue, packet{at, n.count, to, append([]byte(nil), data...)})
	if n.queue[0].order == n.count {
		select {
		case n.wake <- struct{}{}:
		default:
		}
	}
}

// pass returns when a packet that arrives at a time has passed; false if it is dropped.
func (d *direction) pass(random *rand.Rand, at time.Time, size int) (time.Time, bool) {
	if d.stalled || d.larger > 0 && size > d.larger || d.loss > 0 && random.Float64() < d.loss {
		return at, false
	}
	if d.rate > 0 {
		begins := at
		if d.free.After(at) {
			begins = d.free
		}
		if waiting := int(begins.Sub(at).Seconds() * float64(d.rate)); waiting+size > queueBytes {
			return at, false
		}
		d.free = begins.Add(time.Duration(size) * time.Second / time.Duration(d.rate))
		at = d.free
	}
	at = at.Add(d.delay)
	if d.late > 0 && random.Float64() < d.late {
		return at.Add(d.lateBy), true
	}
	if at.Before(d.last) {
		at = d.last // packets stay in order after a change of the delay
	}
	d.last = at
	return at, true
}

// deliver writes packets to their hosts when they are due.
func (n *network) deliver() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		n.mu.Lock()
		wait := time.Hour
		var due []packet
		for len(n.queue) > 0 {
			if wait = time.Until(n.queue[0].at); wait > 0 {
				break
			}
			due = append(due, heap.Pop(&n.queue).(packet))
			wait = 0
		}
		n.mu.Unlock()
		for _, p := range due {
			_, _ = p.to.host.tun.Write(p.data) // its host may be gone
		}
		if len(due) > 0 {
			continue
		}
		timer.Reset(wait)
		select {
		case <-n.stop:
			return
		case <-n.wake:
		case <-timer.C:
		}
	}
}
