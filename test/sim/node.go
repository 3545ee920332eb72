package sim

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest/faultbroker"
	"example.com/chat/internal/client"
	"example.com/chat/internal/cluster"
	chat "example.com/chat/internal/node"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
	"example.com/chat/internal/room"
	"example.com/chat/internal/session"
)

// node is one node of the chat (internal/node): everything but its HTTP server.
type node struct {
	id   string
	net  *network
	seed uint64

	mu     sync.Mutex // guards the fields below
	random *rand.Rand
	life   *life // nil while it is dead
	frozen bool
	lossy  bool // live posts get lost, late and repeated
}

// life is a node from its start to its end.
type life struct {
	n        *node
	chat     *chat.Node
	broker   *redisbroker.Broker
	sessions *session.Node
	rdb      *redis.Client

	mu    sync.Mutex // guards the field below
	wires []*wire    // in the order in which they were opened, which a seed's choices depend on
}

const (
	namespace    = "chat"
	messagesKept = 10_000
)

// config returns the configuration of a node whose broker open connects.
func config(id string, jitter func(time.Duration) time.Duration, log *slog.Logger, open func(context.Context, cluster.NodeInfo, func() cluster.Status) (chat.Broker, func(), error)) chat.Config {
	return chat.Config{
		ID: id, Open: open, Limits: protocol.Limits{Text: 4000, Rooms: 100}, History: messagesKept,
		Secret: []byte("the same for all nodes, 32 bytes"), Log: log, Jitter: jitter,
	}
}

// start starts the node, however long Redis makes it wait.
func (n *node) start(ctx context.Context, log *slog.Logger) error {
	l := &life{n: n, rdb: n.net.client()}
	open := func(ctx context.Context, info cluster.NodeInfo, status func() cluster.Status) (chat.Broker, func(), error) {
		b, err := redisbroker.New(ctx, redisbroker.Config{
			Client: l.rdb, Namespace: namespace, History: messagesKept, Node: info, Status: status, Log: log, Jitter: n.jitter,
		})
		if err != nil {
			return nil, nil, err
		}
		l.broker = b
		return lossy{b, n}, func() {}, nil
	}
	for {
		var err error
		if l.chat, err = chat.Start(ctx, config(n.id, n.jitter, log, open)); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			_ = l.rdb.Close()
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	l.sessions = l.chat.Sessions()
	n.mu.Lock()
	n.life = l
	n.mu.Unlock()
	return nil
}

// kill ends the node at once: its calls in progress may arrive or not, and it makes no
// more.
func (n *node) kill() {
	n.mu.Lock()
	l := n.life
	n.life, n.frozen = nil, false
	n.mu.Unlock()
	if l == nil {
		return
	}
	n.net.setCut(true)
	n.net.server.each(n.net, func(k *link) { n.net.server.drop(k, false) })
	l.cutAll()
	l.chat.Kill()
	_ = l.rdb.Close()
	n.net.setCut(false)
	n.net.freeze(false)
}

// freeze stops all that comes to the node and leaves it, as SIGSTOP does.
func (n *node) freeze(on bool) {
	n.mu.Lock()
	l := n.life
	n.frozen = on
	n.mu.Unlock()
	n.net.freeze(on)
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.wires {
		w.freeze(on)
	}
}

// jitter is the random part of a wait, decided by the seed.
func (n *node) jitter(d time.Duration) time.Duration {
	return time.Duration(draw(n.seed, nil).Int64N(int64(d)))
}

// faults decides how the delivery of a live post fails.
func (n *node) faults() (drop, repeat, late bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.lossy {
		return false, false, false
	}
	x := n.random.Float64()
	return x < 0.2, x > 0.8, x > 0.4 && x < 0.6
}

// lossy is a node's broker, whose live posts get lost, late and repeated.
type lossy struct {
	*redisbroker.Broker
	n *node
}

// Run delivers to the listener, with the faults.
func (b lossy) Run(ctx context.Context, listener cluster.Listener) {
	faults := &faultbroker.Injector{}
	faults.Set(faultbroker.Faults{Publish: b.n.publish()})
	b.Broker.Run(ctx, struct {
		room.Feed
		nodesListener
	}{faults.Feed(listener), listener})
}

// nodesListener is the part of a cluster.Listener that has no faults.
type nodesListener interface {
	Nodes(live []cluster.NodeInfo)
}

// publish returns a function that delivers what is published: never, twice, or after the
// next, as a seed decides. One goroutine uses it.
func (n *node) publish() func(deliver func()) {
	var late func()
	return func(deliver func()) {
		drop, repeat, delay := n.faults()
		held := late
		late = nil
		switch {
		case drop:
		case delay && held == nil:
			late = deliver
		default:
			deliver()
			if repeat {
				deliver()
			}
		}
		if held != nil {
			held()
		}
	}
}

// wire is a client's connection to a node, both ends of it: the session's
// transport there, and the load's wire here.
type wire struct {
	life    *life
	up      *queue
	down    *queue
	welcome protocol.WelcomeEvent
	session *session.Session
}

var errGone = errors.New("the connection was lost")

// connect opens a connection, and sends hello.
func (n *node) connect(ctx context.Context, random *rand.Rand, name, token string) (*wire, error) {
	n.mu.Lock()
	l, frozen := n.life, n.frozen
	n.mu.Unlock()
	if l == nil {
		return nil, errRefused
	}
	w := &wire{
		life: l,
		up:   newQueue(random.Uint64(), usual),
		down: newQueue(random.Uint64(), usual),
	}
	w.session = session.New(l.sessions, transport{w}, "http://sim", nil)
	l.mu.Lock()
	l.wires = append(l.wires, w)
	l.mu.Unlock()
	if frozen {
		w.freeze(true)
	}
	go w.serve() // ends with the wire
	if err := w.Write(protocol.HelloCommand{Name: name, Token: token}); err != nil {
		return nil, err
	}
	until := time.Now().Add(3 * time.Second)
	e, err := w.next(until)
	if err == nil && e.Type != "welcome" {
		err = errGone
	}
	if err == nil {
		err = json.Unmarshal(e.Raw, &w.welcome)
	}
	if err != nil || ctx.Err() != nil {
		w.Close()
		return nil, errGone
	}
	return w, nil
}

// serve is the node's reader of the connection.
func (w *wire) serve() {
	forever := func() time.Time { return time.Time{} }
	for {
		frame, err := w.up.get(forever)
		if err != nil {
			break
		}
		w.session.Command(protocol.DecodeFrame(frame))
	}
	w.session.End()
	w.life.mu.Lock()
	w.life.wires = slices.DeleteFunc(w.life.wires, func(other *wire) bool { return other == w })
	w.life.mu.Unlock()
}

func (w *wire) freeze(on bool) {
	w.up.freeze(on)
	w.down.freeze(on)
}

// cut ends the connection, and drops data in transit.
func (w *wire) cut() {
	w.up.end(io.EOF, true)
	w.down.end(errGone, true)
}

func (l *life) cutAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.wires {
		w.cut()
	}
}

