package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Timings and size of the connections to Redis. The pool is larger than what
// the hub does at once, so that the lease never waits for the rooms.
const (
	redisPool    = 48
	redisDial    = 2 * time.Second
	redisAnswer  = 2 * time.Second
	redisAtStart = 5 * time.Second
	// clusterLook is how old this node's picture of a Redis Cluster may be: a
	// dead primary answers no redirection by which the new one could be found.
	clusterLook = time.Second
)

// redisTarget is what --redis names: exactly one of the first three is set.
type redisTarget struct {
	single   *redis.Options
	cluster  *redis.ClusterOptions
	sentinel *redis.FailoverOptions

	// name is how messages call it; it holds no password.
	name string
}

// String returns the URL of the Redis without user, password and options, for
// logs.
func (t redisTarget) String() string {
	scheme, rest := "redis", ""
	var secure *tls.Config
	var db int
	switch {
	case t.cluster != nil:
		rest, secure = strings.Join(t.cluster.Addrs, ","), t.cluster.TLSConfig
	case t.sentinel != nil:
		o := t.sentinel
		rest, secure, db = strings.Join(o.SentinelAddrs, ",")+"/"+url.PathEscape(o.MasterName), o.TLSConfig, o.DB
	default:
		rest, secure, db = t.single.Addr, t.single.TLSConfig, t.single.DB
		if t.single.Network == "unix" {
			scheme = "unix"
		}
	}
	if secure != nil {
		scheme = "rediss"
	}
	if t.sentinel != nil {
		scheme += "+sentinel"
	}
	switch {
	case db != 0 && scheme == "unix":
		rest += "?db=" + strconv.Itoa(db)
	case db != 0:
		rest += "/" + strconv.Itoa(db)
	}
	return scheme + "://" + rest
}

// address is host:port of one Redis or sentinel; "" for a socket of this machine.
func (t redisTarget) address() string {
	switch {
	case t.cluster != nil:
		return t.cluster.Addrs[0]
	case t.sentinel != nil:
		return t.sentinel.SentinelAddrs[0]
	case t.single.Network == "unix":
		return ""
	}
	return t.single.Addr
}

// parseRedis reads what --redis gives: host:port or a redis://, rediss:// or
// unix:// URL for a single Redis; several, comma-separated, for a Redis Cluster;
// redis+sentinel:// or rediss+sentinel:// with the sentinels' addresses and the
// primary's name. Its errors never repeat any of it, for it may hold a password
// in a place where none belongs.
func parseRedis(given string) (redisTarget, error) {
	scheme, rest, ok := strings.Cut(given, "://")
	usual := "6379"
	if !ok {
		scheme, rest, usual = "redis", given, ""
	}
	switch scheme {
	case "unix":
		opts, err := parseOne(given)
		if err != nil {
			return redisTarget{}, err
		}
		return redisTarget{single: opts, name: opts.Addr}, nil
	case "redis", "rediss":
	case "redis+sentinel", "rediss+sentinel":
		return parseSentinel(strings.TrimSuffix(scheme, "+sentinel"), rest)
	default:
		return redisTarget{}, errors.New("--redis begins with a scheme that is unknown here: give redis://, rediss://, unix:// or redis+sentinel://")
	}
	hosts, user, tail, err := splitAddresses(scheme, rest, usual)
	if err != nil {
		return redisTarget{}, err
	}
	opts, err := parseOne(scheme + "://" + user + hosts[0] + tail)
	if err != nil {
		return redisTarget{}, err
	}
	if len(hosts) == 1 && !strings.Contains(given, ",") {
		return redisTarget{single: opts, name: opts.Addr}, nil
	}
	if opts.DB != 0 {
		return redisTarget{}, errors.New("--redis names a database of a Redis Cluster, which has only one: leave it out of the URL")
	}
	return redisTarget{cluster: clusterOptions(opts, hosts), name: strings.Join(hosts, ",")}, nil
}

// splitAddresses takes a list of addresses apart. Each may be host:port or a
// URL; user and password may stand at the first or at all, path and query at
// the last. An address without a port gets the usual one, unless that is empty.
func splitAddresses(scheme, list, usual string) (hosts []string, user, tail string, err error) {
	list, tail = cutTail(scheme, list)
	for i, item := range strings.Split(list, ",") {
		item = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(item), scheme+"://"), "/")
		if strings.Contains(item, "://") {
			return nil, "", "", errors.New("--redis mixes schemes: give all addresses with the same, or only the first with one")
		}
		if at := strings.LastIndexByte(item, '@'); at >= 0 {
			own := item[:at+1]
			item = item[at+1:]
			if i > 0 && own != user {
				return nil, "", "", errors.New("--redis has different users or passwords for one Redis: give them at the first address only (a comma in a password as %2C)")
			}
			user = own
		}
		if usual != "" && item != "" && !strings.Contains(item, ":") {
			item = net.JoinHostPort(item, usual)
		}
		host, port, bad := net.SplitHostPort(item)
		number, worse := strconv.ParseUint(port, 10, 16)
		if bad != nil || worse != nil || number == 0 || host == "" {
			return nil, "", "", errors.New("--redis is neither a URL nor host:port: give it as 127.0.0.1:6379 or redis://user:password@host:port " +
				"(in a password, / as %2F, @ as %40, a comma as %2C)")
		}
		if !slices.Contains(hosts, item) {
			hosts = append(hosts, item)
		}
	}
	return hosts, user, tail, nil
}

