package engineio

import (
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/conn"
)

// link is the WebSocket of a session, or of an upgrade. The WebSocket's reader calls
// its methods, except late.
type link struct {
	session *Session
	conn    *conn.Conn
	active  bool        // it is the session's transport
	timer   *time.Timer // of the upgrade; nil without one
}

// openWebSocket opens a session on a WebSocket.
func (s *Server) openWebSocket(w http.ResponseWriter, r *http.Request, admitted any) bool {
	err := s.sockets.Accept(w, r, func(c *conn.Conn) conn.Handler {
		session := newSession(s, c)
		if !session.begin(r, admitted) && s.cfg.Abandon != nil {
			s.cfg.Abandon(admitted)
		}
		return &link{session: session, conn: c, active: true}
	})
	if err != nil {
		s.release()
	}
	return err == nil
}

// late closes a WebSocket that has not upgraded in time; the session keeps polling.
func (l *link) late() { l.conn.Close(websocket.CloseNormalClosure, "no upgrade in time") }

// Message handles a text packet (conn.Handler).
func (l *link) Message(data []byte) {
	k, rest, err := parsePacket(data)
	if !l.active {
		l.probing(k, string(rest), err)
		return
	}
	if err != nil {
		l.session.end(ReasonParse)
		return
	}
	l.session.calls.mu.Lock()
	defer l.session.calls.mu.Unlock()
	l.session.calls.packet(k, rest)
}

// Binary handles a binary message (conn.BinaryHandler).
func (l *link) Binary(data []byte) {
	if !l.active {
		l.probing(kindBinary, "", nil)
		return
	}
	l.session.calls.mu.Lock()
	defer l.session.calls.mu.Unlock()
	l.session.calls.packet(kindBinary, data)
}

// Closed handles the end of the WebSocket (conn.Handler).
func (l *link) Closed(code int, _ string) {
	if l.timer != nil {
		l.timer.Stop()
	}
	if !l.active {
		l.session.upgrade.withdraw(l)
		return
	}
	reason := ReasonClient
	if code == conn.CloseSlow {
		reason = ReasonSlow
	}
	l.session.disconnected(reason)
}

// probing handles a packet of a WebSocket before the upgrade. Anything but a probe and
// then the upgrade closes it, and the session keeps polling.
func (l *link) probing(k kind, data string, err error) {
	switch {
	case err == nil && k == kindPing && data == "probe" && l.session.upgrade.probe(l):
	case err == nil && k == kindUpgrade && l.session.upgrade.complete(l):
		l.timer.Stop()
		l.active = true
	default:
		l.conn.Close(websocket.ClosePolicyViolation, "not an upgrade")
	}
}
