//go:build linux

package badnet

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/client"
	"example.com/chat/test/socketio/clienttest"
)

// slow is a bad mobile line: 20 kB/s, and 400 ms for a round trip.
var slow = line{up: way{rate: 20_000, delay: 200 * time.Millisecond}, down: way{rate: 20_000, delay: 200 * time.Millisecond}}

// slowPatience is how long a backlog of half a megabyte may take at 20 kB/s, on a busy
// machine.
const slowPatience = 75 * time.Second

// view is what a client received of a room.
type view struct {
	mu    sync.Mutex // guards the fields below
	ids   []string
	gaps  int
	conns int
	lost  []error
}

func (v *view) take(u client.Update) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch u.Kind {
	case client.KindEntry:
		v.ids = append(v.ids, u.Entry.ID)
	default:
		v.gaps++
	}
}

func (v *view) notice(n client.Notice) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if n.Err != nil {
		v.lost = append(v.lost, n.Err)
	} else {
		v.conns++
	}
}

func (v *view) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.ids)
}

// whole checks that the client received all entries of the log, each once and in order.
func (v *view) whole(t *testing.T, log []string) {
	t.Helper()
	chattest.Eventually(t, "the newest message", func() bool { return v.count() >= len(log) })
	v.mu.Lock()
	defer v.mu.Unlock()
	if !slices.Equal(v.ids, log) || v.gaps > 0 {
		t.Errorf("the client got %d of %d messages, and %d gaps", len(v.ids), len(log), v.gaps)
	}
}

func (v *view) has(want []string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Equal(v.ids, want)
}

// On a slow line clients recover 300 messages of 1,500 bytes, and join a room with 50 of 4,000.
// That never ended while all came in one frame: clients left before its end.
func TestALongBacklogOnASlowLink(t *testing.T) {
	chattest.NeedLong(t)
	t.Parallel()
	r := newRig(t)
	quick := r.host("quick")
	r.talker(quick, "listener", 0, "long", "large", "away")
	// One client is in the room when the messages are sent. They are more than an outbox
	// holds, so it is closed (4008) and recovers.
	r.talker(r.slowHost(t), "overrun", 0, "long")
	chattest.Eventually(t, "both to have joined", func() bool { return r.fleet.Clients[0].In() && r.fleet.Clients[1].In() })
	r.fill(quick, "Ann", "long", 51, 100)
	cursor := r.log("long")[50]
	r.fill(quick, "Ben", "long", 300, 1500)
	r.fill(quick, "Cem", "large", 60, 4000)
	long, large := r.log("long")[51:], r.log("large")[10:]

	t.Run("clients", func(t *testing.T) {
		t.Run("the Go client recovers", func(t *testing.T) {
			t.Parallel()
			r.follows(t, "long", client.Follow{After: cursor}, long)
		})
		t.Run("the Go client joins", func(t *testing.T) {
			t.Parallel()
			r.follows(t, "large", client.Follow{Newest: 50}, large)
		})
		t.Run("the page's client joins", func(t *testing.T) {
			t.Parallel()
			r.page(t, r.slowHost(t), "large", 50)(large, 1)
		})
		t.Run("the page's client recovers", func(t *testing.T) {
			t.Parallel()
			h := r.clientHost(t)
			got := r.page(t, h, "away", 300)
			lost := way{stalled: true}
			r.net.set(h, line{lost, lost})
			r.fill(quick, "Dan", "away", 300, 1500)
			r.hold(10 * time.Second) // the client detects that, and tries to connect
			r.net.set(h, slow)
			got(r.log("away"), 2)
		})
		for name, transports := range map[string]string{"default": "", "polling": "polling"} {
			t.Run("Socket.IO, "+name+", recovers", func(t *testing.T) {
				t.Parallel()
				r.official(t, "long", cursor, transports, long)
			})
			t.Run("Socket.IO, "+name+", joins", func(t *testing.T) {
				t.Parallel()
				r.official(t, "large", "", transports, large)
			})
		}
	})
	r.finish()
}

