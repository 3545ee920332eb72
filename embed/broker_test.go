package embed

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
)

func start(t *testing.T, cfg BrokerConfig) *Broker {
	t.Helper()
	b, err := StartBroker(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func client(t *testing.T, url string) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	opts.MaxRetries = -1
	c := redis.NewClient(opts)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestTheBrokerWantsItsPasswordAndStaysOnTheLoopback(t *testing.T) {
	t.Parallel()
	b := start(t, BrokerConfig{})
	host, _, err := net.SplitHostPort(b.Addr())
	if err != nil || !net.ParseIP(host).IsLoopback() {
		t.Errorf("it listens on %s", b.Addr())
	}
	if err := client(t, b.URL()).Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
	for url, want := range map[string]string{"redis://" + b.Addr(): "NOAUTH", "redis://:guess@" + b.Addr(): "WRONGPASS"} {
		if err := client(t, url).Set(t.Context(), "x", "y", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
	if other := start(t, BrokerConfig{}); other.URL() == b.URL() || len(b.cfg.Password) < 22 {
		t.Error("the password is not random enough")
	}
}

// A subscriber that stops reading does not affect others, and is cut off when too much
// waits for it. By itself miniredis freezes after about 4 MB.
func TestAFrozenSubscriberIsNotFelt(t *testing.T) {
	t.Parallel()
	b := start(t, BrokerConfig{QueueLimit: 8 << 20})
	frozen := raw(t, b)
	say(t, frozen, string(command([]string{"AUTH", b.cfg.Password})), string(command([]string{"SUBSCRIBE", "news"})))
	rdb := client(t, b.URL())
	reading := rdb.Subscribe(t.Context(), "news")
	t.Cleanup(func() { _ = reading.Close() })
	subscribers := func() int64 { return rdb.PubSubNumSub(t.Context(), "news").Val()["news"] }
	chattest.Eventually(t, "the subscriptions", func() bool { return subscribers() == 2 })

	const pieces = 640 // of 64 KiB: 40 MiB
	payload := func(i int) string { return fmt.Sprintf("%08d", i) + strings.Repeat("x", 64<<10-8) }
	heard := make(chan error, 1)
	go func() { // ends with the last piece or with the subscription; waited for below
		heard <- hearAll(reading, pieces, payload)
	}()
	var took []time.Duration
	for i := range pieces {
		began := time.Now()
		if err := rdb.Publish(t.Context(), "news", payload(i)).Err(); err != nil {
			t.Fatal(err)
		}
		if err := rdb.Set(t.Context(), "key", "value", 0).Err(); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	if p99 := took[len(took)*99/100]; p99 > time.Second {
		t.Errorf("of 100 calls of another client one took %s", p99)
	}
	if err := <-heard; err != nil {
		t.Errorf("the subscriber that reads: %v", err)
	}
	chattest.Eventually(t, "only the frozen one to be cut off", func() bool { return subscribers() == 1 })
}

// hearAll checks that n messages arrive in order, each with the text that payload makes.
func hearAll(s *redis.PubSub, n int, payload func(i int) string) error {
	for i := 0; i < n; {
		got, err := s.ReceiveTimeout(context.Background(), chattest.Patience)
		if err != nil {
			return err
		}
		if m, ok := got.(*redis.Message); ok {
			if m.Payload != payload(i) {
				return fmt.Errorf("message %d is not what was published", i)
			}
			i++
		}
	}
	return nil
}

// Neither a reply that waits nor the broker's Close waits for a client that
// reads nothing.
func TestCloseDoesNotWaitForAFrozenClient(t *testing.T) {
	t.Parallel()
	b := start(t, BrokerConfig{})
	if err := client(t, b.URL()).Set(t.Context(), "large", strings.Repeat("x", 16<<20), 0).Err(); err != nil {
		t.Fatal(err)
	}
	c := raw(t, b)
	say(t, c, string(command([]string{"AUTH", b.cfg.Password})), string(command([]string{"GET", "large"})))
	if _, err := io.ReadFull(c, make([]byte, len("+OK\r\n$16777216\r\n"))); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { // ends with the broker; waited for below
		b.Close()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(chattest.Patience):
		t.Error("Close hangs")
	}
}

func TestTooManyClientsAreTurnedAway(t *testing.T) {
	t.Parallel()
	b := start(t, BrokerConfig{maxClients: 2})
	first := raw(t, b)
	raw(t, b)
	if got := rest(t, raw(t, b)); got != "-ERR max number of clients reached\r\n" {
		t.Errorf("the third heard %q", got)
	}
	_ = first.Close()
	chattest.Eventually(t, "the place that is free again", func() bool {
		return client(t, b.URL()).Ping(t.Context()).Err() == nil
	})
}

func TestATakenPortIsSaidInOneLine(t *testing.T) {
	t.Parallel()
	b := start(t, BrokerConfig{})
	_, err := StartBroker(BrokerConfig{Addr: b.Addr()})
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), b.Addr()) || !strings.Contains(err.Error(), "--broker-addr") {
		t.Errorf("%v", err)
	}
}

// It counts goroutines, so it runs while no other test does.
func TestCloseEndsAllThatTheBrokerBegan(t *testing.T) {
	before := runtime.NumGoroutine()
	b, err := StartBroker(BrokerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	opts, err := redis.ParseURL(b.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(opts)
	sub := c.Subscribe(t.Context(), "x")
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	stranger := raw(t, b)
	b.Close() // with all of them connected
	_ = stranger.Close()
	_ = sub.Close()
	_ = c.Close()
	chattest.Eventually(t, "all goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}
