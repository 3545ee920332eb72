package engineio

import (
	"net/http"
	"strings"
	"time"
)

// HTTP clients and proxies repeat requests whose connection broke: a GET at any time
// (RFC 9110 section 9.2.2), and browsers a POST too, on each idle connection that turns
// out to be dead. A session must neither send anything twice nor lose anything by that,
// and must handle a POST once. It recognises a repeat by one of these:
//
//   - its identity (Config.Identity), if the relaying node gave it one;
//   - its mark, the query parameter "t", by which clients distinguish requests for
//     caches: official ones use a new one for every request;
//   - for a POST without a usable mark: the same body as the POST before, whose
//     answer was not written completely.
//
// Some clients mark requests by the second, or all alike. Such marks are useless, and
// are ignored once one was on two requests that can't be repeats of each other.

// Bounds of repeats.
const (
	// repeatWithin is how long after an answer its request may be repeated.
	repeatWithin = 10 * time.Second
	// maxRepeats is how often the answer to one poll is repeated. A proxy asks each of
	// its nodes once.
	maxRepeats = 2
	// overlapWithin is how long a second poll or POST waits for the end of the first,
	// whose connection may have broken unnoticed.
	overlapWithin = 100 * time.Millisecond
	// maxMark is the longest mark that is used.
	maxMark = 64
	// secondsMark is the length of the Unix time in seconds, which does not distinguish
	// requests.
	secondsMark = 10
)

// claim identifies a request, to recognise its repeats; an empty one equals none.
type claim struct {
	mark string
	via  string // the relaying node
	id   string // the mark or identity
}

// same reports whether both claims identify the same request.
func (c claim) same(d claim) bool {
	return c.id != "" && c.id == d.id || c.mark != "" && c.mark == d.mark
}

// claimOf returns the claim of a request, from its mark and identity.
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

// marks decides whether a client's marks distinguish its requests. The session's mutex
// guards it.
type marks struct {
	useless         bool
	open, get, post string // marks of the handshake, the newest poll and the newest POST
}

// ofPoll returns the claim of a poll, without a useless mark.
func (m *marks) ofPoll(c claim) claim {
	m.useless = m.useless || c.mark != "" && (c.mark == m.open || c.mark == m.post)
	m.get = c.mark
	return m.judged(c)
}

// ofPost returns the claim of a POST, without a useless mark.
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
