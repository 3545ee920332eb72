package embed

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
)

// within returns a client whose connections are within the process.
func within(t *testing.T, b *Broker) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(b.URL())
	if err != nil {
		t.Fatal(err)
	}
	opts.MaxRetries = -1
	opts.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) { return b.Dial(ctx) }
	c := redis.NewClient(opts)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// dial opens a connection within the process without a client library.
func dial(t *testing.T, b *Broker) net.Conn {
	t.Helper()
	c, err := b.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(chattest.Patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConnectionsWithinTheProcess(t *testing.T) {
	t.Parallel()
	b := start(t, BrokerConfig{})
	rdb := within(t, b)
	large := strings.Repeat("x", 3<<20)
	if err := rdb.Set(t.Context(), "large", large, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got := client(t, b.URL()).Get(t.Context(), "large").Val(); got != large {
		t.Errorf("a client of the network reads %d bytes", len(got))
	}
	if got := rdb.Get(t.Context(), "large").Val(); got != large {
		t.Errorf("it reads %d bytes", len(got))
	}
	const n = 5000
	pipe := rdb.Pipeline()
	for range n {
		pipe.Incr(t.Context(), "count")
	}
	if replies, err := pipe.Exec(t.Context()); err != nil || len(replies) != n || rdb.Get(t.Context(), "count").Val() != "5000" {
		t.Errorf("a pipeline has %d replies, %v", len(replies), err)
	}
	sub := rdb.Subscribe(t.Context(), "news")
	defer sub.Close()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := sub.ReceiveTimeout(t.Context(), time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("without news: %v", err)
	}
	for _, publisher := range []*redis.Client{rdb, client(t, b.URL())} {
		if err := publisher.Publish(t.Context(), "news", "hello").Err(); err != nil {
			t.Fatal(err)
		}
		if m, err := sub.ReceiveMessage(t.Context()); err != nil || m.Payload != "hello" {
			t.Errorf("it receives %v, %v", m, err)
		}
	}
	_ = sub.Close()
	chattest.Eventually(t, "the subscription to end", func() bool {
		return rdb.PubSubNumSub(t.Context(), "news").Val()["news"] == 0
	})
}

func TestConnectionsWithinTheProcessNeedThePassword(t *testing.T) {
	t.Parallel()
	b := start(t, BrokerConfig{})
	c := dial(t, b)
	say(t, c, string(command([]string{"SET", "x", "y"})), "*2\r\n$4\r\nAU")
	say(t, c, "TH\r\n$5\r\nguess\r\n", string(command([]string{"AUTH", b.cfg.Password})), string(command([]string{"ECHO", "hello"})))
	say(t, c, string(command([]string{"QUIT"})))
	want := "-NOAUTH Authentication required.\r\n-WRONGPASS invalid username-password pair\r\n+OK\r\n$5\r\nhello\r\n+OK\r\n"
	if got := rest(t, c); got != want {
		t.Errorf("it heard %q, want %q", got, want)
	}
	if _, err := c.Write([]byte("x")); err == nil {
		t.Error("it may write after QUIT")
	}
	stranger := dial(t, b)
	say(t, stranger, "PING\r\n")
	if got := rest(t, stranger); got != "-ERR Protocol error\r\n" {
		t.Errorf("a stranger heard %q", got)
	}
}

// What waits for a client that does not read is bounded.
func TestConnectionsWithinTheProcessThatReadNothing(t *testing.T) {
	t.Parallel()
	b := start(t, BrokerConfig{QueueLimit: 1 << 20})
	c := dial(t, b)
	say(t, c, string(command([]string{"AUTH", b.cfg.Password})), string(command([]string{"SUBSCRIBE", "news"})))
	rdb := within(t, b)
	payload := strings.Repeat("x", 64<<10)
	for range 40 {
		if err := rdb.Publish(t.Context(), "news", payload).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := io.Copy(io.Discard, c); err != nil || n > 1<<20 {
		t.Errorf("it could read %d bytes, %v", n, err)
	}
}

// A reader that waits ends with its deadline, with the connection and with the broker.
func TestReadersWithinTheProcessEnd(t *testing.T) {
	t.Parallel()
	b := start(t, BrokerConfig{})
	for name, end := range map[string]func(net.Conn){
		"Close":    func(c net.Conn) { _ = c.Close() },
		"deadline": func(c net.Conn) { _ = c.SetDeadline(time.Now()) },
		"Stop":     func(net.Conn) { b.Stop() },
	} {
		c := dial(t, b)
		ended := make(chan error, 1)
		go func() { // ends with the read; waited for below
			_, err := c.Read(make([]byte, 1))
			ended <- err
		}()
		end(c)
		select {
		case err := <-ended:
			if (name == "deadline") != errors.Is(err, os.ErrDeadlineExceeded) || err == nil {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(chattest.Patience):
			t.Errorf("%s does not end a reader", name)
		}
		if name == "Stop" {
			if _, err := b.Dial(t.Context()); err == nil {
				t.Error("a stopped broker accepts a client")
			}
			b.Start()
		}
	}
}

// A command that waits ends with its connection.
func TestACommandWithinTheProcessThatWaits(t *testing.T) {
	t.Parallel()
	b := start(t, BrokerConfig{})
	c := dial(t, b)
	say(t, c, string(command([]string{"AUTH", b.cfg.Password})))
	ended := make(chan struct{})
	go func() { // ends with the command; waited for below
		say(t, c, string(command([]string{"BLPOP", "list", "0"})))
		close(ended)
	}()
	blocked := func() (n int) {
		b.engine.do(func(e *engine) { n = e.blocking })
		return n
	}
	chattest.Eventually(t, "the command to wait", func() bool { return blocked() == 1 })
	_ = c.Close()
	select {
	case <-ended:
	case <-time.After(chattest.Patience):
		t.Error("it still waits")
	}
	if n := blocked(); n != 0 {
		t.Errorf("%d commands wait", n)
	}
}
