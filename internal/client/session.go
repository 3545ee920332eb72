package client

import (
	"context"
	"time"

	"example.com/chat/internal/protocol"
)

// Session is a user that stays in the chat over many connections. When its node is lost
// it continues at another one, with its rooms recovered. It ends with Close, or with an
// error that further tries can't change. Its methods are safe for concurrent use.
//
// One goroutine, run, owns the connections and reads from them. Each part has its own
// state and lock, and says how it may be used.
type Session struct {
	opts   Options
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	done   chan struct{} // closed when run has returned

	current   current
	identity  identity
	cluster   *cluster
	connector connector
	mover     mover
	renewer   renewer
	rooms     *rooms
	pacer     pacer
	commands  *commands
	sender    sender
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

// newSession returns a Session without a connection.
func newSession(opts Options) *Session {
	opts.Timing.fill()
	s := &Session{opts: opts, done: make(chan struct{}), identity: identity{opts: opts}, cluster: newCluster(opts.URL)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	timing := &s.opts.Timing
	s.rooms = newRooms(roomHooks{timing: timing, changed: s.current.notify, refused: s.refused})
	s.connector = connector{timing: timing, cluster: s.cluster, identity: &s.identity, joins: s.rooms.helloJoins, notice: s.notice}
	s.mover = mover{ctx: s.ctx, timing: timing, identity: &s.identity}
	s.renewer = renewer{ctx: s.ctx, source: opts.AuthFrom, refused: s.refused}
	s.commands = newCommands(timing, &s.current, s.stalled, s.rooms.catchingUp)
	s.sender = sender{timing: timing, current: &s.current, rooms: s.rooms, pacer: &s.pacer, commands: s.commands, refused: s.refused}
	return s
}

// Open connects as Dial does, and begins a Session. An absent node, or a refused hello,
// is an error; while the node is full or has lost Redis, Open tries again until ctx is
// done. ctx bounds only the opening.
func Open(ctx context.Context, opts Options) (*Session, error) {
	s := newSession(opts)
	c, err := s.connector.connect(ctx, loss{}, 0)
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
func (s *Session) Err() error { return s.current.ended() }

// User returns the user that the Session is.
func (s *Session) User() protocol.User {
	user, _, _ := s.identity.current()
	return user
}

// Token returns the token that makes the same user of a later Session.
func (s *Session) Token() string {
	_, token, _ := s.identity.current()
	return token
}

// Node returns the current node, or the last one between connections.
func (s *Session) Node() protocol.Node { return s.cluster.current() }

// Do executes a command that is safe to repeat (history, rooms, members) on the current
// or the next connection, and returns its reply. A permanent refusal is a
// *protocol.Error.
func (s *Session) Do(ctx context.Context, cmd protocol.ClientCommand) (Event, error) {
	return s.commands.do(ctx, cmd)
}

// run keeps a connection while the Session lives; the first is attached already.
func (s *Session) run(c *Conn) {
	defer close(s.done)
	defer s.mover.wait()
	attempt := 0
	for {
		began := time.Now()
		err := s.read(c)
		next := s.detach(c)
		if s.ctx.Err() != nil {
			if next != nil {
				next.Close()
			}
			return
		}
		if time.Since(began) >= s.opts.Timing.Stable {
			attempt = 0
		}
		l := s.opts.Timing.judge(err)
		if c.fault() != nil && c.calls.unanswered(0) > 0 {
			l.final = false // the bad command fails by itself
		}
		if l.final && s.identity.reauthenticates(s.ctx, c.auth, err) {
			l.final = false
		}
		switch {
		case next != nil:
			s.notice(Notice{Node: s.Node(), Err: err, Again: true})
		case !l.final:
			s.notice(Notice{Node: s.Node(), Err: err, Again: true})
			next, err = s.connector.connect(s.ctx, l, attempt)
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
	c := s.current.fail(err)
	s.cancel()
	if c != nil {
		c.Close()
	}
}

// attach makes a connection the current one, and joins the Session's rooms on it. If
// the Session has ended it closes the connection.
func (s *Session) attach(c *Conn) {
	w := c.Welcome()
	again, renewed := s.identity.welcomed(w)
	here := s.cluster.welcomed(w, c.URL())
	s.pacer.set(w.Limits)
	s.mover.attach(c)
	leave := s.rooms.attach(c)
	if !s.current.attach(c) {
		c.Close() // Close was called between connections
		return
	}
	s.renewer.schedule(c, c.auth)
	if s.opts.OnToken != nil && w.Token != "" {
		s.opts.OnToken(w.Token)
	}
	s.notice(Notice{Node: here, Again: again, Renewed: renewed})
	s.rooms.resume(c, leave)
}

// detach ends the use of a connection. It returns another one if a search has found
// one, else nil.
func (s *Session) detach(c *Conn) (standby *Conn) {
	_ = c.end(ErrLost)
	s.current.detach()
	s.rooms.detach()
	return s.mover.detach()
}

// notice passes a change of the connection to the caller's OnNotice.
func (s *Session) notice(n Notice) {
	if s.opts.OnNotice != nil {
		s.opts.OnNotice(n)
	}
}

// refused passes a temporary refusal to the caller's OnRefused.
func (s *Session) refused(refused *protocol.Error) {
	if s.opts.OnRefused != nil {
		s.opts.OnRefused(refused)
	}
}

// read reads a connection until it ends.
func (s *Session) read(c *Conn) error {
	for {
		e, err := c.Read()
		if err == nil {
			err = s.dispatch(c, e)
		}
		if err != nil {
			return c.end(err)
		}
	}
}

// dispatch passes one event to the part that it is about, or else to the caller's
// OnEvent. An error means that the node violates the protocol.
func (s *Session) dispatch(c *Conn, e Event) error {
	if handled, err := s.rooms.handle(c, e); handled || err != nil {
		return err
	}
	switch e.Type {
	case protocol.NodesName:
		var n protocol.NodesEvent
		if err := e.Decode(&n); err != nil {
			return err
		}
		s.cluster.changed(n.Nodes)
	case protocol.StatusName:
		var st protocol.StatusEvent
		if err := e.Decode(&st); err != nil {
			return err
		}
		s.cluster.status(st, time.Now())
		s.leaveCutOff(c)
	}
	if s.opts.OnEvent != nil {
		s.opts.OnEvent(e)
	}
	return nil
}

// stalled starts the search for another connection after a command had no reply for
// Timing.Stall: the path to the node may be dead although events still arrive from it.
// The search ends when the reply arrives.
func (s *Session) stalled(c *Conn) {
	s.mover.search(c, errStalled, func() []string { return s.cluster.candidates(false) }, func(int) bool {
		return c.calls.unanswered(s.opts.Timing.Stall) > 0
	})
}

// leaveCutOff starts the search for a node that reaches Redis, if the current one has
// lost it and names others; each is tried a few times, except those that lost Redis
// recently.
func (s *Session) leaveCutOff(c *Conn) {
	if !s.cluster.isCutOff() || len(s.cluster.reaching()) == 0 {
		return
	}
	s.mover.search(c, errCutOff, s.cluster.reaching, func(pass int) bool {
		return pass < maxTries && s.cluster.isCutOff()
	})
}
