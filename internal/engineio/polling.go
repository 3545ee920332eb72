package engineio

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// noopAfter is how long a poll may wait while a WebSocket is about to take over.
// The client must end polling first, so it can't be long; but a client that has
// ended it already, and sends the upgrade right after its probe, must not be
// overtaken by the answer to a poll, and one that polls anew until it has read
// the probe's answer must not do so all the time. The official server takes up to
// 100 ms.
const noopAfter = 30 * time.Millisecond

// openPolling opens a session, and answers with its open packet.
func (s *Server) openPolling(w http.ResponseWriter, r *http.Request, admitted any) bool {
	session := newSession(s, nil)
	if !session.begin(r, admitted) {
		refuse(w, codeRequest)
		return false
	}
	session.get(w, r)
	return true
}

// get serves a poll: it waits for packets and hands them out.
func (s *Session) get(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.poll != nil { // another one waits: only one may
		s.endLocked(ReasonTransport, false)
		s.mu.Unlock()
		refuse(w, codeRequest)
		return
	}
	mark := pollMark(r)
	if mark != "" && mark == s.mark && s.handed != nil {
		batch := s.handed
		s.mu.Unlock()
		s.handOut(w, batch)
		return
	}
	s.mark, s.handed = mark, nil
	wake := make(chan struct{}, 1)
	s.poll = wake
	if s.polled != nil {
		close(s.polled)
		s.polled = nil
	}
	s.mu.Unlock()
	// The server's own deadline is for requests that are answered at once.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	batch := s.await(r.Context(), wake)
	if batch == nil {
		refuse(w, codeRequest)
		return
	}
	s.handOut(w, batch)
}

func (s *Session) handOut(w http.ResponseWriter, batch []*Message) {
	if err := s.hand(w, batch); err != nil {
		s.end(ReasonTransport)
	}
}

// maxMark is the longest mark of a poll that is heeded.
const maxMark = 64

// pollMark is what a client tells its polls apart by, against caches. It tells a
// poll that a proxy repeats too, as proxies may do with a GET whose answer was lost
// on the way to them (RFC 9110 section 9.2.2): that gets the same answer again.
func pollMark(r *http.Request) string {
	mark := r.URL.Query().Get("t")
	if len(mark) > maxMark {
		return ""
	}
	return strings.Clone(mark)
}

// await waits for packets, at most until the next ping. It returns nil when there
// won't be any: the session has gone over to a WebSocket, or the request is gone.
func (s *Session) await(ctx context.Context, wake <-chan struct{}) []*Message {
	for enough := false; ; {
		s.mu.Lock()
		var batch []*Message
		switch {
		case s.over:
			if s.gone {
				batch = append(s.takeLocked(), s.last)
				break
			}
			if batch = s.takePartLocked(); len(s.queue) == 0 { // else a later poll gets the end
				batch = append(batch, s.last)
				s.goneLocked()
			}
		case s.socket != nil:
			s.poll = nil
			s.mu.Unlock()
			return nil
		case len(s.queue) > 0:
			batch = s.takePartLocked()
		case s.asked && enough:
			batch = []*Message{noopPacket}
		}
		asked := s.asked
		if batch != nil {
			s.handed = batch
			s.poll = nil // before the client can have the answer and poll anew
		}
		s.mu.Unlock()
		if batch != nil {
			return batch
		}
		var tick <-chan time.Time
		if asked {
			tick = time.After(noopAfter)
		}
		select {
		case <-wake:
		case <-tick:
			enough = true
		case <-ctx.Done():
			s.abandon()
			return nil
		}
	}
}

// abandon ends a session whose poll broke off: what it would have been handed
// may be lost.
func (s *Session) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.poll = nil
	if s.socket == nil {
		s.endLocked(ReasonTransport, false)
	}
}

// hand writes packets as one payload.
func (s *Session) hand(w http.ResponseWriter, batch []*Message) error {
	size := len(batch) - 1
	for _, m := range batch {
		size += len(m.polled())
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("Content-Length", strconv.Itoa(size))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(s.server.cfg.BodyTime))
	for i, m := range batch {
		if i > 0 {
			if _, err := w.Write([]byte{separator}); err != nil {
				return err
			}
		}
		if _, err := w.Write(m.polled()); err != nil {
			return err
		}
	}
	err := control.Flush()
	_ = control.SetWriteDeadline(time.Time{})
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// post serves a request that brings packets.
func (s *Session) post(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.posting { // another one is not through yet: only one may be
		s.endLocked(ReasonTransport, false)
		s.mu.Unlock()
		refuse(w, codeRequest)
		return
	}
	s.posting = true
	s.mu.Unlock()
	defer s.posted()
	body, ok := s.body(w, r)
	if !ok {
		return
	}
	s.in.Lock()
	defer s.in.Unlock()
	p := payload{body}
	if s.upgraded() {
		refuse(w, codeRequest)
		return
	}
	if p.packets() > s.server.cfg.MaxPackets {
		s.end(ReasonParse)
		refuse(w, codeRequest)
		return
	}
	for more := true; more; {
		var raw []byte
		raw, more = p.next()
		k, data, err := parsePolled(raw)
		if err != nil || k == kindPing {
			s.end(ReasonParse)
			refuse(w, codeRequest)
			return
		}
		if k == kindClose {
			s.awaitPoll()
		}
		if !s.packet(k, data) {
			break
		}
		s.awaitRoom()
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, "ok")
}

// posted lets the next POST come, and answers the probe that waited for this one:
// a client that ends polling must not owe answers to it.
func (s *Session) posted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posting = false
	if s.answer {
		s.answer = false
		s.answerProbeLocked()
	}
}

// body reads what a request brings; when that fails, the request is answered and
// the session ended.
func (s *Session) body(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
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
		w.Header().Set("Connection", "close") // rather than read the rest
	} else {
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(time.Now().Add(s.server.cfg.BodyTime))
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
		_ = control.SetReadDeadline(time.Time{})
	}
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return body, true
	case errors.As(err, &large):
		s.end(ReasonParse)
		answer(w, http.StatusRequestEntityTooLarge, refusal(codeRequest, "Payload too large"))
	default:
		s.end(ReasonTransport)
		refuse(w, codeRequest)
	}
	return nil, false
}

// pollBehind is how long the client's close waits for a poll.
const pollBehind = 30 * time.Millisecond

// awaitPoll waits a moment for a poll, if there is none: a client that closes has
// one under way, which the close may have overtaken on another connection, and
// which should be told of the end and not be refused.
func (s *Session) awaitPoll() {
	s.mu.Lock()
	if s.over || s.poll != nil {
		s.mu.Unlock()
		return
	}
	polled := make(chan struct{})
	s.polled = polled
	s.mu.Unlock()
	timer := time.NewTimer(pollBehind)
	defer timer.Stop()
	select {
	case <-polled:
	case <-timer.C:
	}
}

// probingFactor is how much more may wait while a WebSocket is about to take
// over: then the client does not poll, and takes it all by the WebSocket.
const probingFactor = 4

// awaitRoom waits until the queue is within its limit, so that a client takes
// the answers that it has before it asks for more.
func (s *Session) awaitRoom() {
	s.mu.Lock()
	limit := s.server.cfg.OutboxLimit
	if s.probe != nil {
		limit *= probingFactor
	}
	if s.over || s.socket != nil || s.waiting <= limit {
		s.mu.Unlock()
		return
	}
	drained := make(chan struct{})
	s.drained = drained
	s.mu.Unlock()
	timer := time.NewTimer(s.server.cfg.PingTimeout)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C:
		s.server.slow.Add(1)
		s.end(ReasonSlow)
	}
}
