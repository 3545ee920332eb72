// Package redisopen opens the Redis that an operator names: one Redis, a Redis
// Cluster, or the primary that sentinels know. It reads the URL, sets the options of
// the connections, and explains in one line why a Redis cannot be used and what to do
// about it. Errors and logs never contain a password.
package redisopen

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/redisbroker"
)

// Open connects a broker to the Redis. cfg.Client is set by Open. close ends the
// connections; it is not nil unless Open fails. The error is one line that says what
// to do.
func (t Target) Open(ctx context.Context, cfg redisbroker.Config) (b *redisbroker.Broker, close func(), err error) {
	silence.Do(func() { redis.SetLogger(noLogger{}) })
	client := t.client()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cfg.Client = client
	b, err = redisbroker.New(ctx, cfg)
	if err != nil {
		_ = client.Close()
		return nil, nil, explain(t, t.diagnose(ctx, err))
	}
	return b, func() { _ = client.Close() }, nil
}

// The waits between two tries to use a Redis that is not up yet.
const (
	minRetry = 50 * time.Millisecond
	maxRetry = time.Second
)

// Await returns when the Redis answers, accepts the client and can be written to. It
// waits at most limit for a Redis that is not up yet, and logs once that it waits. A
// refusal that only an operator can remedy, as of a password, ends the wait at once.
// The error is ctx's, or one line that says what to do.
func (t Target) Await(ctx context.Context, namespace string, limit time.Duration, log *slog.Logger) error {
	silence.Do(func() { redis.SetLogger(noLogger{}) })
	client := t.client()
	defer func() { _ = client.Close() }()
	began, retry, waiting := time.Now(), minRetry, false
	for {
		err := t.check(ctx, client, namespace)
		left := limit - time.Since(began)
		switch {
		case err == nil:
			if waiting {
				log.Info("redis is there", "after", time.Since(began).Round(time.Millisecond))
			}
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case left <= 0 || !t.mayComeUp(err):
			return explain(t, err)
		case !waiting:
			waiting = true
			log.Warn("redis can't be used yet; waiting for it", "redis", t.String(), "longest", limit, "error", explain(t, err))
		}
		timer := time.NewTimer(min(retry, left))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		retry = min(2*retry, maxRetry)
	}
}

func (t Target) check(ctx context.Context, client redis.UniversalClient, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := redisbroker.Check(ctx, client, namespace)
	if err != nil {
		err = t.diagnose(ctx, err)
	}
	return err
}

// LocalIP returns the IP address from which this machine reaches the Redis; loopback
// if that is not known. It sends nothing: connecting a datagram socket only looks up
// the route.
func (t Target) LocalIP(ctx context.Context) string {
	const loopback = "127.0.0.1"
	if t.address() == "" {
		return loopback
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "udp", t.address())
	if err != nil {
		return loopback
	}
	defer func() { _ = c.Close() }()
	if addr, ok := c.LocalAddr().(*net.UDPAddr); ok {
		return addr.IP.String()
	}
	return loopback
}

// silence keeps go-redis from writing to standard error, once for the process: its
// errors are returned too, and logged by the caller.
var silence sync.Once

type noLogger struct{}

// Printf drops a line (go-redis's internal.Logging).
func (noLogger) Printf(context.Context, string, ...any) {}
