package engineio

import (
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/conn"
)

// link is a WebSocket, which a session goes over or which is about to take one
// over. Its methods are called by the WebSocket's reader, but for late.
type link struct {
	session *Session
	conn    *conn.Conn
	active  bool        // the session goes over it
	timer   *time.Timer // for taking over; nil where that is not to be
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

// takeOver serves a WebSocket that comes for a session which polls. One too many
// is closed after its handshake, as clients expect.
func (s *Session) takeOver(w http.ResponseWriter, r *http.Request) {
	_ = s.server.sockets.Accept(w, r, func(c *conn.Conn) conn.Handler {
		l := &link{session: s, conn: c}
		if !s.offer(l) {
			c.Close(websocket.CloseNormalClosure, "the session has a WebSocket")
		}
		return l
	}) // on an error the request is answered, and the session polls on
}

// offer makes a WebSocket the one that is about to take over.
func (s *Session) offer(l *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.socket != nil || s.probe != nil {
		return false
	}
	s.probe = l
	l.timer = time.AfterFunc(s.server.cfg.UpgradeTimeout, l.late) // stopped when it takes over, or is closed
	return true
}

// late closes a WebSocket that has not taken over; the session polls on.
func (l *link) late() { l.conn.Close(websocket.CloseNormalClosure, "no upgrade in time") }

// Message takes a packet of text (conn.Handler).
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
	l.session.in.Lock()
	defer l.session.in.Unlock()
	l.session.packet(k, rest)
}

// Binary takes a binary message (conn.BinaryHandler).
func (l *link) Binary(data []byte) {
	if !l.active {
		l.probing(kindBinary, "", nil)
		return
	}
	l.session.in.Lock()
	defer l.session.in.Unlock()
	l.session.packet(kindBinary, data)
}

// Closed tells that the WebSocket is gone (conn.Handler).
func (l *link) Closed(code int, _ string) {
	if l.timer != nil {
		l.timer.Stop()
	}
	if !l.active {
		l.session.withdraw(l)
		return
	}
	reason := ReasonClient
	if code == conn.CloseSlow {
		reason = ReasonSlow
	}
	l.session.lost(reason)
}

// probing takes a packet of a WebSocket that has not taken over yet. Anything but
// a probe and then the upgrade closes it, and the session polls on.
func (l *link) probing(k kind, data string, err error) {
	switch {
	case err == nil && k == kindPing && data == "probe" && l.session.ask(l):
	case err == nil && k == kindUpgrade && l.session.upgrade(l):
		l.timer.Stop()
		l.active = true
	default:
		l.conn.Close(websocket.ClosePolicyViolation, "not an upgrade")
	}
}

// ask takes the probe of a WebSocket.
func (s *Session) ask(l *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.probe != l {
		return false
	}
	if s.posting {
		s.answer = true
	} else {
		s.answerProbeLocked()
	}
	return true
}

// answerProbeLocked answers the probe, and soon lets the poll go that waits: the
// client ends polling now.
func (s *Session) answerProbeLocked() {
	if s.probe == nil {
		return
	}
	s.probe.conn.Answer(probeAnswer.frame)
	s.asked = true
	s.wakeLocked()
}

// upgrade has the session go over the WebSocket from now on: first what no poll
// has taken. What a POST brought before is handled before.
func (s *Session) upgrade(l *link) bool {
	s.in.Lock()
	defer s.in.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.probe != l {
		return false
	}
	s.probe, s.asked, s.answer = nil, false, false
	s.handed = nil
	rest := s.takeLocked()
	s.socket = l.conn
	s.push(rest...)
	s.heard = time.Now()
	s.wakeLocked()
	s.server.upgraded.Add(1)
	return true
}

// withdraw tells that a WebSocket which had not taken over is gone.
func (s *Session) withdraw(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probe == l {
		s.probe, s.asked, s.answer = nil, false, false
	}
}
