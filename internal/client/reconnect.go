package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/protocol"
)

// loss is how a client reacts to the end of a connection, or to a failed try to
// connect.
type loss struct {
	// final: further tries can't succeed.
	final bool
	// stay: the same node is as good as another.
	stay bool
	// The next try follows after least plus a random part of spread. After the first
	// try spread is at least the backoff.
	least, spread time.Duration
}

// closeMeanings maps the close codes that end the Session or need a special reaction;
// after all others it reconnects (docs/protocol.md, close codes).
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

// ClosedError is the end of a connection by a close frame of the node.
type ClosedError struct {
	Code   int
	Reason string
}

// Error explains the code, and appends the node's reason.
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

// judge returns the reaction to an error.
func (t *Timing) judge(err error) loss {
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

// search decides which node to try next, and when.
type search struct {
	timing *Timing
	random func(time.Duration) time.Duration // a random duration of at least 0 and less than the argument
	now    func() time.Time
	urls   []string
	tried  int // tries of this search
	failed int // consecutive failures, including those before this search
	// closed holds the nodes that sent Retry-After, with the time it gave.
	closed map[string]time.Time
}

// next returns the node to try and how long to wait before. Waits have full jitter, so
// that clients which lost a node together do not return together. Nodes that sent
// Retry-After are tried after the others, and not before that time.
func (w *search) next(l loss) (url string, wait time.Duration) {
	spread := l.spread
	if w.failed > 0 {
		spread = max(spread, w.timing.backoff(w.failed-1))
	}
	wait = l.least
	if spread > 0 {
		wait += w.random(spread)
	}
	w.failed++
	due := w.now().Add(wait)
	var opens time.Time // when url may be tried
	for i := range w.urls {
		candidate := w.urls[(w.tried+i)%len(w.urls)]
		at := w.closed[candidate]
		if url == "" || at.Before(opens) {
			url, opens = candidate, at
		}
		if !at.After(due) {
			url, opens = candidate, at
			break
		}
	}
	w.tried++
	if opens.After(due) { // all nodes sent Retry-After
		wait = opens.Sub(w.now()) + w.random(w.timing.Spread)
	}
	return url, wait
}

// mostPatience bounds how often the timeout of a connection is doubled.
const mostPatience = 2

// patient returns the timings for a try after so many timeouts. On a slow link, a
// timeout that suits the detection of a frozen node is too short for every node.
func (t Timing) patient(timeouts int) Timing {
	n := min(timeouts, mostPatience)
	t.Handshake <<= n
	t.Hello <<= n
	return t
}

// isTimeout reports whether a try to connect timed out.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errSilent) || errors.As(err, &timeout) && timeout.Timeout()
}

// backoff returns the longest wait after so many failures.
func (t *Timing) backoff(failures int) time.Duration {
	return min(t.BackoffMax, t.Backoff<<min(failures, 16))
}

// again returns the wait before a refused command is repeated.
func (t *Timing) again(refused *protocol.Error, tries int) time.Duration {
	return time.Duration(refused.RetryAfter)*time.Millisecond + rand.N(t.backoff(tries))
}

// maxTries bounds the repeats of commands for which waiting may not help.
const maxTries = 5

// maxPause is the longest wait before a refused command is repeated; a longer one makes
// the refusal final.
const maxPause = time.Minute

// retry returns whether a refused command is repeated, and after which wait. tries is
// the number of refusals before this one.
func (t *Timing) retry(refused *protocol.Error, tries int) (time.Duration, bool) {
	pause := time.Duration(refused.RetryAfter) * time.Millisecond
	switch refused.Code {
	case protocol.CodeUnavailable:
		return t.again(refused, tries), true
	case protocol.CodeRateLimited, protocol.CodeSlowMode:
		return pause + time.Millisecond, pause <= maxPause
	case protocol.CodeInternal:
		return t.again(refused, tries), tries < maxTries
	}
	return 0, false
}

// refused records the Retry-After of an answer that was no upgrade.
func (w *search) refused(err error) {
	var e *UnreachableError
	if errors.As(err, &e) && e.RetryAfter > 0 {
		if w.closed == nil {
			w.closed = make(map[string]time.Time)
		}
		w.closed[e.URL] = w.now().Add(e.RetryAfter)
	}
}

// connector opens the connections of a Session, one after the other: it tries nodes, and
// waits in between. Only one goroutine at a time may use it.
type connector struct {
	timing   *Timing
	cluster  *cluster
	identity *identity
	joins    func() map[string]string // the rooms for a hello to join, with their cursors
	notice   func(Notice)             // gets each failed try
}

// connect tries nodes until one welcomes the user, or an error is final. l is how the
// last connection was lost, and attempt the number of tries that failed just before.
func (k *connector) connect(ctx context.Context, l loss, attempt int) (*Conn, error) {
	_, _, known := k.identity.current()
	first := !known
	way := &search{timing: k.timing, random: rand.N[time.Duration], now: time.Now, urls: k.cluster.candidates(l.stay), failed: attempt}
	opts := k.identity.options()
	slow := 0
	if first {
		slow = mostPatience // there is no other node to try meanwhile
	}
	for try := 0; ; try++ {
		opts.Timing = k.timing.patient(slow)
		var wait time.Duration
		if try == 0 && first {
			opts.URL, way.tried = way.urls[0], 1
		} else {
			opts.URL, wait = way.next(l)
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
		c, err := k.try(ctx, &opts, first)
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		l = k.timing.judge(err)
		if l.final && !first && k.identity.reauthenticates(ctx, opts.Auth, err) {
			l.final = false
		}
		if l.final || (first && !asksToWait(err)) {
			return nil, err
		}
		way.refused(err)
		if isTimeout(err) {
			slow++
		}
		k.notice(Notice{Node: k.cluster.current(), Err: err, Again: !first})
	}
}

// try connects to one node. A user that was welcomed before drops from opts what the
// node refuses in its hello (identity.yield), and tries again at once.
func (k *connector) try(ctx context.Context, opts *Options, first bool) (*Conn, error) {
	if err := k.identity.authenticate(ctx, opts); err != nil {
		return nil, err
	}
	opts.Join = k.joins()
	c, err := Dial(ctx, *opts)
	for err != nil && ctx.Err() == nil && !first && k.identity.yield(opts, err) {
		c, err = Dial(ctx, *opts)
	}
	return c, err
}

// asksToWait reports whether a node answered with a temporary refusal. For nodes that
// are absent, or no nodes at all, only a Session that was welcomed before waits.
func asksToWait(err error) bool {
	var refused *protocol.Error
	var closed *ClosedError
	var busy *UnreachableError
	return errors.As(err, &refused) || errors.As(err, &closed) || errors.As(err, &busy) && busy.RetryAfter > 0
}

// sleep waits for d, or until ctx is done.
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
