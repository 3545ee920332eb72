package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"example.com/chat/internal/protocol"
)

// ErrClosed reports that Close ended the Session.
var ErrClosed = errors.New("the session is closed")

// Session is a user that stays in the chat over many connections. When its node is lost
// it continues at another one, with its rooms recovered. It ends with Close, or with an
// error that further tries can't change.
type Session struct {
	opts   Options
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	done   chan struct{} // closed when run has returned
	// gate lets a single command be in flight; see call.
	gate    *semaphore.Weighted
	seekers sync.WaitGroup // searches for a better connection; run waits for them

	// mu is taken before a Conn's mu, and not held during writes and callbacks.
	mu      sync.Mutex // guards the fields below
	err     error      // why it ended; nil before
	conn    *Conn      // nil between connections
	changed chan struct{}
	rooms   map[string]*room
	nodes   []protocol.Node
	node    protocol.Node // the current or last node, with the URL that was dialed
	tls     bool          // a URL with TLS was given or used, so no other is
	user    protocol.User
	token   string
	pace    *rate.Limiter // nil without a limit
	seeking *Conn         // the connection beside which a search runs
	standby *Conn         // the result of a search, for run to continue with
	// cutOff holds the nodes that reported the loss of Redis, and when.
	cutOff  map[string]time.Time
	refuges []protocol.Node // nodes that reach Redis, by the newest status
}

// Notice reports a change of the Session's connection.
type Notice struct {
	// Node is the current node, with the URL that was dialed; if Err is set, the last
	// one.
	Node protocol.Node
	// Err is why the connection was lost, or a try to get another one failed; the
	// Session keeps trying. It is nil when there is a connection.
	Err error
	// Again reports that it is not the Session's first connection.
	Again bool
	// Renewed reports that the token was not valid, so the Session is another user than
	// before, or than asked for.
	Renewed bool
}

// Open connects as Dial does, and begins a Session. An absent node, or a refused hello,
// is an error; while the node is full or has lost Redis, Open tries again until ctx is
// done. ctx bounds only the opening.
func Open(ctx context.Context, opts Options) (*Session, error) {
	opts.Timing.fill()
	s := &Session{opts: opts, tls: usesTLS(opts.URL), done: make(chan struct{}), rooms: make(map[string]*room)}
	s.gate = semaphore.NewWeighted(gateWidth)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	c, err := s.connect(ctx, loss{}, 0)
	if err != nil {
		s.cancel()
		return nil, err
	}
	s.attach(c)
	go s.run(c) // owns the connections; ends after Close or a final error; Close waits for it
	return s, nil
}

// Close ends the Session and waits for its goroutines. A handler of the Session must
// not call it.
func (s *Session) Close() {
	s.fail(ErrClosed)
	<-s.done
}

// Done is closed when the Session has ended; Err then says why.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns why the Session ended; nil before.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// User returns the user that the Session is.
func (s *Session) User() protocol.User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.user
}

// Token returns the token that makes the same user of a later Session.
func (s *Session) Token() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// Node returns the current node, or the last one between connections.
func (s *Session) Node() protocol.Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.node
}

// run keeps a connection while the Session lives; the first is attached already.
func (s *Session) run(c *Conn) {
	defer close(s.done)
	defer s.seekers.Wait() // none starts once err is set
	attempt := 0
	for {
		began := time.Now()
		err := s.read(c)
		s.detach(c)
		next := s.takeStandby()
		if s.ctx.Err() != nil {
			if next != nil {
				next.Close()
			}
			return
		}
		if time.Since(began) >= s.opts.Timing.Stable {
			attempt = 0
		}
		l := s.judge(err)
		if c.fault() != nil && c.unanswered(0) > 0 {
			l.final = false // the bad command fails by itself
		}
		if l.final && s.reauthenticates(s.ctx, c.auth, err) {
			l.final = false
		}
		switch {
		case next != nil:
			s.notice(Notice{Node: s.Node(), Err: err, Again: true})
		case !l.final:
			s.notice(Notice{Node: s.Node(), Err: err, Again: true})
			next, err = s.connect(s.ctx, l, attempt)
			attempt++
		}
		if next == nil {
			s.fail(err)
			return
		}
		c = next
		s.attach(c)
	}
}

