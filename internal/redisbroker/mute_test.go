package redisbroker_test

import (
	"bytes"
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
)

// muffler makes connections that can drop what Redis sends, chosen by a text that was
// sent on them.
type muffler struct {
	mu    sync.Mutex // guards the field below
	conns []*muffled
}

func (m *muffler) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	own := &muffled{Conn: c, closed: make(chan struct{})}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns = append(m.conns, own)
	return own, nil
}

// mute makes the connections on which text was sent drop everything from now on, and
// returns their number.
func (m *muffler) mute(text string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.conns {
		c.mu.Lock()
		if strings.Contains(string(c.asked), text) && !c.over {
			c.mute = true
			n++
		}
		c.mu.Unlock()
	}
	return n
}

type muffled struct {
	net.Conn
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex // guards the fields below
	asked []byte
	mute  bool
	over  bool
}

func (c *muffled) Write(b []byte) (int, error) {
	c.mu.Lock()
	if bytes.Contains(b, []byte("subscribe")) && len(c.asked) < 1<<16 {
		c.asked = append(c.asked, b...)
	}
	c.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *muffled) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	mute := c.mute
	c.mu.Unlock()
	if mute && err == nil {
		<-c.closed
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *muffled) Close() error {
	c.once.Do(func() {
		c.mu.Lock()
		c.over = true
		c.mu.Unlock()
		close(c.closed)
	})
	return c.Conn.Close()
}

// A subscription that looks alive and delivers nothing is found by its own probe, named in
// the reason of /readyz, and reopened, alone.
func testASilentSubscriptionIsMadeAnewAlone(t *testing.T, servers *redistest.Cluster, at *site) {
	m := &muffler{}
	own := *at
	own.client = func(*testing.T) redis.UniversalClient {
		c := clusterClient(servers, redistest.User, redistest.Password)
		opts := *c.Options()
		_ = c.Close()
		opts.Dialer = m.dial
		return redis.NewClusterClient(&opts)
	}
	b := openWith(t, &own, redisbroker.Config{History: 10, Node: cluster.NodeInfo{ID: "n1", Port: 1}})
	rooms := roomsApart(3) // the last two are of the first's partition
	for _, room := range rooms {
		b.Follow(room)
	}
	b.Has(t, "to follow", func() bool { return b.Heard.Following == 5 })
	chattest.Eventually(t, "to be ready", func() bool { return b.Ready() == nil })
	tag := partitionOf(rooms[0])
	if n := m.mute("{" + tag + "}:0:probe"); n != 1 {
		t.Fatalf("%d connections are of partition %s", n, tag)
	}
	chattest.Eventually(t, "the reason", func() bool {
		err := b.Ready()
		return err != nil && strings.Contains(err.Error(), "partition "+tag+":")
	})
	b.Has(t, "the rooms to be followed anew", func() bool { return b.Heard.Following == 8 })
	chattest.Eventually(t, "to be ready again", func() bool { return b.Ready() == nil })
	b.Note(func() {
		again := slices.Clone(b.Followed[5:])
		slices.Sort(again)
		want := []string{rooms[0], rooms[3], rooms[4]}
		slices.Sort(want)
		if !slices.Equal(again, want) {
			t.Errorf("%v were made anew, want %v", again, want)
		}
	})
	if err := b.Typing(t.Context(), rooms[0], protocol.User{ID: "x"}); err != nil {
		t.Fatal(err)
	}
	b.Has(t, "what is published", func() bool { return slices.Contains(b.Live, rooms[0]+" typing x") })
}
