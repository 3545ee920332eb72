package engineio

import (
	"net/http"
	"strings"
	"time"
)

// HTTP clients and proxies repeat requests whose connection broke: a GET at any
// time (RFC 9110 section 9.2.2), and browsers a POST too, on each idle connection
// that turns out to be dead. A session must hand out nothing twice and lose
// nothing by that, and must not handle twice what a POST brought. It knows a
// repeat by one of these:
//
//   - its identity (Config.Identity), where whoever passed it on gave it one;
//   - its mark, the query parameter "t" by which clients tell requests apart,
//     against caches: official ones use a new one for every request;
//   - for a POST without a usable mark: the same body as the POST before, whose
//     answer did not leave this node whole.
//
// Some clients mark requests by the second, or all of them alike. Their marks say
// nothing, and are not heeded once one stood on two requests that can't be
// repeats of each other.

// Bounds of what is taken as a repeat.
const (
	// repeatWithin is how long after an answer the same request may come again.
	repeatWithin = 10 * time.Second
	// maxRepeats is how often one poll's answer is given again. A proxy asks each
	// of its nodes once.
	maxRepeats = 2
	// overlapWithin is how long a second poll or POST waits for the end of one that
	// is under way, since its connection may be gone without this node knowing yet.
	overlapWithin = 100 * time.Millisecond
	// maxMark is the longest mark that is heeded.
	maxMark = 64
	// secondsMark is the length of the Unix time in seconds, which tells no
	// requests apart.
	secondsMark = 10
)

// claim is by what a request is known when it comes again; "" is never equal.
type claim struct {
	mark string
	via  string // who passed it on
	id   string // what tells it from all others
}

// same reports whether both claims are of one request.
func (c claim) same(d claim) bool {
	return c.id != "" && c.id == d.id || c.mark != "" && c.mark == d.mark
}

// claimOf reads a request's mark and identity.
func (s *Server) claimOf(r *http.Request) claim {
	var c claim
	mark := r.URL.Query().Get("t")
	seconds := len(mark) == secondsMark && strings.Trim(mark, "0123456789") == ""
	if len(mark) <= maxMark && !seconds {
		c.mark = strings.Clone(mark)
	}
	if s.cfg.Identity != nil {
		var number string
		if c.via, number = s.cfg.Identity(r); number != "" {
			c.id = c.via + " " + number
		}
	}
	return c
}

// marks judges whether a client's marks tell its requests apart. The session's
// mutex guards it.
type marks struct {
	useless         bool
	open, get, post string // marks of the handshake, the newest poll and the newest POST
}

// ofPoll returns the claim of a poll, without a mark that says nothing.
func (m *marks) ofPoll(c claim) claim {
	m.useless = m.useless || c.mark != "" && (c.mark == m.open || c.mark == m.post)
	m.get = c.mark
	return m.judged(c)
}

// ofPost returns the claim of a POST, without a mark that says nothing.
func (m *marks) ofPost(c claim) claim {
	m.useless = m.useless || c.mark != "" && (c.mark == m.open || c.mark == m.get)
	m.post = c.mark
	return m.judged(c)
}

func (m *marks) judged(c claim) claim {
	if m.useless {
		c.mark = ""
	}
	return c
}

// handout is what a poll was answered. The session's mutex guards its fields, but
// for batch, which does not change.
type handout struct {
	claim
	batch  []*Message
	at     time.Time
	writes int  // how often it was begun to be written
	moved  bool // the client has gone on since
}

// againLocked returns the answer to give once more to a poll that repeats the one that
// was answered last; nil where it is another poll.
func (s *Session) againLocked(c claim) *handout {
	h := s.handed
	if h == nil || !c.same(h.claim) {
		return nil
	}
	if byID := c.id != "" && c.id == h.id; !byID {
		if h.moved {
			return nil
		}
		if h.writes > maxRepeats || time.Since(h.at) > repeatWithin {
			s.marks.useless = true
			return nil
		}
	}
	h.writes++
	return h
}

// takeBack queues once more what a poll was to be answered and what could not be
// written: its client can't have the answer whole, and asks again. write is the
// number of the write that failed.
func (s *Session) takeBack(h *handout, write int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over || h.writes > write, len(h.batch) == 1 && h.batch[0] == noopPacket:
		return // it has no use, a later answer has it, or there is nothing in it
	case s.handed != h: // more was handed out since: this would come too late
		s.endLocked(ReasonTransport, false)
		return
	}
	s.handed = nil
	for _, m := range h.batch {
		s.waiting += len(m.polled())
		s.answers += len(m.polled())
	}
	s.queue = append(append(make([]*Message, 0, len(h.batch)+len(s.queue)), h.batch...), s.queue...)
	s.wakeLocked()
}
