// Package load provides clients that test a cluster: they send and receive, lose their
// connections, recover, change nodes, send unacknowledged messages again, and record
// everything in a check.History.
//
// They trust the nodes on purpose: they do not sort, filter or repair anything, so that
// every fault of a node is in the history.
package load

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// Wire is a connection after its welcome, such as a *client.Conn. One goroutine calls
// Read; the other methods are safe for concurrent use. Close ends a Read.
type Wire interface {
	// WriteRef sends a command with a ref, "" for none.
	WriteRef(cmd protocol.ClientCommand, ref string) error
	Read() (client.Event, error)
	Close()
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

// Timings of a client.
const (
	// tick is the default of Config.Tick.
	tick = 5 * time.Millisecond
	// retryAfter bounds the random wait before a refused command is repeated; after
	// quickRetries in a row it doubles with each further one, up to retryMost.
	retryAfter   = 200 * time.Millisecond
	retryMost    = 3 * time.Second
	quickRetries = 10
	// redialAfter bounds the random wait before the next connection.
	redialAfter = 200 * time.Millisecond
	// answerWithin is how long the client waits for an answer before it leaves the
	// node.
	answerWithin = 20 * time.Second
)

// Client is one user with one connection at a time.
type Client struct {
	cfg  Config
	quit context.CancelFunc
	all  sync.WaitGroup

	mu       sync.Mutex // guards the fields below; held while a command is written
	wire     Wire
	conn     int // counts connections
	user     protocol.User
	token    string
	rooms    map[string]*place
	pending  []*message // unacknowledged, in the order in which they were first sent
	count    int
	silent   bool
	ended    bool
	entered  bool          // it has joined a room
	refusal  error         // of its newest refused join
	unwanted []*message    // deletions to be sent
	pace     *rate.Limiter // for these; nil for no limit
	next     time.Time     // time of the next message
	change   time.Time     // time of the next change of node
}

// place is the client's state of a room.
type place struct {
	joined bool
	last   string    // the cursor: the newest entry received, "0-0" of an empty room, "" before the first join
	again  time.Time // when a refused join is repeated; zero for never
	tries  int       // consecutive refused joins
	// upTo is the seq up to which entries belong to the last join that recovered
	// nothing; events up to it are messages as they stand.
	upTo  int64
	heard []string // ids of messages to change, the newest maxTargets
	mine  []string // the client's own
}

// maxTargets bounds the messages of a room that a client may change.
const maxTargets = 30

// message is an unacknowledged message or change.
type message struct {
	room, key, text string
	kind, target    string // of a change
	emoji           string
	on              bool
	conn            int // the connection on which it was last written
	written         time.Time
	again           time.Time // when it is written again; zero while an answer may arrive
	tries           int       // refusals so far
}

// Start starts a client, which runs until Close.
func Start(cfg Config) *Client {
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{cfg: cfg, quit: cancel, rooms: make(map[string]*place)}
	for _, name := range cfg.Rooms {
		c.rooms[name] = new(place)
	}
	c.all.Go(func() { c.listen(ctx) }) // ends with ctx; Close waits
	c.all.Go(func() { c.act(ctx) })    // ends with ctx; Close waits
	return c
}

// Hush stops new messages; the client still sends unacknowledged ones again.
func (c *Client) Hush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silent = true
}

// Content reports whether all its messages are acknowledged and it has received the
// newest entry of each room; heads are their ids.
func (c *Client) Content(heads map[string]string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, p := range c.rooms {
		if !p.joined || p.last != heads[name] && (heads[name] != "" || p.last != beginning) {
			return false
		}
	}
	return len(c.pending) == 0
}

// User returns the id of the client's user; "" before its first welcome.
func (c *Client) User() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.user.ID
}

// Rooms returns the client's rooms.
func (c *Client) Rooms() []string { return c.cfg.Rooms }

// Pending returns the number of its unacknowledged messages.
func (c *Client) Pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending)
}

// In reports whether it has joined all of its rooms.
func (c *Client) In() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.rooms {
		if !p.joined {
			return false
		}
	}
	return true
}

// Entered reports whether it has ever joined one of its rooms.
func (c *Client) Entered() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entered
}

// Refusal returns the error of its newest refused join; nil if there was none.
func (c *Client) Refusal() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refusal
}

// beginning is the cursor before the first entry of a room, and the head of an empty
// one.
const beginning = "0-0"

// State describes the state of the client, for tests that wait in vain.
func (c *Client) State() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var s strings.Builder
	fmt.Fprintf(&s, "%s, connection %d (alive %t), %d not acknowledged;", c.cfg.Name, c.conn, c.wire != nil, len(c.pending))
	for _, name := range c.cfg.Rooms {
		fmt.Fprintf(&s, " %s: joined %t, last %q;", name, c.rooms[name].joined, c.rooms[name].last)
	}
	return s.String()
}

// End records that the client has received everything, as Content must have reported.
// Nothing is recorded after it.
func (c *Client) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range c.cfg.Rooms {
		c.record(check.Record{Op: check.OpEnd, Room: name})
	}
	c.ended = true
}