// follows makes a Go client on a slow line follow a room until it has the wanted entries, and
// checks that it kept its first connection.
func (r *rig) follows(t *testing.T, room string, f client.Follow, want []string) {
	t.Helper()
	h := r.slowHost(t)
	v := &view{}
	f.Handle = v.take
	s, err := client.Open(t.Context(), client.Options{URL: r.urls[1], DialContext: h.dial, OnNotice: v.notice})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	began := time.Now()
	if err := s.Follow(t.Context(), room, f); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(slowPatience)
	for !v.has(want) && time.Now().Before(deadline) && t.Context().Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !slices.Equal(v.ids, want) || v.gaps > 0 {
		t.Errorf("the client got %d of %d messages, and %d gaps", len(v.ids), len(want), v.gaps)
	}
	if len(v.lost) > 0 {
		t.Errorf("the client lost its connection: %v", v.lost)
	}
	t.Logf("%d messages in %s", len(v.ids), time.Since(began).Round(100*time.Millisecond))
}

var clientHosts sync.Mutex // held while a host is made

// clientHost makes a host for another client.
func (r *rig) clientHost(t *testing.T) *host {
	t.Helper()
	clientHosts.Lock()
	defer clientHosts.Unlock()
	return r.host(fmt.Sprintf("client%d", r.hosts))
}

// slowHost makes a host on a slow line.
func (r *rig) slowHost(t *testing.T) *host {
	t.Helper()
	h := r.clientHost(t)
	r.net.set(h, slow)
	return h
}

// page starts the page's client, and returns once it has joined the room. got waits until it
// has the wanted number of messages, and checks these and the number of its connections.
func (r *rig) page(t *testing.T, h *host, room string, count int) (got func(want []string, connects int)) {
	t.Helper()
	node := chattest.NeedProgram(t, "node", "the tests with the page's client are skipped")
	paths := []string{filepath.Join("testdata", "page.mjs"), filepath.Join("..", "..", "web", "assets", "net", "client.js")}
	for i, path := range paths {
		var err error
		if paths[i], err = filepath.Abs(path); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	p := h.start(clienttest.Dir(t), nil, node, paths[0], paths[1], r.urls[0], room, fmt.Sprint(count), fmt.Sprint(slowPatience.Milliseconds()))
	chattest.Eventually(t, "the page's client to join", func() bool { return strings.HasPrefix(p.Out(), "joined\n") })
	return func(want []string, connects int) {
		t.Helper()
		chattest.EventuallyWithin(t, slowPatience+10*time.Second, "the script's end", p.Ended)
		var got struct {
			IDs            []string
			Connects, Gaps int
		}
		decode(t, strings.TrimPrefix(p.Out(), "joined\n"), &got)
		if !slices.Equal(got.IDs, want) || got.Gaps > 0 {
			t.Errorf("the client got %d of %d messages, and %d gaps", len(got.IDs), len(want), got.Gaps)
		}
		if got.Connects != connects {
			t.Errorf("the client connected %d times, want %d", got.Connects, connects)
		}
		t.Logf("%d messages in %s", len(got.IDs), time.Since(began).Round(100*time.Millisecond))
	}
}

// official does the same as follows with the official client of Socket.IO, over its default
// transports or those that are named.
func (r *rig) official(t *testing.T, room, after, transports string, want []string) {
	t.Helper()
	dir := clienttest.Dir(t)
	node := clienttest.Node(t)
	script, err := filepath.Abs(filepath.Join("testdata", "follow.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	h := r.slowHost(t)
	began := time.Now()
	p := h.start(dir, nil, node, script, r.urls[2], room, after, fmt.Sprint(len(want)), fmt.Sprint(slowPatience.Milliseconds()), transports)
	chattest.EventuallyWithin(t, slowPatience+10*time.Second, "the script's end", p.Ended)
	var got struct {
		IDs       []string
		Recovered bool
		Connects  int
		Lost      []string
		Transport string
	}
	decode(t, p.Out(), &got)
	if !slices.Equal(got.IDs, want) || got.Recovered != (after != "") {
		t.Errorf("the client got %d of %d messages, recovered %v", len(got.IDs), len(want), got.Recovered)
	}
	if got.Connects != 1 || len(got.Lost) > 0 {
		t.Errorf("the client connected %d times: %v", got.Connects, got.Lost)
	}
	t.Logf("%d messages in %s, in the end over %s", len(got.IDs), time.Since(began).Round(100*time.Millisecond), got.Transport)
}
