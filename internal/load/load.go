// Package load provides clients that test a cluster: they send and receive, lose their
// connections, recover, change nodes, send unacknowledged messages again, and record
// everything in a check.History.
//
// They trust the nodes on purpose: they do not sort, filter or repair anything, so that
// every fault of a node is in the history.
package load

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// Wire is a connection after its welcome, such as a *client.Conn. One goroutine calls
// Read; the other methods are safe for concurrent use. Close ends a Read.
type Wire interface {
	// WriteRef sends a command with a ref, "" for none.
	WriteRef(cmd protocol.ClientCommand, ref string) error
	// Read waits for the next event. It returns an error once the connection has ended.
	Read() (client.Event, error)
	// Close ends the connection.
	Close()
	// Welcome returns the welcome.
	Welcome() protocol.WelcomeEvent
}

// Config configures a Client.
type Config struct {
	// Name identifies the client in the history.
	Name string
	// Rooms are the rooms that it joins and writes in.
	Rooms []string
	// Dial connects to a node of its choice; try counts consecutive failures.
	Dial func(ctx context.Context, token string, try int) (Wire, error)
	// History records what the client sends and receives.
	History *check.History
	// Random decides what the client does; it must not be shared.
	Random *rand.Rand
	// Every is the mean time between two messages; 0 for none.
	Every time.Duration
	// Changes is the share of edits, deletions and reactions among the messages,
	// between 0 and 1; with it, the client requests histories too.
	Changes float64
	// Window bounds its unacknowledged messages; 0 means 1.
	Window int
	// Size bounds the random length added to its texts, in bytes; 0 means 80.
	Size int
	// Tick is the mean interval at which it looks for something to do; 0 means 5 ms.
	Tick time.Duration
	// Switch is the mean time after which it changes its node by itself; 0 for never.
	Switch time.Duration
}

// Timings of a Client.
const (
	// tick is the default of Config.Tick.
	tick = 5 * time.Millisecond
	// redialAfter bounds the random wait before the next connection.
	redialAfter = 200 * time.Millisecond
)

// Client is one user with one connection at a time. Its methods are safe for concurrent
// use. One goroutine reads events, and another one looks for something to do; what they
// do is in user.
type Client struct {
	cfg  Config
	quit context.CancelFunc
	all  sync.WaitGroup

	mu   sync.Mutex // guards user; held while a command is written
	user *user
}

// Start starts a client, which runs until Close.
func Start(cfg Config) *Client {
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{cfg: cfg, quit: cancel, user: newUser(cfg)}
	c.all.Go(func() { c.listen(ctx) }) // ends with ctx; Close waits
	c.all.Go(func() { c.act(ctx) })    // ends with ctx; Close waits
	return c
}

// do calls f with the lock held, which is released also if f panics.
func (c *Client) do(f func(u *user)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c.user)
}

// Hush ends new messages; the client still sends unacknowledged ones again.
func (c *Client) Hush() { c.do(func(u *user) { u.silent = true }) }

// Content reports whether all its messages are acknowledged and it has received the
// newest entry of each room; heads are their ids.
func (c *Client) Content(heads map[string]string) (content bool) {
	c.do(func(u *user) { content = u.content(heads) })
	return content
}

// User returns the id of the client's user; "" before its first welcome.
func (c *Client) User() (id string) {
	c.do(func(u *user) { id = u.id })
	return id
}

// Rooms returns the client's rooms.
func (c *Client) Rooms() []string { return c.cfg.Rooms }

// Pending returns the number of its unacknowledged messages.
func (c *Client) Pending() (n int) {
	c.do(func(u *user) { n = len(u.outbox.pending) })
	return n
}

// In reports whether it has joined all of its rooms.
func (c *Client) In() (in bool) {
	c.do(func(u *user) { in = u.in() })
	return in
}

// Entered reports whether it has ever joined one of its rooms.
func (c *Client) Entered() (entered bool) {
	c.do(func(u *user) { entered = u.entered })
	return entered
}

// Refusal returns the error of its newest refused join; nil if there was none.
func (c *Client) Refusal() (refusal error) {
	c.do(func(u *user) { refusal = u.refusal })
	return refusal
}

// State describes the state of the client, for tests that wait in vain.
func (c *Client) State() string {
	var s strings.Builder
	c.do(func(u *user) {
		fmt.Fprintf(&s, "%s, connection %d (alive %t), %d not acknowledged;", c.cfg.Name, u.conn, u.wire != nil, len(u.outbox.pending))
		for _, name := range c.cfg.Rooms {
			fmt.Fprintf(&s, " %s: joined %t, last %q;", name, u.rooms[name].joined, u.rooms[name].last)
		}
	})
	return s.String()
}

// End records that the client has received everything, as Content must have reported.
// Nothing is recorded after it.
func (c *Client) End() { c.do((*user).end) }

// Close ends the client and waits until it has ended.
func (c *Client) Close() {
	c.quit()
	c.Cut()
	c.all.Wait()
}

// Cut ends the connection as the network might; the client reconnects.
func (c *Client) Cut() {
	var wire Wire
	c.do(func(u *user) { wire = u.wire })
	if wire != nil {
		wire.Close()
	}
}

// listen connects and reads events, again and again.
func (c *Client) listen(ctx context.Context) {
	for try := 0; ctx.Err() == nil; try++ {
		var token string
		var wait time.Duration
		c.do(func(u *user) { token, wait = u.token, upTo(c.cfg.Random, redialAfter) })
		wire, err := c.cfg.Dial(ctx, token, try)
		if err != nil {
			pause(ctx, wait)
			continue
		}
		try = -1
		c.do(func(u *user) { u.welcomed(wire, time.Now()) })
		if ctx.Err() != nil {
			wire.Close()
		}
		for {
			e, err := wire.Read()
			if err != nil {
				break
			}
			c.do(func(u *user) { u.hear(e, time.Now()) })
		}
		wire.Close()
		c.do((*user).lost)
		pause(ctx, wait/4)
	}
}

// act lets the user send messages, repeat refused ones, and change nodes.
func (c *Client) act(ctx context.Context) {
	every := cmp.Or(c.cfg.Tick, tick)
	var wait time.Duration
	for ctx.Err() == nil {
		c.do(func(u *user) {
			u.act(time.Now())
			// No two clients act in the same moment, which in virtual time would leave
			// their order to the scheduler.
			wait = every/2 + upTo(c.cfg.Random, every)
		})
		pause(ctx, wait)
	}
}

// upTo returns a random duration of at least 0 and less than d.
func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }

// pause waits for d, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
