// Package websocket serves chat sessions over WebSockets: one text frame is one
// command or event.
package websocket

import (
	"net/http"

	"example.com/chat/internal/admission"
	"example.com/chat/internal/conn"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
	"example.com/chat/internal/session"
)

// Server upgrades requests to WebSockets and serves their sessions.
type Server struct {
	sessions *session.Node
	conns    *conn.Server
}

// NewServer returns the server of a node's sessions over the connections of conns.
func NewServer(sessions *session.Node, conns *conn.Server) *Server {
	return &Server{sessions: sessions, conns: conns}
}

// Serve upgrades a request and serves its session. The caller has checked the
// request's Origin; origin is that by which the client reached this node. Serve
// releases slot. If it returns an error it has answered the request.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, origin string, slot *admission.Slot) error {
	err := s.conns.Accept(w, r, func(c *conn.Conn) conn.Handler {
		t := &transport{conn: c}
		t.session = session.New(s.sessions, t, origin, slot)
		slot.OnEvict(func() { c.Close(protocol.CloseFull, "too many connections are silent here: send hello at once") })
		return t
	})
	if err != nil {
		slot.Release()
	}
	return err
}

// Refuse upgrades a request and closes its connection with a code of the protocol:
// browsers show pages no other answer to a WebSocket's request.
func (s *Server) Refuse(w http.ResponseWriter, r *http.Request, code int, reason string) {
	_ = s.conns.Accept(w, r, func(c *conn.Conn) conn.Handler { // it answers by itself
		c.Close(code, reason)
		return refused{}
	})
}

// refused is the handler of a connection that was closed as soon as it was made.
type refused struct{}

// Message ignores a frame (conn.Handler).
func (refused) Message([]byte) {}

// Closed has nothing to release (conn.Handler).
func (refused) Closed(int, string) {}

// transport is a session's transport over one WebSocket.
type transport struct {
	conn    *conn.Conn
	session *session.Session
}

// Message executes the command of one frame (conn.Handler).
func (t *transport) Message(data []byte) { t.session.Command(protocol.DecodeFrame(data)) }

// Closed ends the session (conn.Handler).
func (t *transport) Closed(int, string) { t.session.End() }

// Deliver sends an event (session.Transport). Its frame is encoded once for all
// connections.
func (t *transport) Deliver(b *room.Broadcast) {
	t.conn.Send(b.Encoded(room.CodecWebSocket, encode).(conn.Frame))
}

// Reply sends the answer to a command (session.Transport), with the command's ref.
func (t *transport) Reply(c protocol.Command, e protocol.Event) {
	t.conn.Answer(encode(e.WithRef(c.Ref)).(conn.Frame))
}

// Close ends the connection (session.Transport).
func (t *transport) Close(code int, reason string) { t.conn.Close(code, reason) }

// Pending returns the bytes in the connection's outbox (session.Transport).
func (t *transport) Pending() int { return t.conn.Pending() }

// Unsent returns Pending plus the bytes that the system has not sent yet
// (room.Queued).
func (t *transport) Unsent() int { return t.conn.Unsent() }

func encode(e protocol.Event) any {
	return conn.Text(e.AppendFrame(make([]byte, 0, len(e.Body)+len(e.Name)+16)))
}
