package engineio

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"
)

// post is one POST. The session's mutex guards the fields after the channels.
type post struct {
	read chan struct{} // closed when the body is there, or will not arrive
	done chan struct{} // closed when it is handled, or will not be

	claim
	sum   [sha256.Size]byte // of the body
	whole bool              // the body is complete
	ok    bool              // it was accepted, and answered so
	at    time.Time         // when it was handled
	known bool              // an answer was written completely
	lost  bool              // the last answer was not, and none before it
}

// repeats reports whether p, which arrived after the answer to b, repeats b.
func (p *post) repeats(b *post) bool {
	switch {
	case b == nil || !b.whole || p.sum != b.sum:
		return false
	case p.id != "" && p.id == b.id:
		return true
	case time.Since(b.at) > repeatWithin:
		return false
	case p.mark != "":
		return p.mark == b.mark
	}
	return b.lost
}

// overlaps reports whether p, which arrived while b was being handled, repeats b: a
// client sends its next POST after the answer to the one before.
func (p *post) overlaps(b *post) bool {
	return b.whole && p.sum == b.sum && (p.same(b.claim) || p.mark == "" && b.mark == "")
}

// posts serves the POSTs of a session. The session's mutex guards its fields; methods with
// the suffix Locked require it.
type posts struct {
	session *Session
	active  bool  // a POST is being served
	second  bool  // another one waits for its end
	newest  *post // the last POST with a complete body, or the current one
}

// serve serves a request with packets. A repeat gets the answer of the first and is not
// handled again. A request with an incomplete body is not handled, and leaves the
// session unchanged.
func (g *posts) serve(w http.ResponseWriter, r *http.Request) {
	p := &post{read: make(chan struct{}), done: make(chan struct{})}
	before, busy, ok := g.begin(p, g.session.server.claimOf(r))
	if !ok {
		refuse(w, codeRequest)
		return
	}
	body, ok := g.read(w, r)
	g.received(p, body, ok)
	switch {
	case busy && !g.follow(r.Context(), p, before):
		if ok {
			g.answer(w, r, before)
		}
	case !ok: // it is answered
		g.end(p, before)
	default:
		g.handle(p, before, body)
		g.answer(w, r, p)
	}
}

// begin begins a POST. It returns the one before, and whether that is still being
// handled; ok is false if this is one too many, and the session has ended.
func (g *posts) begin(p *post, c claim) (before *post, busy, ok bool) {
	s := g.session
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat.hear()
	p.claim = s.marks.ofPost(c)
	before, busy = g.newest, g.active
	if busy && g.second {
		s.endLocked(ReasonTransport, false)
		return nil, false, false
	}
	if busy {
		g.second = true
		return before, true, true
	}
	g.active, g.newest = true, p
	if p.mark == "" {
		s.polls.passedLocked()
	}
	return before, false, true
}

// read reads the body of a request. If that fails it answers the request, and if it is
// the client's fault it ends the session.
func (g *posts) read(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	s := g.session
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/octet-stream" {
		s.end(ReasonParse)
		refuse(w, codeRequest)
		return nil, false
	}
	limit := s.server.cfg.MaxPayload
	var body []byte
	var err error
	if r.ContentLength > limit {
		err = &http.MaxBytesError{Limit: limit}
		w.Header().Set("Connection", "close") // instead of reading the rest
	} else {
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(time.Now().Add(s.server.cfg.BodyTime))
		if body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, limit)); err == nil {
			_ = control.SetReadDeadline(time.Time{})
		}
	}
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return body, true
	case errors.As(err, &large):
		s.end(ReasonParse)
		answer(w, http.StatusRequestEntityTooLarge, refusal(codeRequest, "Payload too large"))
	default: // nothing of it was handled, and the session continues
		w.Header().Set("Connection", "close")
		refuse(w, codeRequest)
	}
	return nil, false
}

// received records the body of a POST, or that it did not arrive completely.
func (g *posts) received(p *post, body []byte, whole bool) {
	sum := sha256.Sum256(body)
	g.session.mu.Lock()
	defer g.session.mu.Unlock()
	p.whole, p.sum = whole, sum
	close(p.read)
}

