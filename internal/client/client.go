// Package client is the client of the chat's protocol over WebSocket; see
// docs/protocol.md.
//
// It has two layers. A [Conn] is one connection to one node: it sends commands and
// receives replies and events, and ends when the connection does. A [Session] stays:
// when it loses a node it continues at another one, recovers its rooms from their
// cursors, and sends unacknowledged messages again under the same keys.
//
// Both are small: a Conn has no goroutine of its own, and a Session has one, so a
// process can hold thousands.
package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"example.com/chat/internal/protocol"
)

// Options say where to connect, and as which user.
type Options struct {
	// URL is the base URL of any node: http, https, ws or wss.
	URL string
	// Name is the display name to ask for; "" for a guest name.
	Name string
	// Token is a guest's token from an earlier welcome, Auth a JWT.
	Token, Auth string
	// Join holds the rooms that the hello of Dial joins, each with a cursor or "". Read
	// returns the replies, which have no ref. A Session sets it itself.
	Join map[string]string
	// AuthFrom returns a JWT in place of Auth: for each connection, and from a minute
	// before the current one expires, until it returns another one, which renews the
	// connection. A Session calls it, from any goroutine; a Conn does not.
	AuthFrom func(context.Context) (string, error)
	// DialContext opens the TCP connections, and TLS configures TLS; nil for the
	// defaults.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	TLS         *tls.Config
	// Timing holds the timeouts; zero ones get their defaults.
	Timing Timing

	// OnEvent gets the events that a Session does not handle itself: presence, typing,
	// status, nodes, renamed, moderated and unknown ones. OnNotice gets changes of the
	// connection. The Session's reader calls both, and Open calls OnNotice before there
	// is a reader, one call at a time. Nothing is read meanwhile, and they must not
	// wait for the Session. A Conn by itself calls neither.
	OnEvent  func(Event)
	OnNotice func(Notice)
	// OnToken gets the token of each welcome, which makes the same user of a later
	// Session: the first before Open returns, the others from the Session's reader.
	OnToken func(token string)
	// OnRefused gets each temporary refusal of a message or a join, which the Session
	// repeats by itself. Senders and the reader call it, also concurrently; it must not
	// wait for the Session.
	OnRefused func(*protocol.Error)
}

// Timing holds timeouts and waits.
type Timing struct {
	// A Conn sends a ping after Ping without anything received, and ends after Gone;
	// Ping < Gone. Default 3 s and 8 s, so that a frozen node is left within 10 s.
	Ping, Gone time.Duration
	// Handshake bounds the opening of a connection, Hello the node's reply to hello;
	// default 3 s and 6 s: longer than a busy node needs, and short enough to try the
	// next node when one is frozen. A Session doubles them, at most twice, after each
	// try that timed out, as on a slow link; its first connection has four times as
	// long.
	Handshake, Hello time.Duration
	// Reply bounds the node's reply to a command, also while it answers pings, and
	// Write the time in which it accepts no bytes; default 15 s and 5 s.
	Reply, Write time.Duration
	// Stall is after how long without a reply to a command the Session searches for
	// another connection beside the current one; default 5 s.
	Stall time.Duration
	// Rest is the wait for further messages after which a joined of messages as they
	// stand, with more, counts as complete; default 3 s. Leave bounds the wait for the
	// node's close frame; default 1 s.
	Rest, Leave time.Duration
	// Spread is the longest random wait before the first try after the node drained
	// (1012), and First after any other loss; default 1 s each, because all clients of
	// a node lose it at once. Abuse is the shortest wait after 4009; default 2 s.
	Spread, First, Abuse time.Duration
	// Backoff is the longest random wait before the second try. It doubles with each
	// further one, up to BackoffMax. Default 200 ms and 5 s.
	Backoff, BackoffMax time.Duration
	// Stable is how long a connection must live for the next loss to count as the first
	// again; default 5 s.
	Stable time.Duration
}

func (t *Timing) fill() {
	for _, d := range []struct {
		v  *time.Duration
		to time.Duration
	}{
		{&t.Ping, 3 * time.Second}, {&t.Gone, 8 * time.Second},
		{&t.Handshake, 3 * time.Second}, {&t.Hello, 6 * time.Second},
		{&t.Reply, 15 * time.Second}, {&t.Write, 5 * time.Second},
		{&t.Stall, 5 * time.Second}, {&t.Rest, 3 * time.Second}, {&t.Leave, time.Second},
		{&t.Spread, time.Second}, {&t.First, time.Second}, {&t.Abuse, 2 * time.Second},
		{&t.Backoff, 200 * time.Millisecond}, {&t.BackoffMax, 5 * time.Second},
		{&t.Stable, 5 * time.Second},
	} {
		if *d.v <= 0 {
			*d.v = d.to
		}
	}
}

// UnreachableError reports that no WebSocket could be opened at a URL.
type UnreachableError struct {
	URL string
	// Status is the HTTP status of an answer that was no upgrade; 0 without an answer.
	Status int
	// RetryAfter is the wait that the answer asked for; 0 for none.
	RetryAfter time.Duration
	Err        error
}

// Error says where and why, in one line.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("can't reach a node at %s: %s", e.URL, e.Cause())
}

// Cause returns the reason alone, in few words.
func (e *UnreachableError) Cause() string {
	var errno syscall.Errno
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case e.Status != 0:
		return fmt.Sprintf("it answers %d %s and opens no WebSocket", e.Status, http.StatusText(e.Status))
	case errors.As(e.Err, &errno):
		return errno.Error()
	case errors.As(e.Err, &dns):
		return dns.Err
	case errors.Is(e.Err, context.DeadlineExceeded), errors.As(e.Err, &timeout) && timeout.Timeout():
		return "no answer"
	}
	return e.Err.Error()
}

// Unwrap returns the underlying error.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Endpoint checks the base URL of a node and returns the URL of its WebSocket.
func Endpoint(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%q is no URL of a node", base)
	}
	switch u.Scheme {
	case "http", "ws":
		u.Scheme = "ws"
	case "https", "wss":
		u.Scheme = "wss"
	default:
		return "", fmt.Errorf("%q is no URL of a node: its scheme must be http, https, ws or wss", base)
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "/ws"
	u.RawPath = ""
	return u.String(), nil
}
