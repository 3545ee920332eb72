package admission

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chat/internal/chattest"
)

var (
	ann   = netip.MustParseAddr("192.0.2.1")
	bob   = netip.MustParseAddr("192.0.2.2")
	proxy = netip.MustParseAddr("127.0.0.1")
)

// in acquires a slot, and fails the test if there is none.
func in(t *testing.T, d *Limiter, from netip.Addr) *Slot {
	t.Helper()
	v, wait := d.Acquire(from)
	if v == nil {
		t.Fatalf("%s has to wait for %s", from, wait)
	}
	return v
}

func refused(t *testing.T, d *Limiter, from netip.Addr) {
	t.Helper()
	v, wait := d.Acquire(from)
	if v != nil || wait <= 0 || wait > maxRetryAfter {
		t.Fatalf("%s: a slot %t, wait %s", from, v != nil, wait)
	}
}

func TestHandshakesInFlightAreBounded(t *testing.T) {
	t.Parallel()
	d := NewLimiter(LimiterConfig{MaxSlots: 3})
	first := in(t, d, proxy)
	in(t, d, proxy)
	in(t, d, proxy)
	refused(t, d, proxy)
	first.Release()
	first.Release() // only the first call counts
	in(t, d, proxy)
	refused(t, d, ann)
	if s := d.Stats(); s != (LimiterStats{InFlight: 3, Refused: 2}) {
		t.Errorf("%+v", s)
	}
}

func TestAnAddressHoldsOnlyAPart(t *testing.T) {
	t.Parallel()
	d := NewLimiter(LimiterConfig{MaxSlots: 10, MaxPerAddress: 2})
	in(t, d, ann)
	v := in(t, d, netip.MustParseAddr("::ffff:192.0.2.1"))
	refused(t, d, ann)
	in(t, d, bob)
	v.Release()
	in(t, d, ann)
	// An IPv6 customer has a whole /64 network.
	in(t, d, netip.MustParseAddr("2001:db8:0:1::1"))
	in(t, d, netip.MustParseAddr("2001:db8:0:1::2"))
	refused(t, d, netip.MustParseAddr("2001:db8:0:1:ffff::3"))
	in(t, d, netip.MustParseAddr("2001:db8:0:2::1"))
	for range 3 {
		in(t, d, proxy)
	}
}

// When a slot is needed, the inactive slot that is oldest is evicted; active slots are
// kept.
func TestInactiveSlotsAreEvicted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := NewLimiter(LimiterConfig{MaxSlots: 3, SilentFor: time.Second})
		var order []string
		enter := func(name string) *Slot {
			t.Helper()
			v := in(t, d, proxy)
			v.OnEvict(func() { order = append(order, name) })
			return v
		}
		speaks := enter("speaks")
		speaks.Activate()
		enter("silent")
		again := enter("again")
		again.Activate()
		time.Sleep(time.Second - time.Nanosecond)
		refused(t, d, proxy)
		again.Deactivate() // a refused hello: the slot is inactive again
		time.Sleep(time.Nanosecond)
		enter("next") // evicts silent
		refused(t, d, proxy)
		time.Sleep(time.Second - time.Nanosecond)
		enter("last") // evicts again, although it became inactive last
		if len(order) != 2 || order[0] != "silent" || order[1] != "again" {
			t.Errorf("evicted: %v", order)
		}
		if s := d.Stats(); s.InFlight != 3 || s.Evicted != 2 {
			t.Errorf("%+v", s)
		}
		called := false
		again.OnEvict(func() { called = true }) // it was evicted before
		if !called {
			t.Error("the function of an evicted slot was not called")
		}
	})
}

func TestReleasedSlotsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	d := NewLimiter(LimiterConfig{MaxSlots: 8})
	var all sync.WaitGroup
	for i := range 16 {
		from := netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 3)})
		all.Go(func() {
			for range 500 {
				v, _ := d.Acquire(from)
				v.OnEvict(func() {})
				v.Activate()
				v.Deactivate()
				v.Release()
			}
		})
	}
	all.Wait()
	if d.count != 0 || len(d.byAddress) != 0 || d.inactive != (slotList{}) {
		t.Errorf("still counted: %d, %v, %v", d.count, d.byAddress, d.inactive)
	}
}