// follow makes p wait for b, which was being handled when p arrived. It returns true if
// p is to be handled next. Else p repeats b, which has been handled by then or failed,
// or the session has ended.
func (g *posts) follow(ctx context.Context, p, b *post) bool {
	s := g.session
	moment, cancel := context.WithTimeout(ctx, overlapWithin)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { g.second = false }()
	if !p.whole {
		return false
	}
	s.awaitLocked(moment, b.read)
	if p.overlaps(b) {
		s.awaitLocked(ctx, b.done) // it ends within the handler's time
		return false
	}
	s.awaitLocked(moment, b.done)
	if ctx.Err() != nil {
		return false
	}
	if g.active {
		s.endLocked(ReasonTransport, false)
		return false
	}
	g.active, g.newest = true, p
	return true
}

// handle passes the packets of a POST to the handler, unless it repeats the one before.
func (g *posts) handle(p, before *post, body []byte) {
	defer g.end(p, before)
	ok := false
	if g.repeats(p, before) {
		ok = before.ok // before has been handled, and does not change
	} else {
		ok = g.dispatch(body)
	}
	g.session.mu.Lock()
	defer g.session.mu.Unlock()
	p.ok = ok
}

// repeats reports whether p repeats the POST before it, which may be nil.
func (g *posts) repeats(p, before *post) bool {
	s := g.session
	s.mu.Lock()
	defer s.mu.Unlock()
	again := p.repeats(before)
	if before != nil && p.mark != "" && p.mark == before.mark && p.sum != before.sum {
		s.marks.useless = true
	}
	return again
}

// end admits the next POST, and sends the answer to the probe that waited for this one: a
// client that ends polling must have the answers to its POSTs.
func (g *posts) end(p, before *post) {
	s := g.session
	s.mu.Lock()
	defer s.mu.Unlock()
	p.at = time.Now()
	if !p.whole && before != nil {
		g.newest = before // it may still be repeated
	}
	close(p.done)
	g.active = false
	s.upgrade.answerLocked()
}

// answer answers a POST in the way of p, which is handled, and records whether the
// answer was written completely.
func (g *posts) answer(w http.ResponseWriter, r *http.Request, p *post) {
	if !g.accepted(p) {
		refuse(w, codeRequest)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("Content-Length", "2")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	_, err := io.WriteString(w, "ok")
	if err == nil {
		err = http.NewResponseController(w).Flush()
	}
	if errors.Is(err, http.ErrNotSupported) {
		err = nil
	}
	g.session.mu.Lock()
	defer g.session.mu.Unlock()
	p.known = p.known || err == nil && r.Context().Err() == nil
	p.lost = !p.known
}

// accepted reports whether a POST that is handled was accepted.
func (g *posts) accepted(p *post) bool {
	g.session.mu.Lock()
	defer g.session.mu.Unlock()
	return p.ok
}

// dispatch passes the packets of a body to the handler, and reports whether they were
// accepted. An invalid packet ends the session.
func (g *posts) dispatch(body []byte) bool {
	s := g.session
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	p := payload{body}
	if s.upgraded() {
		return false
	}
	if p.packets() > s.server.cfg.MaxPackets {
		s.end(ReasonParse)
		return false
	}
	for more := true; more; {
		var raw []byte
		raw, more = p.next()
		k, data, err := parsePolled(raw)
		if err != nil || k == kindPing {
			s.end(ReasonParse)
			return false
		}
		if k == kindClose {
			s.polls.awaitArrival()
		}
		if !s.calls.packet(k, data) {
			break
		}
		g.awaitRoom()
	}
	return true
}

// upgradeFactor is how much more may wait during an upgrade: the client does not poll
// then, and receives it all by the WebSocket.
const upgradeFactor = 4

// awaitRoom blocks until the queue is within its limit, so that a client receives its
// answers before it can ask for more.
func (g *posts) awaitRoom() {
	s := g.session
	drained := g.expectRoom()
	if drained == nil {
		return
	}
	timer := time.NewTimer(s.server.cfg.PingTimeout)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C:
		s.server.slow.Add(1)
		s.end(ReasonSlow)
	}
}

// expectRoom returns a channel that is closed when the queue is within its limit, or the
// session has ended; nil if that is so now.
func (g *posts) expectRoom() <-chan struct{} {
	s := g.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	limit := s.server.cfg.OutboxLimit
	if s.upgrade.link != nil {
		limit *= upgradeFactor
	}
	return s.out.expectRoom(limit)
}
