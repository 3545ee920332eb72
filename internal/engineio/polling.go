package engineio

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// noopAfter is how long a poll may wait during an upgrade. The client must end polling
// first, so it is short. But the answer to a poll must not overtake a client that has
// ended polling already and sends the upgrade right after its probe, and a client that
// polls until it has read the answer to the probe must not poll continuously. The
// official server takes up to 100 ms.
const noopAfter = 30 * time.Millisecond

// openPolling opens a session, and answers with its open packet.
func (s *Server) openPolling(w http.ResponseWriter, r *http.Request, admitted any) bool {
	session := newSession(s, nil)
	if !session.begin(r, admitted) {
		refuse(w, codeRequest)
		return false
	}
	session.mu.Lock()
	session.marks.open = s.claimOf(r).mark
	batch := append([]*Message(nil), session.takeLocked()...)
	if session.over {
		batch = append(batch, session.last)
		session.goneLocked()
	}
	session.mu.Unlock()
	if session.hand(w, batch) != nil { // no client knows the session
		session.end(ReasonTransport)
	}
	return true
}

// get serves a poll: it waits for packets and writes them. A poll whose connection
// breaks, or whose answer can't be written, loses nothing: the next one gets the same
// packets.
func (s *Session) get(w http.ResponseWriter, r *http.Request) {
	h, write, wake := s.beginPoll(r.Context(), s.server.claimOf(r))
	if wake != nil {
		// The server's own deadline is for requests that are answered at once.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		var replaced bool
		if h, replaced = s.await(r.Context(), wake); replaced {
			_ = s.hand(w, []*Message{noopPacket}) // no client should be there to read it
			return
		}
		write = 1
	}
	if h == nil {
		refuse(w, codeRequest)
		return
	}
	if s.hand(w, h.batch) != nil {
		s.takeBack(h, write)
	}
}

// beginPoll begins a poll, which wake wakes. If the poll repeats an answered one, it
// returns that answer and the number of its writes. If the poll may not be served, it
// returns nothing, and the session has ended.
func (s *Session) beginPoll(ctx context.Context, c claim) (again *handout, write int, wake chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = time.Now()
	c = s.marks.ofPoll(c)
	// A repeat, and a poll through another node, replaces the first poll, which no
	// client waits for any more. Any other second poll ends the session.
	if s.poll != nil && !c.same(s.polling) && c.via == s.polling.via && !s.awaitPlaceLocked(ctx) {
		if ctx.Err() == nil {
			s.endLocked(ReasonTransport, false)
		}
		return nil, 0, nil
	}
	if again := s.againLocked(c); again != nil {
		return again, again.writes, nil
	}
	s.wakeLocked() // so that the replaced poll sees it
	if s.handed != nil {
		s.handed.moved = true
	}
	wake = make(chan struct{}, 1)
	s.poll, s.polling = wake, c
	if s.polled != nil {
		close(s.polled)
		s.polled = nil
	}
	return nil, 0, wake
}

// awaitPlaceLocked waits a moment for the current poll to end, and reports whether it
// has. It releases the lock meanwhile.
func (s *Session) awaitPlaceLocked(ctx context.Context) bool {
	if s.left != nil { // a third one
		return false
	}
	s.left = make(chan struct{})
	moment, cancel := context.WithTimeout(ctx, overlapWithin)
	defer cancel()
	s.awaitLocked(moment, s.left)
	s.left = nil
	return s.poll == nil && ctx.Err() == nil
}

// leavePollLocked records that no poll waits any more.
func (s *Session) leavePollLocked() {
	s.poll = nil
	if s.left != nil {
		close(s.left)
		s.left = nil
	}
}

// await waits for packets, at most until the next ping. It returns nil if none will
// come: the session has upgraded, or the request is gone. replaced reports that another
// request has replaced this one.
func (s *Session) await(ctx context.Context, wake chan struct{}) (h *handout, replaced bool) {
	for enough := false; ; {
		gone := clientGone(ctx)
		s.mu.Lock()
		if s.poll != wake {
			s.mu.Unlock()
			return nil, true
		}
		var batch []*Message
		switch {
		case s.over:
			if s.gone {
				batch = append(s.takeLocked(), s.last)
				break
			}
			if batch = s.takePartLocked(); len(s.queue) == 0 { // else a later poll gets the rest
				batch = append(batch, s.last)
				s.goneLocked()
			}
		case s.socket != nil, gone:
			s.leavePollLocked()
			s.mu.Unlock()
			return nil, false
		case len(s.queue) > 0:
			batch = s.takePartLocked()
		case s.asked && enough:
			batch = []*Message{noopPacket}
		}
		asked := s.asked
		if batch != nil {
			h = &handout{claim: s.polling, batch: batch, at: time.Now(), writes: 1}
			s.handed = h
			s.leavePollLocked() // before the client can receive the answer and poll again
		}
		s.mu.Unlock()
		if h != nil {
			return h, false
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
		}
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

// body reads the body of a request. If that fails it answers the request, and if it is
// the client's fault it ends the session.
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

// pollBehind is how long the client's close waits for a poll.
const pollBehind = 30 * time.Millisecond

// awaitPoll waits a moment for a poll if there is none. A client that closes has one in
// flight, which the close may have overtaken on another connection; it should get the
// end of the session and not a refusal.
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

// probingFactor is how much more may wait during an upgrade: the client does not poll
// then, and receives it all by the WebSocket.
const probingFactor = 4

// awaitRoom blocks until the queue is within its limit, so that a client receives its
// answers before it can ask for more.
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
