package engineio

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
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
	told  bool              // an answer was written completely
	lost  bool              // an answer was not, and none has been since
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

// post serves a request with packets. A repeat gets the answer of the first and is not
// handled again. A request with an incomplete body is not handled, and leaves the
// session unchanged.
func (s *Session) post(w http.ResponseWriter, r *http.Request) {
	p := &post{read: make(chan struct{}), done: make(chan struct{})}
	before, busy, ok := s.beginPost(p, s.server.claimOf(r))
	if !ok {
		refuse(w, codeRequest)
		return
	}
	body, ok := s.body(w, r)
	s.mu.Lock()
	p.whole, p.sum = ok, sha256.Sum256(body)
	s.mu.Unlock()
	close(p.read)
	switch {
	case busy && !s.follow(r.Context(), p, before):
		if ok {
			s.answerPost(w, r, before)
		}
	case !ok: // it is answered
		s.endPost(p, before)
	default:
		s.handle(p, before, body)
		s.answerPost(w, r, p)
	}
}

// beginPost begins a POST. It returns the one before, and whether that is still being
// handled; ok is false if this is one too many, and the session has ended.
func (s *Session) beginPost(p *post, c claim) (before *post, busy, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = time.Now()
	p.claim = s.marks.ofPost(c)
	before, busy = s.newest, s.posting
	if busy && s.second {
		s.endLocked(ReasonTransport, false)
		return nil, false, false
	}
	if busy {
		s.second = true
		return before, true, true
	}
	s.posting, s.newest = true, p
	if p.mark == "" && s.handed != nil {
		s.handed.moved = true
	}
	return before, false, true
}

// follow makes p wait for b, which was being handled when p arrived. It returns true if
// p is to be handled next. Else p repeats b, which has been handled by then or failed,
// or the session has ended.
func (s *Session) follow(ctx context.Context, p, b *post) bool {
	moment, cancel := context.WithTimeout(ctx, overlapWithin)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.second = false }()
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
	if s.posting {
		s.endLocked(ReasonTransport, false)
		return false
	}
	s.posting, s.newest = true, p
	return true
}

// awaitLocked waits for done or the end of ctx, and releases the lock meanwhile.
func (s *Session) awaitLocked(ctx context.Context, done <-chan struct{}) {
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// handle passes the packets of a POST to the handler, unless it repeats the one before.
func (s *Session) handle(p, before *post, body []byte) {
	defer s.endPost(p, before)
	s.mu.Lock()
	again := p.repeats(before)
	if before != nil && p.mark != "" && p.mark == before.mark && p.sum != before.sum {
		s.marks.useless = true
	}
	s.mu.Unlock()
	ok := again && before.ok
	if !again {
		ok = s.take(body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.ok = ok
}

// endPost admits the next POST, and answers the probe that waited for this one: a
// client that ends polling must have the answers to its POSTs.
func (s *Session) endPost(p, before *post) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.at = time.Now()
	if !p.whole && before != nil {
		s.newest = before // it may still be repeated
	}
	close(p.done)
	s.posting = false
	if s.answer {
		s.answer = false
		s.answerProbeLocked()
	}
}

// answerPost answers a POST in the way of p, which is handled, and records whether the
// answer was written completely.
func (s *Session) answerPost(w http.ResponseWriter, r *http.Request, p *post) {
	s.mu.Lock()
	ok := p.ok
	s.mu.Unlock()
	if !ok {
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
	s.mu.Lock()
	defer s.mu.Unlock()
	p.told = p.told || err == nil && r.Context().Err() == nil
	p.lost = !p.told
}

// take passes the packets of a body to the handler, and reports whether they were
// accepted. An invalid packet ends the session.
func (s *Session) take(body []byte) bool {
	s.in.Lock()
	defer s.in.Unlock()
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
			s.awaitPoll()
		}
		if !s.packet(k, data) {
			break
		}
		s.awaitRoom()
	}
	return true
}
