package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/protocol"
)

// loss is what the end of a connection, or a failed try to get one, asks of the
// client.
type loss struct {
	// final: trying again can't help.
	final bool
	// stay: the same node is as good as another.
	stay bool
	// The next try comes after least and a random part of spread; spread
	// beyond the first try is the backoff's, if that is longer.
	least, spread time.Duration
}

// closeMeanings are the close codes that a client does something about, or that
// end it; after all others it reconnects (the protocol's table of close codes).
var closeMeanings = map[int]struct {
	final bool
	words string
}{
	websocket.CloseProtocolError: {true, "the node says that this client broke the WebSocket protocol"},
	protocol.CloseBinary:         {true, "the node takes no binary frames"},
	protocol.CloseNotUTF8:        {true, "the node says that this client sent what is not UTF-8"},
	protocol.CloseTooLarge:       {true, "the node says that this client sent too large a frame"},
	protocol.CloseNoHello:        {true, "the node does not let this user in"},
	protocol.CloseKicked:         {true, "removed by a moderator"},
	protocol.CloseDraining:       {false, "the node is stopping"},
	protocol.CloseFull:           {false, "the node is full"},
	protocol.CloseSlow:           {false, "too slow for the node"},
	protocol.CloseAbuse:          {false, "the node found this client too fast"},
}

// ClosedError is a connection's end as the node put it in its close frame.
type ClosedError struct {
	Code   int
	Reason string
}

// Error puts the code into words, with the node's reason.
func (e *ClosedError) Error() string {
	words := closeMeanings[e.Code].words
	if words == "" {
		words = fmt.Sprintf("the node closed the connection (%d)", e.Code)
	}
	if e.Reason != "" {
		words += ": " + e.Reason
	}
	return words
}

// judge decides what a loss means.
func (s *Session) judge(err error) loss {
	t := &s.opts.Timing
	soon := loss{spread: t.First}
	var refused *protocol.Error
	if errors.As(err, &refused) {
		if !protocol.Codes[refused.Code].Retry {
			return loss{final: true}
		}
		soon.least = time.Duration(refused.RetryAfter) * time.Millisecond
		return soon
	}
	if errors.Is(err, websocket.ErrReadLimit) {
		return loss{final: true}
	}
	var closed *ClosedError
	if !errors.As(err, &closed) {
		return soon
	}
	switch closed.Code {
	case protocol.CloseDraining:
		soon.spread = t.Spread
	case protocol.CloseSlow:
		soon.stay, soon.spread = true, 0
	case protocol.CloseAbuse:
		soon.least = t.Abuse
	}
	soon.final = closeMeanings[closed.Code].final
	return soon
}

// delay is how long to wait before the try after so many that failed: full
// jitter, so that clients that lost one node don't come as one.
func (s *Session) delay(l loss, attempt int) time.Duration {
	spread := l.spread
	if attempt > 0 {
		spread = max(spread, s.backoff(attempt-1))
	}
	if spread <= 0 {
		return l.least
	}
	return l.least + rand.N(spread)
}

// backoff is the longest wait after so many failures.
func (s *Session) backoff(failures int) time.Duration {
	return min(s.opts.Timing.BackoffMax, s.opts.Timing.Backoff<<min(failures, 16))
}

// connect tries node after node until one welcomes this user, or an error is
// final. attempt is how many tries failed just before.
func (s *Session) connect(ctx context.Context, l loss, attempt int) (*Conn, error) {
	first := s.Node() == protocol.Node{}
	urls := s.candidates(l.stay)
	opts := s.credentials()
	for i := 0; ; i++ {
		if !first || i > 0 {
			if err := sleep(ctx, s.delay(l, attempt)); err != nil {
				return nil, err
			}
			attempt++
		}
		opts.URL = urls[i%len(urls)]
		c, err := Dial(ctx, opts)
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !first && s.yield(&opts, err) {
			l, i = loss{}, i-1
			continue
		}
		l = s.judge(err)
		if l.final || (first && !asksToWait(err)) {
			return nil, err
		}
		s.notice(Notice{Node: s.Node(), Err: err, Again: !first})
	}
}

// asksToWait reports whether a node answered, and meant "not now"; what is not
// there, or no node, is waited for only by a Session that was welcomed before.
func asksToWait(err error) bool {
	var refused *protocol.Error
	var closed *ClosedError
	return errors.As(err, &refused) || errors.As(err, &closed)
}

// candidates are the URLs to try in turn: the other nodes at random, so that a
// dead one's clients are shared among them, then the last one, then the URL
// that the user gave, behind which others may be.
func (s *Session) candidates(stay bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var urls []string
	known := make(map[string]bool)
	add := func(url string) {
		if _, err := Endpoint(url); err == nil && !known[url] {
			known[url] = true
			urls = append(urls, url)
		}
	}
	if stay {
		add(s.node.URL)
	}
	for _, i := range rand.Perm(len(s.nodes)) {
		if s.nodes[i].ID != s.node.ID {
			add(s.nodes[i].URL)
		}
	}
	add(s.node.URL)
	add(s.opts.URL)
	if len(urls) == 0 {
		urls = []string{s.opts.URL} // which is no URL of a node, as Dial will say
	}
	return urls
}

// credentials are the options for saying hello as the same user as before. A
// guest's token tells the name too, and one who asks for none is not refused
// because somebody took it meanwhile.
func (s *Session) credentials() Options {
	s.mu.Lock()
	defer s.mu.Unlock()
	opts := s.opts
	if s.token != "" {
		opts.Token = s.token
		if opts.Auth == "" {
			opts.Name = ""
		}
	}
	return opts
}

// yield gives up what a node refuses in the hello of a user whom it had
// welcomed before, where the user did not insist on it, and reports whether it
// did: a name that somebody took, a token of a cluster that lost its secret.
func (s *Session) yield(opts *Options, err error) bool {
	var refused *protocol.Error
	if !errors.As(err, &refused) {
		return false
	}
	switch {
	case refused.Code == protocol.CodeNameTaken && opts.Name != "":
		opts.Name = ""
		return true
	case refused.Code == protocol.CodeUnauthorized && opts.Token != "" && s.opts.Token == "" && s.opts.Auth == "":
		opts.Token, opts.Name = "", s.opts.Name
		return true
	}
	return false
}

// sleep waits, unless ctx is done before.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
