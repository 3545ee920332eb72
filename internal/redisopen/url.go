package redisopen

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// startTimeout bounds one try to use a Redis.
	startTimeout = 5 * time.Second
	// clusterReload is the interval at which the slots of a Redis Cluster are read: a
	// dead primary answers no redirection by which the new one could be found.
	clusterReload = time.Second
)

// Target is the Redis that a URL names: exactly one of single, cluster and sentinel
// is set.
type Target struct {
	single   *redis.Options
	cluster  *redis.ClusterOptions
	sentinel *redis.FailoverOptions

	// name stands in messages; it holds no password.
	name string
}

// String returns the URL of the Redis without user, password and options (for
// logs).
func (t Target) String() string {
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

// Through returns the Redis with connections that dial makes, in place of the network's.
// It is for a single Redis, such as one inside this process.
func (t Target) Through(dial func(context.Context) (net.Conn, error)) Target {
	opts := *t.single
	opts.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }
	t.single = &opts
	return t
}

// address returns host:port of one Redis or sentinel; "" for a Unix socket.
func (t Target) address() string {
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

// Parse reads a value of --redis: host:port or a redis://, rediss:// or
// unix:// URL for a single Redis; several, comma-separated, for a Redis Cluster;
// redis+sentinel:// or rediss+sentinel:// with the sentinels' addresses and the
// primary's name. Its errors quote no part of the value, which may hold a password
// in an unexpected place.
func Parse(given string) (Target, error) {
	if err := refuseUnescaped(given); err != nil {
		return Target{}, err
	}
	scheme, rest, ok := strings.Cut(given, "://")
	usual := "6379"
	if !ok {
		scheme, rest, usual = "redis", given, ""
	}
	switch scheme {
	case "unix":
		opts, err := parseOne(given)
		if err != nil {
			return Target{}, err
		}
		return Target{single: opts, name: opts.Addr}, nil
	case "redis", "rediss":
	case "redis+sentinel", "rediss+sentinel":
		return parseSentinel(strings.TrimSuffix(scheme, "+sentinel"), rest)
	default:
		return Target{}, errors.New("--redis begins with a scheme that is unknown here: give redis://, rediss://, unix:// or redis+sentinel://")
	}
	hosts, user, tail, err := splitAddresses(scheme, rest, usual)
	if err != nil {
		return Target{}, err
	}
	opts, err := parseOne(scheme + "://" + user + hosts[0] + tail)
	if err != nil {
		return Target{}, err
	}
	if len(hosts) == 1 && !strings.Contains(given, ",") {
		return Target{single: opts, name: opts.Addr}, nil
	}
	if opts.DB != 0 {
		return Target{}, errors.New("--redis names a database of a Redis Cluster, which has only one: leave it out of the URL")
	}
	return Target{cluster: clusterOptions(opts, hosts), name: strings.Join(hosts, ",")}, nil
}

// percentHint shows how to write the characters that would end a password in a URL.
const percentHint = "# as %23, / as %2F, ? as %3F, @ as %40, a comma as %2C"

// refuseUnescaped finds characters in a user or password that should be percent-encoded.
// They would end the password early, and the rest of it would be dialed as a host and a
// port, and be part of messages.
func refuseUnescaped(given string) error {
	_, rest, ok := strings.Cut(given, "://")
	if !ok {
		rest = given
	}
	scheme, _, _ := strings.Cut(given, "://")
	_, tail := cutTail(scheme, rest)
	path, query, _ := strings.Cut(tail, "?")
	if strings.HasSuffix(scheme, "+sentinel") {
		// The sentinels' password may contain an @.
		kept := slices.DeleteFunc(strings.Split(query, "&"), func(s string) bool {
			return strings.HasPrefix(s, "sentinel_password=") || strings.HasPrefix(s, "sentinel_username=")
		})
		query = strings.Join(kept, "&")
	}
	if strings.Contains(given, "#") || strings.Contains(path, "@") || strings.Contains(query, "@") {
		return errors.New("--redis has a character in its user or password that must be percent-encoded: " + percentHint)
	}
	return nil
}

// splitAddresses splits a list of addresses. Each may be host:port or a URL; user and
// password may be in the first or in all of them, path and query in the last. An address
// without a port gets the usual one, unless that is empty.
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
				"(in a password, " + percentHint + ")")
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
func parseSentinel(scheme, rest string) (Target, error) {
	const form = "give it as redis+sentinel://user:password@host:port,host:port/master-name"
	hosts, user, tail, err := splitAddresses(scheme+"+sentinel", rest, "26379")
	if err != nil {
		return Target{}, err
	}
	path, query, _ := strings.Cut(tail, "?")
	name, db, _ := strings.Cut(strings.Trim(path, "/"), "/")
	name, err = url.PathUnescape(name)
	if err != nil || name == "" {
		return Target{}, errors.New("--redis names no primary for the sentinels to find: " + form)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return Target{}, errors.New("--redis has a query that can't be read: " + form)
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
		return Target{}, err
	}
	return Target{
		sentinel: failoverOptions(opts, name, hosts, sentinelUser, sentinelPassword),
		name:     name + " of the sentinels at " + strings.Join(hosts, ","),
	}, nil
}

// manyHosts returns a TLS configuration for more than one host: each certificate is
// verified for the host that was dialed.
func manyHosts(c *tls.Config) *tls.Config {
	if c == nil {
		return nil
	}
	c = c.Clone()
	c.ServerName = ""
	return c
}

func clusterOptions(o *redis.Options, hosts []string) *redis.ClusterOptions {
	host, _, _ := net.SplitHostPort(hosts[0]) // splitAddresses has checked it
	return &redis.ClusterOptions{
		Addrs:     hosts,
		NewClient: clusterNode(host),
		Username:  o.Username, Password: o.Password, TLSConfig: manyHosts(o.TLSConfig),
		// Redirections are followed: a redirected command was not executed. Nothing
		// else is tried again: see redisbroker's once for commands that write.
		MaxRedirects: 3,
		MaxRetries:   o.MaxRetries,
		ClientName:   o.ClientName,
		PoolFIFO:     o.PoolFIFO, MaxIdleConns: o.MaxIdleConns, MaxActiveConns: o.MaxActiveConns, MaxConcurrentDials: o.MaxConcurrentDials,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime, ConnMaxLifetimeJitter: o.ConnMaxLifetimeJitter,
		// The keys of scripts determine their node, so the client does not need the
		// table of all commands, which its user may not be allowed to read.
		DisableRoutingPolicies:     true,
		ClusterStateReloadInterval: clusterReload,
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
		MaxRetries: o.MaxRetries, ClientName: o.ClientName,
		PoolFIFO: o.PoolFIFO, MaxIdleConns: o.MaxIdleConns, MaxActiveConns: o.MaxActiveConns, MaxConcurrentDials: o.MaxConcurrentDials,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime, ConnMaxLifetimeJitter: o.ConnMaxLifetimeJitter,
		PoolSize: o.PoolSize, PipelinePoolSize: o.PipelinePoolSize, MinIdleConns: o.MinIdleConns,
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, PoolTimeout: o.PoolTimeout,
		DialerRetries: o.DialerRetries, ContextTimeoutEnabled: o.ContextTimeoutEnabled, DisableIdentity: o.DisableIdentity,
		Protocol: o.Protocol,
	}
}

// client returns the client of the Redis. It does not dial yet.
func (t Target) client() redis.UniversalClient {
	switch {
	case t.cluster != nil:
		return redis.NewClusterClient(t.cluster)
	case t.sentinel != nil:
		return redis.NewFailoverClient(t.sentinel)
	}
	return redis.NewClient(t.single)
}