// Close ends the client and waits until it has ended.
func (c *Client) Close() {
	c.quit()
	c.mu.Lock()
	wire := c.wire
	c.mu.Unlock()
	if wire != nil {
		wire.Close()
	}
	c.all.Wait()
}

// Cut ends the connection as the network might; the client reconnects.
func (c *Client) Cut() {
	c.mu.Lock()
	wire := c.wire
	c.mu.Unlock()
	if wire != nil {
		wire.Close()
	}
}

// record adds records of this client to the history; mu is held.
func (c *Client) record(list ...check.Record) {
	if c.ended {
		return
	}
	for i := range list {
		list[i].Client, list[i].Conn = c.cfg.Name, c.conn
	}
	c.cfg.History.Add(list...)
}

// listen connects and reads events, again and again.
func (c *Client) listen(ctx context.Context) {
	for try := 0; ctx.Err() == nil; try++ {
		c.mu.Lock()
		token := c.token
		wait := upTo(c.cfg.Random, redialAfter)
		c.mu.Unlock()
		wire, err := c.cfg.Dial(ctx, token, try)
		if err != nil {
			pause(ctx, wait)
			continue
		}
		try = -1
		c.welcomed(wire)
		if ctx.Err() != nil {
			wire.Close()
		}
		for {
			e, err := wire.Read()
			if err != nil {
				break
			}
			c.hear(e)
		}
		wire.Close()
		c.lost()
		pause(ctx, wait/4)
	}
}

func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (c *Client) welcomed(wire Wire) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := wire.Welcome()
	c.wire, c.user, c.token = wire, w.User, w.Token
	c.conn++
	if c.cfg.Switch > 0 {
		c.change = time.Now().Add(upTo(c.cfg.Random, 2*c.cfg.Switch))
	}
	for _, name := range c.cfg.Rooms {
		c.join(name)
	}
}

func (c *Client) join(name string) {
	p := c.rooms[name]
	p.again = time.Time{}
	_ = c.wire.WriteRef(protocol.JoinCommand{Room: name, After: p.last}, p.last)
}

func (c *Client) lost() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wire = nil
	for _, p := range c.rooms {
		p.joined, p.again = false, time.Time{}
	}
	c.record(check.Record{Op: check.OpLost})
}

// hear handles an event.
func (c *Client) hear(e client.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e.Type {
	case protocol.MessageName:
		var m client.Entry
		if json.Unmarshal(e.Raw, &m) == nil && c.rooms[m.Room] != nil {
			c.message(c.rooms[m.Room], m)
		}
	case protocol.SentName:
		var s protocol.SentEvent
		if json.Unmarshal(e.Raw, &s) == nil {
			c.sent(s)
		}
	case protocol.JoinedName:
		var j protocol.JoinedEvent
		if json.Unmarshal(e.Raw, &j) == nil && c.rooms[j.Room] != nil {
			c.joined(j, e)
		}
	case protocol.History:
		var h protocol.HistoryEvent
		if json.Unmarshal(e.Raw, &h) == nil && c.rooms[h.Room] != nil {
			c.history(h, e)
		}
	case protocol.ResetName:
		var r protocol.ResetEvent
		if json.Unmarshal(e.Raw, &r) == nil && c.rooms[r.Room] != nil {
			p := c.rooms[r.Room]
			c.record(check.Record{Op: check.OpReset, Room: r.Room, Head: r.Head})
			p.last, p.joined, p.upTo = "", false, 0
			c.join(r.Room)
		}
	case protocol.ErrorName:
		if refused := e.Refused(); refused != nil {
			c.refused(refused)
		}
	}
}

func (c *Client) joined(j protocol.JoinedEvent, e client.Event) {
	p := c.rooms[j.Room]
	var ref struct{ Ref string }
	_ = json.Unmarshal(e.Raw, &ref) // the after of the join
	list := []check.Record{{
		Op: check.OpJoined, Room: j.Room, After: ref.Ref, Head: j.Head, Recovered: j.Recovered, Count: len(j.Messages), More: j.More,
	}}
	p.upTo = 0
	if !j.Recovered {
		p.last, p.upTo = "", seqOf(j.Head)
	}
	for _, raw := range j.Messages {
		var m client.Entry
		if err := json.Unmarshal(raw, &m); err != nil {
			continue // the check will find it missing
		}
		p.last = m.ID
		p.note(m, c.user.ID)
		if j.Recovered {
			list = append(list, entryRecord(m))
		} else {
			list = append(list, shownRecord(m))
		}
	}
	if !j.More {
		p.last = j.Head // which may be the id of a change that the messages include
	}
	p.joined, p.tries, c.entered = true, 0, true
	c.record(list...)
	for _, m := range c.pending {
		if m.room == j.Room && m.conn != c.conn {
			c.write(m)
		}
	}
}

func (c *Client) sent(s protocol.SentEvent) {
	c.record(check.Record{Op: check.OpSent, Room: s.Room, User: c.user.ID, Key: s.Key, ID: s.ID, Duplicate: s.Duplicate})
	for i, m := range c.pending {
		if m.key == s.Key && m.room == s.Room {
			c.pending = append(c.pending[:i:i], c.pending[i+1:]...)
			return
		}
	}
}
