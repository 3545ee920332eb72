// Package client speaks the chat's protocol over a WebSocket, from the
// client's side.
//
// It has two layers. A [Conn] is one connection to one node: commands go out,
// events and replies come in, and when it is lost it is over. A [Session] stays:
// it goes on at another node when it loses one, resumes its rooms where it
// left them, and sends again what was not acknowledged, under the same key.
//
// Both are slim: a Conn has no goroutine of its own and a Session has one, so a
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

// Options say where to connect, and as whom.
type Options struct {
	// URL is the base URL of any node: http, https, ws or wss.
	URL string
	// Name is the display name to ask for; without one the node gives one.
	Name string
	// Token is a guest's token from an earlier welcome, Auth a JWT.
	Token, Auth string
	// Join holds the rooms that the hello of Dial joins, each with the last id seen or
	// "". Their replies come out of Read, without a ref. A Session sets it itself.
	Join map[string]string
	// AuthFrom returns a JWT in place of Auth: for each connection, and from a minute
	// before the one in use expires, until it returns another one, for a hello that
	// renews the connection. A Session calls it, by any goroutine, and a Conn does not.
	AuthFrom func(context.Context) (string, error)
	// DialContext opens the TCP connections, and TLS configures them; nil for
	// the usual.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	TLS         *tls.Config
	// Timing is how long things may take; what is zero gets its default.
	Timing Timing

	// OnEvent is told the events that a Session does not keep to itself:
	// presence, typing, status, nodes, renamed, moderated and unknown ones.
	// OnNotice is told of the Session's connections. Both are called by the
	// Session's reader, and OnNotice by Open before that, one call at a time: while
	// they run nothing is read, and they must not wait for the Session. A Conn by
	// itself calls neither.
	OnEvent  func(Event)
	OnNotice func(Notice)
	// OnToken is told the token of each welcome, by which the same user may come again:
	// the first before Open returns, the others by the Session's reader.
	OnToken func(token string)
	// OnRefused is told each refusal of a message or a join after which the
	// Session tries again by itself. It is called by who sends and by the
	// reader, at the same time too, and must not wait for the Session.
	OnRefused func(*protocol.Error)
}

// Timing is how long things may take.
type Timing struct {
	// Ping is after how much silence the node is asked for a sign of life, and
	// Gone after how much it is given up; Ping < Gone. Default 3 s and 8 s, so
	// that a frozen node is left within 10 s.
	Ping, Gone time.Duration
	// Handshake bounds opening a connection, Hello the node's answer to hello;
	// default 3 s and 6 s. They are longer than what a busy node needs, and
	// short enough to try the next node when one is frozen. A Session doubles
	// them, twice at most, after each try that took longer, as on a slow line; its
	// first connection has four times as long.
	Handshake, Hello time.Duration
	// Reply is how long the node may take to answer a command before it is
	// left although it answers pings, Write how long it may take no bytes;
	// default 15 s and 5 s.
	Reply, Write time.Duration
	// Stall is after how long without an answer to a command the Session looks
	// for another connection beside the one it has; default 5 s.
	Stall time.Duration
	// Rest is after how long without a further message a joined of messages as they
	// stand, which promised more, is treated as complete; default 3 s. Leave is how long the node may take to
	// answer the close frame; default 1 s.
	Rest, Leave time.Duration
	// Spread is the longest random wait before the first try after a node
	// told that it drains (1012), and First after any other loss; default 1 s
	// for both, as all who were at a node lose it at once. Abuse is the least
	// wait after 4009; default 2 s.
	Spread, First, Abuse time.Duration
	// Backoff is the longest random wait before the second try; it doubles
	// with each further one, up to BackoffMax. Default 200 ms and 5 s.
	Backoff, BackoffMax time.Duration
	// Stable is how long a connection must have lived for the next loss to
	// be the first again; default 5 s.
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

// UnreachableError tells that no WebSocket could be opened at a URL.
type UnreachableError struct {
	URL string
	// Status is the HTTP status of an answer that was no upgrade; 0 where
	// there was no answer.
	Status int
	// RetryAfter is when that answer says to come again; 0 where it does not.
	RetryAfter time.Duration
	Err        error
}

// Error says where and why, in one line.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("can't reach a node at %s: %s", e.URL, e.Cause())
}

// Cause is the reason alone, in few words.
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

// Unwrap returns the error beneath.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Endpoint checks the base URL of a node and returns that of its WebSocket.
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
