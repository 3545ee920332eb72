package redisopen

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Timings and size of the connections to Redis, unless --redis sets others.
const (
	// PoolSize is the number of connections of a node to one Redis. It is larger than
	// what rooms do concurrently, so that the lease never waits for them. A smaller one
	// is refused.
	PoolSize    = 48
	maxPoolSize = 10_000
	idleConns   = 2 // connections that are kept open
	dialTimeout = 2 * time.Second
	ioTimeout   = 2 * time.Second
)

// Bounds of the timeouts that --redis may set.
const (
	// minTimeout is longer than replicas may take to confirm (WAIT), which is not a
	// failure.
	minTimeout = 1500 * time.Millisecond
	maxTimeout = time.Minute
)

// supported are the options that the query of a URL may have, as in
// https://pkg.go.dev/github.com/redis/go-redis/v9#ParseURL.
var supported = []string{
	"client_name", "conn_max_idle_time", "conn_max_lifetime", "conn_max_lifetime_jitter", "db", "dial_timeout", "idle_timeout",
	"max_active_conns", "max_concurrent_dials", "max_conn_age", "max_idle_conns", "min_idle_conns", "pool_fifo", "pool_size",
	"pool_timeout", "read_timeout", "skip_verify", "write_timeout",
}

// unsupported are the other options that go-redis knows, and why a node refuses them.
var unsupported = map[string]string{
	"protocol":                   "a node speaks RESP 2 with every Redis",
	"max_retries":                noRetries,
	"min_retry_backoff":          noRetries,
	"max_retry_backoff":          noRetries,
	"pipeline_pool_size":         onePool,
	"pipeline_read_buffer_size":  onePool,
	"pipeline_write_buffer_size": onePool,
}

const (
	noRetries = "a node decides by itself what is tried again"
	onePool   = "pipelines use the connections of pool_size"
)

// parseOne reads the URL of one Redis, and sets what a node needs differently from the
// defaults of go-redis. It applies the options of the query, or refuses them.
func parseOne(address string) (*redis.Options, error) {
	if err := checkOptions(address); err != nil {
		return nil, err
	}
	opts, err := redis.ParseURL(address)
	if err != nil {
		hint := "it can't be read as a URL: special characters of a password must be percent-encoded, " + percentHint
		switch text := err.Error(); {
		case strings.Contains(text, "invalid database number"), strings.Contains(text, "invalid URL path"):
			hint = "its path must be the number of a database, or nothing"
		case strings.Contains(text, "duration"), strings.Contains(text, "boolean"), strings.Contains(text, "number"):
			hint = "an option in its query has no value of its kind: give times as 3s, numbers as 50, switches as true or false"
		case strings.Contains(text, "unexpected option"):
			hint = "its query has an option that is unknown here"
		case strings.Contains(text, "empty unix socket path"):
			hint = "it names no socket: give it as unix:///run/redis.sock"
		}
		return nil, fmt.Errorf("--redis is no URL of a Redis: %s", hint)
	}
	if opts.DB < 0 {
		return nil, errors.New("--redis is no URL of a Redis: its path must be the number of a database, or nothing")
	}
	opts.PoolSize = cmp.Or(opts.PoolSize, PoolSize)
	if opts.MinIdleConns == 0 {
		opts.MinIdleConns = min(idleConns, cmp.Or(opts.MaxIdleConns, idleConns))
	}
	opts.DialTimeout = cmp.Or(opts.DialTimeout, dialTimeout)
	opts.ReadTimeout = cmp.Or(opts.ReadTimeout, ioTimeout)
	opts.WriteTimeout = cmp.Or(opts.WriteTimeout, ioTimeout)
	opts.PoolTimeout = cmp.Or(opts.PoolTimeout, ioTimeout)
	if err := checkBounds(opts); err != nil {
		return nil, err
	}
	opts.PipelinePoolSize = -1 // pipelines go by the one pool too
	opts.DialerRetries = 1
	opts.MaxRetries = -1 // the hub decides which calls are repeated, and under which keys
	opts.ContextTimeoutEnabled = true
	opts.DisableIdentity = true
	opts.Protocol = 2
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if opts.TLSConfig != nil {
		opts.TLSConfig.MinVersion = tls.VersionTLS12
	}
	return opts, nil
}

// checkOptions refuses the options of a URL's query that are not supported. ParseURL
// refuses a URL that cannot be parsed.
func checkOptions(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	for name := range u.Query() {
		if why, ok := unsupported[name]; ok {
			return fmt.Errorf("--redis has the option %s, which can't be set: %s: leave it out", name, why)
		}
		if !slices.Contains(supported, name) {
			// It may be part of a password, so the message does not quote it.
			return fmt.Errorf("--redis is no URL of a Redis: its query has an option that is unknown here: those known are %s", strings.Join(supported, ", "))
		}
	}
	if u.Query().Has("skip_verify") && u.Scheme != "rediss" {
		return errors.New("--redis has the option skip_verify, which is for TLS: give rediss:// too, or leave it out")
	}
	return nil
}

// checkBounds refuses values of options with which a node cannot work.
func checkBounds(o *redis.Options) error {
	for _, t := range []struct {
		name string
		d    time.Duration
	}{{"dial_timeout", o.DialTimeout}, {"read_timeout", o.ReadTimeout}, {"write_timeout", o.WriteTimeout}, {"pool_timeout", o.PoolTimeout}} {
		least := minTimeout
		if t.name == "dial_timeout" {
			least = 100 * time.Millisecond
		}
		if t.d < least || t.d > maxTimeout {
			return fmt.Errorf("--redis has a %s outside %s to %s: every wait has an end, and Redis needs that long at times", t.name, least, maxTimeout)
		}
	}
	for _, n := range []struct {
		name       string
		n, lo, max int
	}{
		{"pool_size", o.PoolSize, PoolSize, maxPoolSize},
		{"max_active_conns", cmp.Or(o.MaxActiveConns, o.PoolSize), PoolSize, maxPoolSize},
		{"min_idle_conns", o.MinIdleConns, 0, o.PoolSize},
		{"max_idle_conns", o.MaxIdleConns, 0, o.PoolSize},
		{"max_concurrent_dials", o.MaxConcurrentDials, 0, o.PoolSize},
	} {
		if n.n < n.lo || n.n > n.max {
			return fmt.Errorf("--redis has a %s outside %d to %d: a node does up to %d things at once with Redis, on connections that it opens as it needs them",
				n.name, n.lo, n.max, PoolSize)
		}
	}
	return nil
}