// cutTail cuts path and query off the end of a list of addresses.
func cutTail(scheme, list string) (addresses, tail string) {
	last := max(strings.LastIndex(list, scheme+"://"), 0)
	if last > 0 {
		last += len(scheme + "://")
	}
	if i := strings.IndexAny(list[last:], "/?"); i >= 0 {
		return list[:last+i], list[last+i:]
	}
	return list, ""
}

// parseSentinel reads what follows the scheme of a sentinel URL:
// [user:password@]host:port,host:port/master-name[/db][?query]. User and
// password are Redis's own; the sentinels' go as sentinel_username and
// sentinel_password in the query.
func parseSentinel(scheme, rest string) (redisTarget, error) {
	const form = "give it as redis+sentinel://user:password@host:port,host:port/master-name"
	hosts, user, tail, err := splitAddresses(scheme+"+sentinel", rest, "26379")
	if err != nil {
		return redisTarget{}, err
	}
	path, query, _ := strings.Cut(tail, "?")
	name, db, _ := strings.Cut(strings.Trim(path, "/"), "/")
	name, err = url.PathUnescape(name)
	if err != nil || name == "" {
		return redisTarget{}, errors.New("--redis names no primary for the sentinels to find: " + form)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return redisTarget{}, errors.New("--redis has a query that can't be read: " + form)
	}
	if db == "" {
		db = values.Get("db")
	}
	sentinelUser, sentinelPassword := values.Get("sentinel_username"), values.Get("sentinel_password")
	for _, taken := range []string{"sentinel_username", "sentinel_password", "db"} {
		values.Del(taken)
	}
	opts, err := parseOne(scheme + "://" + user + hosts[0] + "/" + db + "?" + values.Encode())
	if err != nil {
		return redisTarget{}, err
	}
	return redisTarget{
		sentinel: failoverOptions(opts, name, hosts, sentinelUser, sentinelPassword),
		name:     name + " of the sentinels at " + strings.Join(hosts, ","),
	}, nil
}

// parseOne reads the URL of one Redis, and sets all that a node wants otherwise
// than go-redis does by itself.
func parseOne(address string) (*redis.Options, error) {
	opts, err := redis.ParseURL(address)
	if err != nil {
		hint := "it can't be read as a URL: special characters of a password must be percent-encoded, / as %2F, @ as %40, a comma as %2C"
		switch text := err.Error(); {
		case strings.Contains(text, "invalid database number"), strings.Contains(text, "invalid URL path"):
			hint = "its path must be the number of a database, or nothing"
		case strings.Contains(text, "unexpected option"):
			hint = "its query has an option that is unknown here"
		case strings.Contains(text, "empty unix socket path"):
			hint = "it names no socket: give it as unix:///run/redis.sock"
		}
		return nil, fmt.Errorf("--redis is no URL of a Redis: %s", hint)
	}
	opts.PoolSize = redisPool
	opts.PipelinePoolSize = -1 // pipelines go by the one pool too
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

// manyHosts is a TLS configuration for more than one host: each certificate is
// checked against the host that was dialed.
func manyHosts(c *tls.Config) *tls.Config {
	if c == nil {
		return nil
	}
	c = c.Clone()
	c.ServerName = ""
	return c
}

func clusterOptions(o *redis.Options, hosts []string) *redis.ClusterOptions {
	return &redis.ClusterOptions{
		Addrs:    hosts,
		Username: o.Username, Password: o.Password, TLSConfig: manyHosts(o.TLSConfig),
		// Redirections are followed: what was redirected was not done. No more
		// than that: see broker.once for what writes.
		MaxRedirects: 3,
		MaxRetries:   o.MaxRetries,
		// Scripts' keys tell where a command goes; the client need not ask for a
		// table of all commands, which its user may not be let have.
		DisableRoutingPolicies:     true,
		ClusterStateReloadInterval: clusterLook,
		PoolSize:                   o.PoolSize, PipelinePoolSize: o.PipelinePoolSize, MinIdleConns: o.MinIdleConns,
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, PoolTimeout: o.PoolTimeout,
		DialerRetries: o.DialerRetries, ContextTimeoutEnabled: o.ContextTimeoutEnabled, DisableIdentity: o.DisableIdentity,
		Protocol: o.Protocol, MaintNotificationsConfig: o.MaintNotificationsConfig,
	}
}

func failoverOptions(o *redis.Options, master string, sentinels []string, user, password string) *redis.FailoverOptions {
	return &redis.FailoverOptions{
		MasterName: master, SentinelAddrs: sentinels, SentinelUsername: user, SentinelPassword: password,
		Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: manyHosts(o.TLSConfig),
		MaxRetries: o.MaxRetries,
		PoolSize:   o.PoolSize, PipelinePoolSize: o.PipelinePoolSize, MinIdleConns: o.MinIdleConns,
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, PoolTimeout: o.PoolTimeout,
		DialerRetries: o.DialerRetries, ContextTimeoutEnabled: o.ContextTimeoutEnabled, DisableIdentity: o.DisableIdentity,
		Protocol: o.Protocol,
	}
}

// client opens the connections; it does not dial yet.
func (t redisTarget) client() redis.UniversalClient {
	switch {
	case t.cluster != nil:
		return redis.NewClusterClient(t.cluster)
	case t.sentinel != nil:
		return redis.NewFailoverClient(t.sentinel)
	}
	return redis.NewClient(t.single)
}
