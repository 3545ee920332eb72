package engineio

import (
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/conn"
)

// upgrade is the move of a polling session to a WebSocket. The session's mutex guards its
// fields.
type upgrade struct {
	session *Session
	link    *link // the WebSocket; nil without one
	probed  bool  // it has sent its probe: now polls are answered soon
	owed    bool  // the answer to the probe waits until the current POST has been handled
}

// serve serves the request of a WebSocket that upgrades the session. A second one is closed
// after its handshake, as clients expect.
func (u *upgrade) serve(w http.ResponseWriter, r *http.Request) {
	_ = u.session.server.sockets.Accept(w, r, func(c *conn.Conn) conn.Handler {
		l := &link{session: u.session, conn: c}
		if !u.offer(l) {
			c.Close(websocket.CloseNormalClosure, "the session has a WebSocket")
		}
		return l
	}) // on an error the request is answered, and the session keeps polling
}

// offer makes a WebSocket the one of the upgrade.
func (u *upgrade) offer(l *link) bool {
	s := u.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.out.socket != nil || u.link != nil {
		return false
	}
	u.link = l
	l.timer = time.AfterFunc(s.server.cfg.UpgradeTimeout, l.late) // stopped at the upgrade, or at the close
	return true
}

// probe handles the probe of a WebSocket.
func (u *upgrade) probe(l *link) bool {
	s := u.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || u.link != l {
		return false
	}
	u.owed = true
	if !s.posts.active {
		u.answerLocked()
	}
	return true
}

// answerLocked sends the answer to the probe if it is owed, and answers the waiting poll
// soon: the client ends polling now.
func (u *upgrade) answerLocked() {
	if !u.owed {
		return
	}
	u.owed, u.probed = false, true
	u.link.conn.Answer(probeAnswer.frame)
	u.session.polls.wakeLocked()
}

// complete makes the WebSocket the session's transport. It sends the rest of the
// queue first, after the messages of earlier POSTs are handled.
func (u *upgrade) complete(l *link) bool {
	s := u.session
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || u.link != l {
		return false
	}
	u.resetLocked()
	s.polls.answered = nil
	s.out.upgrade(l.conn)
	s.beat.hear()
	s.polls.wakeLocked()
	s.server.upgraded.Add(1)
	return true
}

// withdraw handles the end of a WebSocket that has not upgraded.
func (u *upgrade) withdraw(l *link) {
	u.session.mu.Lock()
	defer u.session.mu.Unlock()
	if u.link == l {
		u.resetLocked()
	}
}

func (u *upgrade) resetLocked() { u.link, u.probed, u.owed = nil, false, false }

// cancelLocked closes the WebSocket of an upgrade when the session ends.
func (u *upgrade) cancelLocked(reason Reason) {
	if u.link != nil {
		u.link.conn.Close(closeCodes[reason], string(reason))
	}
}