func TestConnectionsBeyondTheBoundAreClosed(t *testing.T) {
	t.Parallel()
	w := NewConnections(4, nil)
	site := httptest.NewUnstartedServer(http.NotFoundHandler())
	site.Config.ConnState = w.State
	site.Start()
	defer site.Close()
	var held []net.Conn
	for range 4 {
		c, err := net.Dial("tcp", site.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		held = append(held, c)
	}
	chattest.Eventually(t, "the connections", func() bool { return w.Count() == 4 })
	beyond, err := net.Dial("tcp", site.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer beyond.Close()
	_ = beyond.SetReadDeadline(time.Now().Add(chattest.Patience))
	if _, err := io.ReadAll(beyond); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection beyond the bound was not closed: %v", err)
	}
	_ = held[0].Close()
	chattest.Eventually(t, "a place", func() bool { return w.Count() == 3 })
	res, err := http.Get(site.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
}

// A client that held the whole share of an address with silent connections, and replaced
// those that were closed, locked out all others behind the same proxy.
func TestAnAddressEvictsItsOwnInactiveSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := NewLimiter(LimiterConfig{MaxSlots: 8, MaxPerAddress: 3, SilentFor: time.Second})
		var gone []string
		enter := func(name string, from netip.Addr) *Slot {
			t.Helper()
			v := in(t, d, from)
			v.OnEvict(func() { gone = append(gone, name) })
			return v
		}
		enter("bob", bob) // inactive for longest, but of another address
		enter("speaks", ann).Activate()
		enter("first", ann)
		enter("second", ann)
		refused(t, d, ann)
		time.Sleep(time.Second)
		enter("third", ann)
		enter("fourth", ann)
		refused(t, d, ann) // the third and the fourth are younger than SilentFor
		enter("bob too", bob)
		if want := []string{"first", "second"}; !slices.Equal(gone, want) {
			t.Errorf("evicted: %v, want %v", gone, want)
		}
		// The same if all slots are in use.
		for range 3 {
			enter("proxy", proxy)
		}
		if s := d.Stats(); s.InFlight != 8 {
			t.Fatalf("%+v", s)
		}
		time.Sleep(time.Second)
		enter("fifth", ann)
		enter("proxy", proxy)
		if want := []string{"first", "second", "third", "bob"}; !slices.Equal(gone, want) {
			t.Errorf("evicted: %v, want %v", gone, want)
		}
		if s := d.Stats(); s.InFlight != 8 || s.Evicted != 4 {
			t.Errorf("%+v", s)
		}
	})
}

// An attacker opens as many connections as it can, sends nothing, and replaces each that
// is closed. Other clients of the same address still get slots.
func TestRenewedSilentConnectionsLockNobodyOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := NewLimiter(LimiterConfig{MaxSlots: 256, MaxPerAddress: 128})
		var held atomic.Int64
		hold := func() {
			if v, _ := d.Acquire(ann); v != nil {
				held.Add(1)
				var once sync.Once
				ended := func() { once.Do(func() { held.Add(-1) }) }
				v.OnEvict(ended)
				time.AfterFunc(5*time.Second, func() { // its hello is overdue
					v.Release()
					ended()
				})
			}
		}
		for range 128 {
			hold()
		}
		in, out := 0, 0
		for range 15 * 25 { // 25 clients a second
			time.Sleep(40 * time.Millisecond)
			if held.Load() < 128 {
				hold()
			}
			if v, _ := d.Acquire(ann); v != nil {
				v.Activate()
				v.Release()
				in++
			} else {
				out++
			}
		}
		// In the first half second no slot is old enough to be evicted.
		if out > 13 || d.Stats().Evicted == 0 {
			t.Errorf("%d got a slot, %d were refused; %+v", in, out, d.Stats())
		}
	})
}
