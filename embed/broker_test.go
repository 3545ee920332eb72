package embed

import (
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/poll"
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
	for _, url := range []string{"redis://" + b.Addr(), "redis://:guess@" + b.Addr()} {
		if err := client(t, url).Set(t.Context(), "x", "y", 0).Err(); err == nil {
			t.Errorf("%s was let in", url)
		}
	}
	if other := start(t, BrokerConfig{}); other.URL() == b.URL() || len(b.cfg.Password) < 22 {
		t.Error("the password is not random enough")
	}
}

// A subscriber that stops reading freezes miniredis itself after about 4 MB:
// here it must not be felt by others, and is cut off when too much waits for it.
func TestAFrozenSubscriberIsNotFelt(t *testing.T) {
	t.Parallel()
	b := start(t, BrokerConfig{QueueLimit: 8 << 20})
	sub, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	array := func(words ...string) string {
		var s strings.Builder
		fmt.Fprintf(&s, "*%d\r\n", len(words))
		for _, w := range words {
			fmt.Fprintf(&s, "$%d\r\n%s\r\n", len(w), w)
		}
		return s.String()
	}
	if _, err := sub.Write([]byte(array("AUTH", b.cfg.Password) + array("SUBSCRIBE", "news"))); err != nil {
		t.Fatal(err)
	}
	rdb := client(t, b.URL())
	poll.Until(t, "the subscription", func() bool {
		n, err := rdb.PubSubNumSub(t.Context(), "news").Result()
		return err == nil && n["news"] == 1
	})
	payload := strings.Repeat("x", 64<<10)
	var took []time.Duration
	for range 640 { // 40 MB
		began := time.Now()
		if err := rdb.Publish(t.Context(), "news", payload).Err(); err != nil {
			t.Fatal(err)
		}
		if err := rdb.Set(t.Context(), "key", "value", 0).Err(); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	if worst := took[len(took)-1]; worst > 2*time.Second {
		t.Errorf("another client waited %s", worst)
	}
	poll.Until(t, "the frozen one to be cut off", func() bool {
		n, err := rdb.PubSubNumSub(t.Context(), "news").Result()
		return err == nil && n["news"] == 0
	})
}

func TestATakenPortIsSaidInOneLine(t *testing.T) {
	t.Parallel()
	b := start(t, BrokerConfig{})
	_, err := StartBroker(BrokerConfig{Addr: b.Addr()})
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "--broker-addr") {
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
	_ = sub.Close()
	_ = c.Close()
	b.Close()
	poll.Until(t, "all goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}
