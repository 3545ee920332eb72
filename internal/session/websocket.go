package session

import (
	"net/http"

	"example.com/chat/internal/conn"
	"example.com/chat/internal/door"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// ServeWebSocket upgrades a request to /ws and serves its session. The caller
// has checked where the request comes from; origin is that by which the client
// came, and visit its way in, which this ends. On an error the request is
// answered already.
func (n *Node) ServeWebSocket(sockets *conn.Server, w http.ResponseWriter, r *http.Request, origin string, visit *door.Visit) error {
	err := sockets.Accept(w, r, func(c *conn.Conn) conn.Handler {
		s := &socket{conn: c}
		s.session = New(n, s, origin)
		s.session.visit = visit
		visit.OnEvict(func() { c.Close(protocol.CloseFull, "too many say nothing here: say hello at once") })
		return s
	})
	if err != nil {
		visit.End()
	}
	return err
}

// socket is a session's transport over a WebSocket: one text frame is one
// command or event.
type socket struct {
	conn    *conn.Conn
	session *Session
}

// Message takes one frame (conn.Handler).
func (s *socket) Message(data []byte) { s.session.Command(protocol.DecodeFrame(data)) }

// Closed tells that no more will come (conn.Handler).
func (s *socket) Closed(int, string) { s.session.End() }

// Deliver hands over an event (Transport): its frame is made once for all.
func (s *socket) Deliver(b *room.Broadcast) {
	s.conn.Send(b.Encoded(room.CodecWebSocket, encodeFrame).(conn.Frame))
}

// Reply hands over an answer (Transport): its ref stands in the frame.
func (s *socket) Reply(c protocol.Command, e protocol.Event) {
	s.conn.Answer(encodeFrame(e.WithRef(c.Ref)).(conn.Frame))
}

// Close ends the connection (Transport).
func (s *socket) Close(code int, reason string) { s.conn.Close(code, reason) }

// Pending is how many bytes wait in the connection's outbox (Transport).
func (s *socket) Pending() int { return s.conn.Pending() }

// Unsent is Pending, and what the system has not sent yet.
func (s *socket) Unsent() int { return s.conn.Unsent() }

func encodeFrame(e protocol.Event) any {
	return conn.Text(e.AppendFrame(make([]byte, 0, len(e.Body)+len(e.Name)+16)))
}
