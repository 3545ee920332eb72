package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/protocol"
)

// Limits on the memory that a node can make this process use, and buffer sizes.
const (
	helloReadLimit = 1 << 20
	maxReadLimit   = 256 << 20
	// entryRest bounds the size of an entry without its text.
	entryRest = 4096
	// readBuffer is small, since most events are; longer frames bypass it.
	readBuffer = 1024
)

// writeBuffers are shared: a connection holds one only while it writes.
var writeBuffers sync.Pool

// Dial connects to a node, sends hello, and returns after the welcome. ctx bounds only
// that, not the life of the connection. The error wraps an *UnreachableError, a
// *protocol.Error if the node refused the hello, or a *ClosedError if it closed the
// connection.
func Dial(ctx context.Context, opts Options) (*Conn, error) {
	opts.Timing.fill()
	c, err := handshake(ctx, opts)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.end(ctx.Err()) }) // interrupts the wait for welcome
	err = c.hello(opts)
	if !stop() && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		_ = c.end(err)
		return nil, fmt.Errorf("hello at %s: %w", opts.URL, err)
	}
	c.watch()
	return c, nil
}

// handshake opens the WebSocket.
func handshake(ctx context.Context, opts Options) (*Conn, error) {
	endpoint, err := Endpoint(opts.URL)
	if err != nil {
		return nil, err
	}
	dial := opts.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	c := &Conn{url: opts.URL, auth: opts.Auth, joins: opts.Join, timing: opts.Timing, done: make(chan struct{})}
	dialer := websocket.Dialer{
		NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			raw, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			c.socket.netConn = &timeoutConn{Conn: raw, began: time.Now()}
			return c.socket.netConn, nil
		},
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: opts.TLS,
		ReadBufferSize:  readBuffer,
		WriteBufferPool: &writeBuffers,
	}
	bounded, cancel := context.WithTimeout(ctx, opts.Timing.Handshake)
	defer cancel()
	ws, answer, err := dialer.DialContext(bounded, endpoint, nil)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		failed := &UnreachableError{URL: opts.URL, Err: err}
		if answer != nil && errors.Is(err, websocket.ErrBadHandshake) {
			failed.Status, failed.RetryAfter = answer.StatusCode, retryAfter(answer.Header)
		}
		return nil, failed
	}
	ws.SetReadLimit(helloReadLimit)
	c.socket.ws = ws
	return c, nil
}

// maxRetryAfter bounds the wait that a node can ask for.
const maxRetryAfter = time.Minute

// retryAfter returns the seconds of a Retry-After header (RFC 9110 section 10.2.3); 0
// without one.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(min(seconds, 1<<20))*time.Second, maxRetryAfter)
}

// hello sends hello and waits for the welcome.
func (c *Conn) hello(opts Options) error {
	c.socket.netConn.timeout.Store(int64(c.timing.Hello))
	if err := c.Write(protocol.HelloCommand{Name: opts.Name, Token: opts.Token, Auth: opts.Auth, Join: opts.Join}); err != nil {
		return err
	}
	e, err := c.socket.read()
	if err != nil {
		return c.end(err)
	}
	if refused := e.Refused(); refused != nil {
		return refused
	}
	if e.Type != protocol.WelcomeName {
		return fmt.Errorf("the node answered %q, not welcome", e.Type)
	}
	if err := e.Decode(&c.welcome); err != nil {
		return err
	}
	if c.welcome.Version != protocol.Version {
		return fmt.Errorf("the node speaks version %d of the protocol, this program %d", c.welcome.Version, protocol.Version)
	}
	// The longest frame of a node is a joined of MaxRecovered entries, in which each
	// byte of a text may be escaped to six.
	joined := (6*int64(c.welcome.Limits.Text) + entryRest) * protocol.MaxRecovered
	c.socket.ws.SetReadLimit(min(max(joined, helloReadLimit), maxReadLimit))
	return nil
}
