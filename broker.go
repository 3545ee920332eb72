package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"example.com/chat/internal/broker"
)

// What is said to Redis is in internal/broker, and what the hub may expect of
// it is the contract room.Broker. Here a Redis is found and opened, and what
// can go wrong with that is put into words.

// Timings and size of the connections to Redis. The pool is larger than what
// the hub does at once, so that the lease never waits for the rooms.
const (
	redisPool    = 48
	redisDial    = 2 * time.Second
	redisAnswer  = 2 * time.Second
	redisAtStart = 5 * time.Second
)

// redisOptions reads what --redis gives: a redis://, rediss:// or unix:// URL,
// or host:port. Its errors never hold a password.
func redisOptions(given string) (*redis.Options, error) {
	if strings.Contains(given, ",") || strings.HasPrefix(given, "redis+sentinel://") {
		return nil, errors.New("--redis: this version knows a single Redis only, no cluster and no sentinel: give one host:port")
	}
	if !strings.Contains(given, "://") {
		if _, _, err := net.SplitHostPort(given); err != nil {
			return nil, errors.New("--redis is neither a URL nor host:port: give it as 127.0.0.1:6379 or redis://:password@host:port")
		}
		given = "redis://" + given
	}
	opts, err := redis.ParseURL(given)
	if err != nil {
		var bad *url.Error
		if errors.As(err, &bad) { // it repeats the URL, and the password in it
			err = bad.Err
		}
		return nil, fmt.Errorf("--redis is no URL of a Redis: %s: give redis://, rediss:// or unix://", firstLine(err))
	}
	opts.PoolSize = redisPool
	opts.MinIdleConns = 2
	opts.DialTimeout, opts.ReadTimeout, opts.WriteTimeout = redisDial, redisAnswer, redisAnswer
	opts.PoolTimeout = redisAnswer
	opts.DialerRetries = 1
	opts.MaxRetries = -1 // what is tried again, and under which keys, is the hub's to know
	opts.ContextTimeoutEnabled = true
	opts.DisableIdentity = true
	opts.Protocol = 2
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if opts.TLSConfig != nil {
		opts.TLSConfig.MinVersion = tls.VersionTLS12
	}
	return opts, nil
}

// openBroker connects to a Redis; its error is one line that says what to do.
// close ends the connections.
func openBroker(ctx context.Context, given string, cfg broker.Config) (b *broker.Broker, close func(), err error) {
	opts, err := redisOptions(given)
	if err != nil {
		return nil, nil, err
	}
	quiet.Do(func() { redis.SetLogger(discardLog{}) })
	client := redis.NewClient(opts)
	ctx, cancel := context.WithTimeout(ctx, redisAtStart)
	defer cancel()
	cfg.Client = client
	b, err = broker.New(ctx, cfg)
	if err != nil {
		_ = client.Close()
		return nil, nil, explainRedis(opts.Addr, err)
	}
	return b, func() { _ = client.Close() }, nil
}

// quiet keeps go-redis from writing to standard error, once for the process:
// what goes wrong comes as an error, and is logged where it is met.
var quiet sync.Once

type discardLog struct{}

// Printf drops what go-redis has to say.
func (discardLog) Printf(context.Context, string, ...any) {}

// explainRedis puts into words why a Redis can't be used.
func explainRedis(addr string, err error) error {
	text := firstLine(err)
	hint := "see Redis's own log"
	upper := strings.ToUpper(text)
	var dns *net.DNSError
	switch {
	case strings.Contains(upper, "WRONGPASS"), strings.Contains(upper, "INVALID PASSWORD"):
		hint = "it refuses the user or the password: put the right ones in the URL, redis://user:password@host:port"
	case strings.Contains(upper, "NOAUTH"):
		hint = "it wants a password: give it in the URL, redis://:password@host:port, best through CHAT_REDIS"
	case strings.Contains(upper, "WITHOUT ANY PASSWORD"):
		hint = "it has no password: leave it out of the URL"
	case strings.Contains(upper, "UNKNOWN COMMAND"):
		hint = "it is too old for streams: use Redis 5.0 or newer"
	case strings.Contains(upper, "NOPERM"):
		hint = "its user may not do what the chat does: see the README for the rules it needs"
	case strings.Contains(upper, "LOADING"):
		hint = "it is still reading its data: try again in a moment"
	case errors.Is(err, syscall.ECONNREFUSED):
		hint = "is it running? start one, or leave --redis out for the embedded broker"
	case errors.As(err, &dns):
		hint = "there is no such host: check the name"
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		hint = "it doesn't answer: is it a Redis, and reachable from here (and TLS only with rediss://)?"
	}
	return fmt.Errorf("can't use the Redis at %s: %s: %s", addr, text, hint)
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimSpace(line)
}
