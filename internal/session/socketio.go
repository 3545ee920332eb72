package session

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"example.com/chat/internal/door"
	"example.com/chat/internal/engineio"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
	"example.com/chat/internal/socketio"
)

// Arrival is one Socket.IO connection, from before it is made: what the node knew
// of it when it let it in. All but NewArrival is done where its handlers are told
// things, one at a time.
type Arrival struct {
	origin string
	visit  *door.Visit

	close func(code int, reason string)
	tries int         // to say hello
	idle  *time.Timer // closes a connection that has left the chat; nil while it is in
}

// NewArrival lets a connection in. The client came by origin; visit is its way in,
// which the connection ends.
func NewArrival(origin string, visit *door.Visit) *Arrival {
	return &Arrival{origin: origin, visit: visit}
}

// NewSocketIO makes the server of the node's sessions over Socket.IO: each is a
// socket of the namespace "/", whose auth payload says hello. The config's Admit
// must return an *Arrival.
func (n *Node) NewSocketIO(engine engineio.Config) *socketio.Server {
	engine.Abandon = func(admitted any) { admitted.(*Arrival).visit.End() }
	return socketio.NewServer(socketio.Config{
		Engine: engine,
		Opened: func(admitted any, close func(int, string)) {
			a := admitted.(*Arrival)
			a.close = close
			a.visit.OnEvict(func() { close(protocol.CloseFull, "too many say nothing here: connect at once") })
		},
		Ended: func(admitted any) {
			a := admitted.(*Arrival)
			a.visit.End()
			a.stay()
		},
		ConnectTimeout: helloWithin,
	}, map[string]socketio.ConnectFunc{"/": n.connect})
}

// connect has a socket say hello by its auth payload.
func (n *Node) connect(s *socketio.Socket, auth jsontext.Value) (socketio.Handler, *socketio.Refusal) {
	a := s.Admitted().(*Arrival)
	if a.tries++; a.tries > maxRefusals {
		s.Close(protocol.CloseAbuse, "too many tries to say hello")
		return nil, refusal(protocol.Errorf(protocol.CodeRateLimited, "too many tries to say hello: open another connection"))
	}
	if auth == nil {
		auth = nothing
	}
	t := &ioSocket{socket: s}
	t.session = New(n, t, a.origin)
	t.session.visit = a.visit
	hello, bad := protocol.DecodeCommand(protocol.Hello, auth)
	t.joins = hello.Joins
	if err := t.session.Hello(hello, bad); err != nil {
		t.session.deadline.Stop() // the connection has one of its own
		if err.Code == protocol.CodeUnavailable {
			// Official clients don't try again by themselves after a refusal, and do
			// when their connection ends.
			s.Close(protocol.CloseFull, err.Message)
		}
		return nil, refusal(err)
	}
	a.stay()
	return t, nil
}

// nothing is the argument of who gives none.
var nothing = jsontext.Value("{}")

func refusal(e *protocol.Error) *socketio.Refusal {
	return &socketio.Refusal{Message: e.Message, Data: e.Event().Body}
}

// stay keeps a connection that has come back.
func (a *Arrival) stay() {
	if a.idle != nil {
		a.idle.Stop()
		a.idle = nil
	}
}

// leave closes the connection if it does not come back soon: it has nothing to
// do here.
func (a *Arrival) leave() {
	a.stay()
	a.idle = time.AfterFunc(helloWithin, func() { a.close(protocol.CloseNormal, "you have left") }) // stopped by stay
}

// ioSocket is a session's transport over Socket.IO: one event is one command or
// event, whose argument holds the fields.
type ioSocket struct {
	socket  *socketio.Socket
	session *Session
	joins   []protocol.Joining // of the hello, until they are made
}

// Connected joins the rooms that the hello named (socketio.Starter).
func (t *ioSocket) Connected() {
	t.session.joinAll(t.joins)
	t.joins = nil
}

// Event takes one command (socketio.Handler).
func (t *ioSocket) Event(e *socketio.Event) {
	c, bad := decodeEvent(e)
	if ack, ok := e.Ack(); ok {
		c.Via = ack
	}
	t.session.Command(c, bad)
}

func decodeEvent(e *socketio.Event) (protocol.Command, *protocol.Error) {
	fields := nothing
	if len(e.Args) > 0 {
		fields = e.Args[0]
	}
	switch {
	case len(e.Attachments) > 0:
		return protocol.NameOf(e.Name, fields), protocol.Errorf(protocol.CodeBadField, "nothing binary is taken here: send one object")
	case len(e.Args) > 1:
		return protocol.NameOf(e.Name, fields), protocol.Errorf(protocol.CodeBadField, "a command has one argument, an object")
	}
	return protocol.DecodeCommand(e.Name, fields)
}

// Disconnected tells that no more will come (socketio.Handler).
func (t *ioSocket) Disconnected(reason socketio.Reason) {
	t.session.End()
	if reason == socketio.ReasonClientLeft || reason == socketio.ReasonServerLeft {
		t.socket.Admitted().(*Arrival).leave()
	}
}

// Deliver hands over an event (Transport), which is encoded once for all.
func (t *ioSocket) Deliver(b *room.Broadcast) {
	t.socket.Send(b.Encoded(room.CodecSocketIO, encodeEvent).(*socketio.Encoded))
}

// Reply hands over an answer (Transport): as the acknowledgement where the client
// wants one, else as an event.
func (t *ioSocket) Reply(c protocol.Command, e protocol.Event) {
	e = e.WithRef(c.Ref)
	if ack, ok := c.Via.(socketio.Ack); ok {
		ack.SendRaw([]jsontext.Value{e.Body}, nil)
		return
	}
	t.socket.Answer(encodeEvent(e).(*socketio.Encoded))
}

// final are the closes after which a client should not come back by itself, and
// the code of the error that says so.
var final = map[int]protocol.Code{
	protocol.CloseNoHello: protocol.CodeUnauthorized,
	protocol.CloseKicked:  protocol.CodeForbidden,
	protocol.CloseAbuse:   protocol.CodeRateLimited,
}

// Close ends the connection (Transport). Official clients come back by themselves
// when their connection ends, and don't when they are disconnected: these are told
// why, since a polling client sees no close code.
func (t *ioSocket) Close(code int, reason string) {
	why, ok := final[code]
	if !ok {
		t.socket.Close(code, reason)
		return
	}
	t.socket.Answer(encodeEvent(protocol.Errorf(why, "%s", reason).Event()).(*socketio.Encoded))
	t.socket.Disconnect()
}

// Pending is how many bytes wait for the client to take them (Transport).
func (t *ioSocket) Pending() int { return t.socket.Pending() }

// Unsent is Pending, and what the system has not sent yet.
func (t *ioSocket) Unsent() int { return t.socket.Unsent() }

func encodeEvent(e protocol.Event) any {
	return socketio.EncodeRaw("/", e.Name, []jsontext.Value{e.Body}, nil)
}
