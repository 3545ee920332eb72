package program_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/protocol"
)

// stormer is a client for thousands at a time. It reads frames with a buffer of 2 KiB and
// decodes none of them, so that a storm measures the nodes and not the test. It
// reconnects as clients should: to another node, after a random wait that grows, with its
// token and its cursors. A broken promise fails the test.
type stormer struct {
	token string
	rooms []*stormRoom

	conn    net.Conn
	in      *bufio.Reader
	refused int // handshakes answered with 503
}

// stormRoom is a stormer's state of one room.
type stormRoom struct {
	name   string
	last   []byte // the id of the newest entry
	seq    int64  // of last
	joined bool
}

// errStorm is a broken promise of a node.
var errStorm = errors.New("the node broke its promise")

// enter connects, sends a hello and joins the rooms, once.
func (s *stormer) enter(ctx context.Context, url string) (wait time.Duration, err error) {
	addr := strings.TrimPrefix(url, "http://")
	dialer := net.Dialer{Timeout: 3 * time.Second}
	if s.conn, err = dialer.DialContext(ctx, "tcp", addr); err != nil {
		return 0, err
	}
	s.in = bufio.NewReaderSize(s.conn, 2048)
	_ = s.conn.SetDeadline(time.Now().Add(chattest.Patience))
	fmt.Fprintf(s.conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		addr, base64.StdEncoding.EncodeToString(make([]byte, 16)))
	res, err := http.ReadResponse(s.in, nil)
	if err != nil {
		return 0, err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		s.refused++
		after, err := strconv.Atoi(res.Header.Get("Retry-After"))
		if err != nil || res.StatusCode != http.StatusServiceUnavailable || after < 1 {
			return 0, fmt.Errorf("%w: %s, Retry-After %q", errStorm, res.Status, res.Header.Get("Retry-After"))
		}
		return time.Duration(after) * time.Second, fmt.Errorf("refused: %s", res.Status)
	}
	if err := s.write(protocol.HelloCommand{Token: s.token}); err != nil {
		return 0, err
	}
	for _, r := range s.rooms {
		r.joined = false
		if err := s.write(protocol.JoinCommand{Room: r.name, After: string(r.last)}); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

func (s *stormer) write(command protocol.ClientCommand) error {
	text, err := protocol.EncodeCommand(command, "")
	if err != nil {
		return err
	}
	head := []byte{0x81, 0x80 | byte(len(text))}
	if len(text) > 125 {
		head = []byte{0x81, 0x80 | 126, byte(len(text) >> 8), byte(len(text))}
	}
	_, err = s.conn.Write(append(append(head, 0, 0, 0, 0), text...))
	return err
}

// read takes one frame; buf is used again and returned.
func (s *stormer) read(buf []byte) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(s.in, head[:]); err != nil {
		return buf, err
	}
	n := int(head[1])
	if n >= 126 {
		ext := make([]byte, 2+6*(n-126))
		if _, err := io.ReadFull(s.in, ext); err != nil {
			return buf, err
		}
		n = 0
		for _, b := range ext {
			n = n<<8 | int(b)
		}
	}
	buf = slices.Grow(buf[:0], n)[:n]
	if _, err := io.ReadFull(s.in, buf); err != nil {
		return buf, err
	}
	switch head[0] {
	case 0x81:
		return buf, s.take(buf)
	case 0x88:
		return buf, fmt.Errorf("closed with %d", binary.BigEndian.Uint16(buf))
	case 0x89:
		_, err := s.conn.Write([]byte{0x8a, 0x80, 0, 0, 0, 0})
		return buf, err
	}
	return buf, nil
}

func cutString(b []byte, name string) (value, rest []byte) {
	_, rest, _ = bytes.Cut(b, []byte(`"`+name+`":"`))
	value, rest, _ = bytes.Cut(rest, []byte(`"`))
	return value, rest
}

// take checks a frame. Quotes within texts are escaped, so the searched text can't be
// part of one.
func (s *stormer) take(b []byte) error {
	kind, rest := cutString(b, "type")
	switch string(kind) {
	case "welcome":
		token, _ := cutString(rest, "token")
		s.token = string(token)
	case "joined":
		name, rest := cutString(rest, "room")
		r := s.room(name)
		if r == nil {
			return fmt.Errorf("%w: joined %s", errStorm, name)
		}
		if len(r.last) > 0 && !bytes.Contains(rest[:min(len(rest), 100)], []byte(`"recovered":true`)) {
			return fmt.Errorf("%w: %s is not recovered from %s", errStorm, name, r.last)
		}
		list, _, _ := bytes.Cut(rest, []byte(`],"members":[`))
		_, list, _ = bytes.Cut(list, []byte(`"messages":[`))
		r.joined = true
		for {
			_, after, ok := bytes.Cut(list, []byte(`{"id":"`))
			if !ok {
				return nil
			}
			id, after, _ := bytes.Cut(after, []byte(`"`))
			if list = after; bytes.IndexByte(id, '-') < 0 {
				continue // a user's
			}
			if err := r.next(id); err != nil {
				return err
			}
		}
	case "message":
		id, rest := cutString(rest, "id")
		name, _ := cutString(rest, "room")
		r := s.room(name)
		if r == nil || !r.joined {
			return fmt.Errorf("%w: a message of %s, which is not joined", errStorm, name)
		}
		return r.next(id)
	case "error":
		return fmt.Errorf("refused: %s", b)
	case "reset":
		return fmt.Errorf("%w: %s", errStorm, b)
	}
	return nil
}

func (s *stormer) room(name []byte) *stormRoom {
	for _, r := range s.rooms {
		if r.name == string(name) {
			return r
		}
	}
	return nil
}

// next takes the next entry, which follows the last.
func (r *stormRoom) next(id []byte) error {
	_, text, _ := bytes.Cut(id, []byte("-"))
	seq, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return fmt.Errorf("%w: id %s", errStorm, id)
	}
	if len(r.last) > 0 && seq != r.seq+1 {
		return fmt.Errorf("%w: in %s, %s follows %s", errStorm, r.name, id, r.last)
	}
	r.last, r.seq = bytes.Clone(id), seq
	return nil
}

// has reports whether the client is in all its rooms and has all their entries up to the
// given ones.
func (s *stormer) has(heads map[string]int64) bool {
	for _, r := range s.rooms {
		if !r.joined || r.seq < heads[r.name] {
			return false
		}
	}
	return true
}

// until reads until the client has all entries, at another node if this one ends.
func (s *stormer) until(ctx context.Context, urls func() []string, heads map[string]int64) error {
	var buf []byte
	notBefore := make(map[string]time.Time)
	for try := 0; ; {
		if s.conn != nil {
			if s.has(heads) {
				return nil
			}
			_ = s.conn.SetReadDeadline(time.Now().Add(chattest.Patience))
			var err error
			if buf, err = s.read(buf); err == nil {
				continue
			}
			_ = s.conn.Close()
			s.conn = nil
			if errors.Is(err, errStorm) || ctx.Err() != nil {
				return err
			}
		}
		spread := min(time.Second<<min(try, 3), 5*time.Second)
		try++
		wait := rand.N(spread)
		list := urls()
		url := list[rand.IntN(len(list))]
		if until := time.Until(notBefore[url]); until > wait {
			wait = until + rand.N(time.Second)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		after, err := s.enter(ctx, url)
		if errors.Is(err, errStorm) {
			return err
		}
		if err != nil {
			notBefore[url] = time.Now().Add(after)
			if s.conn != nil {
				_ = s.conn.Close()
			}
			s.conn = nil
		}
	}
}
