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

// takeOver serves a WebSocket that upgrades a polling session. A second one is closed
// after its handshake, as clients expect.
func (s *Session) takeOver(w http.ResponseWriter, r *http.Request) {
	_ = s.server.sockets.Accept(w, r, func(c *conn.Conn) conn.Handler {
		l := &link{session: s, conn: c}
		if !s.offer(l) {
			c.Close(websocket.CloseNormalClosure, "the session has a WebSocket")
		}
		return l
	}) // on an error the request is answered, and the session keeps polling
}

// offer makes a WebSocket the one of the upgrade.
func (s *Session) offer(l *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.socket != nil || s.probe != nil {
		return false
	}
	s.probe = l
	l.timer = time.AfterFunc(s.server.cfg.UpgradeTimeout, l.late) // stopped at the upgrade, or at the close
	return true
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
	l.session.in.Lock()
	defer l.session.in.Unlock()
	l.session.packet(k, rest)
}

// Binary handles a binary message (conn.BinaryHandler).
func (l *link) Binary(data []byte) {
	if !l.active {
		l.probing(kindBinary, "", nil)
		return
	}
	l.session.in.Lock()
	defer l.session.in.Unlock()
	l.session.packet(kindBinary, data)
}

// Closed handles the end of the WebSocket (conn.Handler).
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

// probing handles a packet of a WebSocket before the upgrade. Anything but a probe and
// then the upgrade closes it, and the session keeps polling.
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

// ask handles the probe of a WebSocket.
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

// answerProbeLocked answers the probe, and soon answers the waiting poll: the client
// ends polling now.
func (s *Session) answerProbeLocked() {
	if s.probe == nil {
		return
	}
	s.probe.conn.Answer(probeAnswer.frame)
	s.asked = true
	s.wakeLocked()
}

// upgrade makes the WebSocket the session's transport. It sends what no poll has taken
// first, after the messages of earlier POSTs are handled.
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

// withdraw handles the end of a WebSocket that has not upgraded.
func (s *Session) withdraw(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probe == l {
		s.probe, s.asked, s.answer = nil, false, false
	}
}
