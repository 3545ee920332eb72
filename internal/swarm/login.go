package swarm

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// login connects a client and brings it into its room. A node that answers 503 is
// tried again when it says so.
func (s *Swarm) login(ctx context.Context, index int) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, loginWithin)
	defer cancel()
	rooms := len(s.cfg.Rooms)
	c := &conn{index: index, room: index % rooms, fd: -1}
	// Each room is spread over all nodes.
	base := s.cfg.URLs[index/rooms%len(s.cfg.URLs)]
	began := time.Now()
	for {
		wait, err := s.enter(ctx, c, base)
		if err == nil {
			s.tookMu.Lock()
			defer s.tookMu.Unlock()
			s.took.observe(time.Since(began))
			return c, nil
		}
		if c.net != nil {
			_ = c.net.Close()
		}
		if wait == 0 {
			return nil, err
		}
		s.refusals.Add(1)
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(wait):
		}
	}
}

// enter tries to bring a client in once. A wait above 0 is how long to wait before the
// next try.
func (s *Swarm) enter(ctx context.Context, c *conn, base string) (wait time.Duration, err error) {
	u, err := url.Parse(base)
	if err != nil {
		return 0, err
	}
	if c.net, err = dial(ctx, u); err != nil {
		return 0, err
	}
	deadline, _ := ctx.Deadline()
	_ = c.net.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = c.net.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", strings.TrimSuffix(u.EscapedPath(), "/")+s.cfg.Dialect.Path(), u.Host)
	if _, err := c.net.Write([]byte(request)); err != nil {
		return 0, err
	}
	in := bufio.NewReaderSize(c.net, 2048)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusSwitchingProtocols {
		if answer.StatusCode == http.StatusServiceUnavailable {
			after, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
			wait = time.Duration(max(1, after)) * time.Second
		}
		return wait, fmt.Errorf("%s answers %s", u.Host, answer.Status)
	}
	for _, step := range s.cfg.Dialect.Login(c.index, s.cfg.Rooms[c.room]) {
		if err := c.step(in, step, s.cfg.Dialect); err != nil {
			return 0, err
		}
	}
	early, _ := in.Peek(in.Buffered())
	c.rest = append(c.rest, early...)
	return 0, c.net.SetDeadline(time.Time{})
}

// dial opens the connection below a WebSocket.
func dial(ctx context.Context, u *url.URL) (net.Conn, error) {
	host, port := u.Hostname(), u.Port()
	secure := u.Scheme == "https" || u.Scheme == "wss"
	switch {
	case port != "":
	case secure:
		port = "443"
	default:
		port = "80"
	}
	if address := net.JoinHostPort(host, port); !secure {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address)
	} else {
		d := tls.Dialer{Config: &tls.Config{ServerName: host}}
		return d.DialContext(ctx, "tcp", address)
	}
}

// step does one step of a login. What was read beyond it stays in c.rest.
func (c *conn) step(in *bufio.Reader, step Step, d Dialect) error {
	if step.Send != "" {
		if _, err := c.net.Write(appendFrame(nil, opText, []byte(step.Send))); err != nil {
			return err
		}
	}
	for {
		f, n, err := parseFrame(c.rest)
		if err != nil {
			return err
		}
		if n == 0 {
			if _, err := in.Peek(1); err != nil {
				return fmt.Errorf("no %s: %w", step.Until, err)
			}
			more, _ := in.Peek(in.Buffered())
			c.rest = append(c.rest, more...)
			_, _ = in.Discard(len(more)) // they are buffered
			continue
		}
		found := bytes.Contains(f.payload, []byte(step.Until))
		kind, _ := d.Read(f.payload)
		refusal := ""
		if kind == Refused || f.op == opClose {
			refusal = string(f.payload[:min(len(f.payload), 200)])
		}
		c.rest = append(c.rest[:0], c.rest[n:]...)
		if found {
			return nil
		}
		if refusal != "" {
			return fmt.Errorf("refused: %q", refusal)
		}
	}
}
