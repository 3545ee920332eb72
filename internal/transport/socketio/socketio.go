// Package socketio serves chat sessions over Socket.IO: each is a socket of the
// namespace "/", whose auth payload is its hello. One event is one command or event,
// whose argument holds the fields.
package socketio

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"example.com/chat/internal/admission"
	"example.com/chat/internal/engineio"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
	"example.com/chat/internal/session"
	"example.com/chat/internal/socketio"
)

// Handshake is one Socket.IO connection as the node admitted it. Its fields are used
// only by the handlers of its connection, one at a time.
type Handshake struct {
	origin string
	slot   *admission.Slot

	close  func(code int, reason string)
	hellos int         // tried so far
	idle   *time.Timer // closes a connection that left the namespace; nil while it is in it
}

// NewHandshake admits a connection. The client reached this node by origin; the
// connection releases slot.
func NewHandshake(origin string, slot *admission.Slot) *Handshake {
	return &Handshake{origin: origin, slot: slot}
}

// NewServer returns the server of a node's sessions over Socket.IO. The config's
// Admit must return a *Handshake.
func NewServer(sessions *session.Node, engine engineio.Config) *socketio.Server {
	engine.Abandon = func(admitted any) { admitted.(*Handshake).slot.Release() }
	return socketio.NewServer(socketio.Config{
		Engine: engine,
		Opened: func(admitted any, close func(int, string)) {
			h := admitted.(*Handshake)
			h.close = close
			h.slot.OnEvict(func() { close(protocol.CloseFull, "too many connections are silent here: connect at once") })
		},
		Ended: func(admitted any) {
			h := admitted.(*Handshake)
			h.slot.Release()
			h.stopIdle()
		},
		ConnectTimeout: session.HelloTimeout,
	}, map[string]socketio.ConnectFunc{"/": func(s *socketio.Socket, auth jsontext.Value) (socketio.Handler, *socketio.Refusal) {
		return connect(sessions, s, auth)
	}})
}

// connect executes the hello in a socket's auth payload.
func connect(sessions *session.Node, s *socketio.Socket, auth jsontext.Value) (socketio.Handler, *socketio.Refusal) {
	h := s.Admitted().(*Handshake)
	if h.hellos++; h.hellos > session.MaxRefusals {
		s.Close(protocol.CloseAbuse, "too many hellos were refused")
		return nil, refusal(protocol.Errorf(protocol.CodeRateLimited, "too many hellos were refused: open another connection"))
	}
	if auth == nil {
		auth = noFields
	}
	t := &transport{socket: s}
	t.session = session.New(sessions, t, h.origin, h.slot)
	hello, bad := protocol.DecodeCommand(protocol.Hello, auth)
	t.joins = hello.Joins
	if err := t.session.Hello(hello, bad); err != nil {
		if err.Code == protocol.CodeUnavailable {
			// Official clients reconnect by themselves after the end of their
			// connection, and do not after a refusal.
			s.Close(protocol.CloseFull, err.Message)
		}
		return nil, refusal(err)
	}
	h.stopIdle()
	return t, nil
}

// noFields stands for an argument that is missing.
var noFields = jsontext.Value("{}")

func refusal(e *protocol.Error) *socketio.Refusal {
	return &socketio.Refusal{Message: e.Message, Data: e.Event().Body}
}

// stopIdle keeps a connection open that entered the namespace again.
func (h *Handshake) stopIdle() {
	if h.idle != nil {
		h.idle.Stop()
		h.idle = nil
	}
}

// startIdle closes a connection that left the namespace, unless it enters it again
// soon.
func (h *Handshake) startIdle() {
	h.stopIdle()
	h.idle = time.AfterFunc(session.HelloTimeout, func() { h.close(protocol.CloseNormal, "you have left") }) // ended by stopIdle
}

// transport is a session's transport over Socket.IO.
type transport struct {
	socket  *socketio.Socket
	session *session.Session
	joins   []protocol.Joining // of the hello; nil once they are made
}

// Connected joins the rooms that the hello named (socketio.Starter).
func (t *transport) Connected() {
	t.session.JoinAll(t.joins)
	t.joins = nil
}

// Event executes one command (socketio.Handler).
func (t *transport) Event(e *socketio.Event) {
	c, bad := decode(e)
	if ack, ok := e.Ack(); ok {
		c.Via = ack
	}
	t.session.Command(c, bad)
}

func decode(e *socketio.Event) (protocol.Command, *protocol.Error) {
	fields := noFields
	if len(e.Args) > 0 {
		fields = e.Args[0]
	}
	switch {
	case len(e.Attachments) > 0:
		return protocol.NameOf(e.Name, fields), protocol.Errorf(protocol.CodeBadField, "binary arguments are not allowed: send one object")
	case len(e.Args) > 1:
		return protocol.NameOf(e.Name, fields), protocol.Errorf(protocol.CodeBadField, "a command has one argument, an object")
	}
	return protocol.DecodeCommand(e.Name, fields)
}

// Disconnected ends the session (socketio.Handler).
func (t *transport) Disconnected(reason socketio.Reason) {
	t.session.End()
	if reason == socketio.ReasonClientLeft || reason == socketio.ReasonServerLeft {
		t.socket.Admitted().(*Handshake).startIdle()
	}
}

// Deliver sends an event (session.Transport). It is encoded once for all connections.
func (t *transport) Deliver(b *room.Broadcast) {
	t.socket.Send(b.Encoded(room.CodecSocketIO, encode).(*socketio.Encoded))
}

// Reply sends the answer to a command (session.Transport): as its acknowledgement if
// the client asked for one, else as an event.
func (t *transport) Reply(c protocol.Command, e protocol.Event) {
	e = e.WithRef(c.Ref)
	if ack, ok := c.Via.(socketio.Ack); ok {
		ack.SendRaw([]jsontext.Value{e.Body}, nil)
		return
	}
	t.socket.Answer(encode(e).(*socketio.Encoded))
}

// final are the close codes after which a client should not reconnect by itself, and
// the code of the error that precedes the disconnect.
var final = map[int]protocol.Code{
	protocol.CloseNoHello: protocol.CodeUnauthorized,
	protocol.CloseKicked:  protocol.CodeForbidden,
	protocol.CloseAbuse:   protocol.CodeRateLimited,
}

// Close ends the connection (session.Transport). Official clients reconnect by
// themselves after the end of a connection, and do not after a disconnect. Before a
// disconnect they get the reason as an error, since a polling client sees no close
// code.
func (t *transport) Close(code int, reason string) {
	why, ok := final[code]
	if !ok {
		t.socket.Close(code, reason)
		return
	}
	t.socket.Answer(encode(protocol.Errorf(why, "%s", reason).Event()).(*socketio.Encoded))
	t.socket.Disconnect()
}

// Pending returns the bytes in the connection's outbox (session.Transport).
func (t *transport) Pending() int { return t.socket.Pending() }

// Unsent returns Pending plus the bytes that the system has not sent yet
// (room.Queued).
func (t *transport) Unsent() int { return t.socket.Unsent() }

func encode(e protocol.Event) any {
	return socketio.EncodeRaw("/", e.Name, []jsontext.Value{e.Body}, nil)
}