// Write sends a command without a ref.
func (w *wire) Write(c protocol.ClientCommand) error { return w.WriteRef(c, "") }

// WriteRef sends a command (load.Wire).
func (w *wire) WriteRef(c protocol.ClientCommand, ref string) error {
	frame, err := protocol.EncodeCommand(c, ref)
	if err != nil {
		return err
	}
	if !w.up.put(frame) {
		return errGone
	}
	return nil
}

// patience is after how long without an event a client sends a ping, and gone after how
// long it leaves (as client.Timing's Ping and Gone).
const (
	patience = 3 * time.Second
	gone     = 8 * time.Second
)

// Read returns the next event, and leaves a silent node (load.Wire).
func (w *wire) Read() (client.Event, error) {
	asked := false
	for began := time.Now(); ; {
		until := began.Add(patience)
		if asked {
			until = began.Add(gone)
		}
		e, err := w.next(until)
		switch {
		case err == nil && e.Type == "pong":
			began, asked = time.Now(), false
		case err == nil:
			return e, nil
		case asked || errors.Is(err, errGone):
			return e, errGone
		default:
			asked = true
			_ = w.Write(protocol.PingCommand{})
		}
	}
}

// next returns the next event, or an error at a deadline.
func (w *wire) next(until time.Time) (client.Event, error) {
	raw, err := w.down.get(func() time.Time { return until })
	if err != nil {
		return client.Event{}, err
	}
	e := client.Event{Raw: raw}
	var name struct{ Type string }
	if err := json.Unmarshal(raw, &name); err != nil {
		return client.Event{}, err
	}
	e.Type = name.Type
	return e, nil
}

// Close ends the connection from the client's side (load.Wire).
func (w *wire) Close() {
	w.up.end(io.EOF, false)
	w.up.freeze(false)
	w.down.end(errGone, true)
}

// Welcome returns the reply to hello (load.Wire).
func (w *wire) Welcome() protocol.WelcomeEvent { return w.welcome }

// transport is the wire as its session sees it.
type transport struct{ *wire }

// Deliver queues an event (session.Transport).
func (t transport) Deliver(b *room.Broadcast) { t.say(b.Event) }

// Reply queues a reply (session.Transport).
func (t transport) Reply(c protocol.Command, e protocol.Event) { t.say(e.WithRef(c.Ref)) }

// Close ends the connection after the queued events (session.Transport).
func (t transport) Close(int, string) { t.down.end(errGone, false) }

// Pending returns 0: the wire has no bound (session.Transport).
func (t transport) Pending() int { return 0 }

func (w *wire) say(e protocol.Event) {
	w.down.put(e.AppendFrame(nil))
}