// fail ends the Session; only the first error counts.
func (s *Session) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	c := s.conn
	s.changeLocked()
	s.mu.Unlock()
	s.cancel()
	if c != nil {
		c.Close()
	}
}

// attach makes a connection the current one, and joins the Session's rooms on it.
func (s *Session) attach(c *Conn) {
	w := c.Welcome()
	s.mu.Lock()
	again := s.node != protocol.Node{}
	renewed := w.Renewed || again && s.user.ID != w.User.ID
	here := protocol.Node{ID: w.Node.ID, URL: c.URL()}
	s.conn, s.node, s.nodes, s.user, s.token = c, here, w.Nodes, w.User, w.Token
	s.tls = s.tls || usesTLS(c.URL())
	s.paceLocked(w.Limits)
	join, leave := s.joinAllLocked(c)
	closed := s.err != nil
	s.changeLocked()
	s.mu.Unlock()
	if closed {
		c.Close() // Close was called between connections
		return
	}
	s.renewLater(c, c.auth)
	if s.opts.OnToken != nil && w.Token != "" {
		s.opts.OnToken(w.Token)
	}
	s.notice(Notice{Node: here, Again: again, Renewed: renewed})
	for _, name := range leave {
		_ = c.Request(protocol.LeaveCommand{Room: name}, func(Event) {})
	}
	for _, r := range join {
		s.join(c, r)
	}
}

func (s *Session) detach(c *Conn) {
	_ = c.end(ErrLost)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = nil
	s.changeLocked()
}

// paceLocked sets the local rate limit just below the node's, so that hardly any
// message is refused: a node closes connections that are refused too often.
func (s *Session) paceLocked(l protocol.Limits) {
	if l.Rate <= 0 {
		s.pace = nil
		return
	}
	const margin = 0.95 // for messages that arrive closer together than they were sent
	per, burst := rate.Limit(l.Rate*margin), max(1, l.Burst-1)
	if s.pace == nil {
		s.pace = rate.NewLimiter(per, burst)
		return
	}
	s.pace.SetLimit(per)
	s.pace.SetBurst(burst)
}

// changeLocked wakes all goroutines that wait for a change of the Session.
func (s *Session) changeLocked() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// waitLocked returns a channel that is closed at the next change.
func (s *Session) waitLocked() <-chan struct{} {
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

func (s *Session) notice(n Notice) {
	if s.opts.OnNotice != nil {
		s.opts.OnNotice(n)
	}
}

// triesAgain reports a temporary refusal to the caller's OnRefused.
func (s *Session) triesAgain(refused *protocol.Error) {
	if s.opts.OnRefused != nil {
		s.opts.OnRefused(refused)
	}
}

// read reads a connection until it ends.
func (s *Session) read(c *Conn) error {
	for {
		e, err := c.Read()
		if err == nil {
			err = s.handle(c, e)
		}
		if err != nil {
			return c.end(err)
		}
	}
}

// handle handles one event. An error means that the node violates the protocol.
func (s *Session) handle(c *Conn, e Event) error {
	switch e.Type {
	case protocol.MessageName:
		entry, err := decodeEntry(e.Raw)
		if err != nil {
			return err
		}
		s.live(c, entry)
		return nil
	case protocol.ResetName:
		var r protocol.ResetEvent
		if err := e.Decode(&r); err != nil {
			return err
		}
		s.reset(c, r.Room)
		return nil
	case protocol.NodesName:
		var n protocol.NodesEvent
		if err := e.Decode(&n); err != nil {
			return err
		}
		s.mu.Lock()
		s.nodes = n.Nodes
		s.mu.Unlock()
	case protocol.JoinedName:
		var j protocol.JoinedEvent
		if err := e.Decode(&j); err != nil {
			return err
		}
		if r, turn := s.helloRoom(c, j.Room); r != nil {
			return s.joined(c, r, turn, e)
		}
	case protocol.ErrorName:
		refused := e.Refused()
		if r, turn := s.helloRoom(c, refused.Room); r != nil {
			s.joinRefused(c, r, turn, refused)
			return nil
		}
	case protocol.StatusName:
		var st protocol.StatusEvent
		if err := e.Decode(&st); err != nil {
			return err
		}
		s.brokerStatus(c, st)
	}
	if s.opts.OnEvent != nil {
		s.opts.OnEvent(e)
	}
	return nil
}
