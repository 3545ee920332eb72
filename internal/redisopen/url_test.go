package redisopen

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/redisbroker"
)

func TestWhatRedisTakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		given string
		kind  string // of the target
		addrs string
		user  string
		tls   bool
	}{
		{"127.0.0.1:6379", "single", "127.0.0.1:6379", ":", false},
		{"redis://ann:s%2Ct@h:1/3", "single", "h:1", "ann:s,t", false},
		{"rediss://h", "single", "h:6379", ":", true},
		{"unix:///run/redis.sock", "single", "/run/redis.sock", ":", false},
		{"h1:1,h2:2", "cluster", "h1:1,h2:2", ":", false},
		{"h1:1,h1:1", "cluster", "h1:1", ":", false},
		{"rediss://ann:x@h1:1,h2:2,rediss://ann:x@h3:3/?skip_verify=true", "cluster", "h1:1,h2:2,h3:3", "ann:x", true},
		{"redis://h1, redis://h2/", "cluster", "h1:6379,h2:6379", ":", false},
		{"redis+sentinel://h1:1,h2:2/main", "sentinel", "h1:1,h2:2", ":", false},
		{"rediss+sentinel://ann:x@h1,h2/main/3?sentinel_username=s&sentinel_password=y", "sentinel", "h1:26379,h2:26379", "ann:x", true},
	} {
		target, err := Parse(c.given)
		if err != nil {
			t.Errorf("%s: %v", c.given, err)
			continue
		}
		kind, addrs, user, secure := "", "", "", false
		switch {
		case target.single != nil:
			o := target.single
			kind, addrs, user, secure = "single", o.Addr, o.Username+":"+o.Password, o.TLSConfig != nil
		case target.cluster != nil:
			o := target.cluster
			kind, addrs, user, secure = "cluster", strings.Join(o.Addrs, ","), o.Username+":"+o.Password, o.TLSConfig != nil
			if secure && o.TLSConfig.ServerName != "" {
				t.Errorf("%s: every node's certificate must be for %q", c.given, o.TLSConfig.ServerName)
			}
		case target.sentinel != nil:
			o := target.sentinel
			kind, addrs, user, secure = "sentinel", strings.Join(o.SentinelAddrs, ","), o.Username+":"+o.Password, o.TLSConfig != nil
			if o.MasterName != "main" || secure && (o.SentinelUsername != "s" || o.SentinelPassword != "y" || o.DB != 3) {
				t.Errorf("%s: %+v", c.given, o)
			}
		}
		if kind != c.kind || addrs != c.addrs || user != c.user || secure != c.tls {
			t.Errorf("%s: %s %s %s %v", c.given, kind, addrs, user, secure)
		}
	}
}

func TestALogNamesTheRedisWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"127.0.0.1:6379":                         "redis://127.0.0.1:6379",
		"redis://ann:SECRET@h:1/3":               "redis://h:1/3",
		"rediss://:SECRET@h":                     "rediss://h:6379",
		"unix://ann:SECRET@/run/redis.sock?db=2": "unix:///run/redis.sock?db=2",
		"redis://:SECRET@h1:1,h2:2":              "redis://h1:1,h2:2",
		"rediss+sentinel://:SECRET@h1,h2/main/3?sentinel_password=SECRET": "rediss+sentinel://h1:26379,h2:26379/main/3",
	} {
		target, err := Parse(given)
		if err != nil || target.String() != want {
			t.Errorf("%s: %s, want %s (%v)", given, target, want, err)
		}
	}
}

func TestABadRedisIsRefusedWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for _, given := range []string{
		"redis://:SECRET/x@h:1", "redis://ann:12/SECRET@h:1", "redis://ann:12?SECRET@h:1", "redis://ann:%ZZSECRET@h:1",
		"redis://ann:SECRET@h:1,redis://ann:OTHERSECRET@h:2", "redis://ann:SECRET,x@h:1", "redis://SECRET@:x",
		"redis+sentinel://ann:SECRET@h:1", "redis+sentinel://ann:SECRET@h:1/main?sentinel_password=SECRET&x=y",
		"redis+sentinel://h:1/main?sentinel_password=%ZZSECRET", "redis://ann:SECRET@h:1,h:2/3", "http://ann:SECRET@h",
		"redis://ann:SECRET@h:1,rediss://h:2", "SECRET", "ann:SECRET@h:x", "redis://h/-1", "redis://h?SECRET=1", "redis://h?pool_timeout=SECRET",
	} {
		_, err := Parse(given)
		if err == nil {
			t.Errorf("%s was accepted", given)
			continue
		}
		if text := err.Error(); strings.Contains(text, "SECRET") || !strings.HasPrefix(text, "--redis ") || strings.Contains(text, "\n") {
			t.Errorf("%s: %s", given, text)
		}
	}
}

// A password had a character that ends the address of a URL. The part before it was used
// as a host and a port, and appeared in the message.
func TestAPasswordThatIsNotEncodedIsRefusedWithTheHint(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var dialed atomic.Bool
	go func() { // ends with the listener
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			dialed.Store(true)
			_ = c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for _, form := range []string{
		"redis://:PORT%sWc903z@127.0.0.1:PORT", "redis://127.0.0.1:PORT%sWc903z@127.0.0.1:PORT", "127.0.0.1:PORT%sWc903z@127.0.0.1:PORT",
		"redis://ann:PORT%sWc903z@127.0.0.1:PORT/2?db=1", "rediss://ann:PORT%sWc903z@127.0.0.1:PORT,127.0.0.1:PORT",
		"redis+sentinel://ann:PORT%sWc903z@127.0.0.1:PORT/main", "redis+sentinel://127.0.0.1:PORT%sWc903z@127.0.0.1:PORT/main?db=1",
		"unix://ann:PORT%sWc903z@/run/redis.sock",
	} {
		for _, c := range []string{"#", "?", "/", "#/", "/?"} {
			given := strings.ReplaceAll(fmt.Sprintf(form, c), "PORT", port)
			_, err := Parse(given)
			if err == nil || !strings.Contains(err.Error(), "%23") || !strings.Contains(err.Error(), "percent-encoded") ||
				strings.Contains(err.Error(), "Wc903z") || strings.Contains(err.Error(), port) {
				t.Errorf("%s: %v", given, err)
			}
		}
	}
	if dialed.Load() {
		t.Error("a connection was opened")
	}
	for given, password := range map[string]string{
		"redis://:a%23b%2Fc%3Fd%40e%2Cf@h:1":                      "a#b/c?d@e,f",
		"redis+sentinel://:a%23b@h:1/main?sentinel_password=p@ss": "a#b",
		"redis://:a@b@h:1": "a@b",
	} {
		target, err := Parse(given)
		if err != nil {
			t.Errorf("%s: %v", given, err)
		} else if target.sentinel != nil && (target.sentinel.Password != password || target.sentinel.SentinelPassword != "p@ss") ||
			target.single != nil && target.single.Password != password {
			t.Errorf("%s is read as %+v", given, target)
		}
	}
}

// Options of a URL were once parsed and then overwritten. With every kind of Redis they
// are applied or refused.
func TestOptionsOfAURLAreObeyedOrRefused(t *testing.T) {
	t.Parallel()
	query := "pool_size=100&dial_timeout=3s&read_timeout=4s&write_timeout=5s&pool_timeout=6&min_idle_conns=7&max_idle_conns=8&max_active_conns=90&" +
		"max_concurrent_dials=10&conn_max_idle_time=11m&conn_max_lifetime=12h&conn_max_lifetime_jitter=13m&pool_fifo=true&client_name=chat"
	check := func(given string, o any) {
		t.Helper()
		v := reflect.Indirect(reflect.ValueOf(o))
		for name, want := range map[string]any{
			"PoolSize": 100, "DialTimeout": 3 * time.Second, "ReadTimeout": 4 * time.Second, "WriteTimeout": 5 * time.Second,
			"PoolTimeout": 6 * time.Second, "MinIdleConns": 7, "MaxIdleConns": 8, "MaxActiveConns": 90, "MaxConcurrentDials": 10,
			"ConnMaxIdleTime": 11 * time.Minute, "ConnMaxLifetime": 12 * time.Hour, "ConnMaxLifetimeJitter": 13 * time.Minute,
			"PoolFIFO": true, "ClientName": "chat", "MaxRetries": -1, "Protocol": 2,
		} {
			if got := v.FieldByName(name).Interface(); got != want {
				t.Errorf("%s: %s is %v, want %v", given, name, got, want)
			}
		}
	}
	for _, given := range []string{"redis://h:1?" + query, "redis://h:1,h:2?" + query, "redis+sentinel://h:1/main?" + query} {
		target, err := Parse(given)
		switch {
		case err != nil:
			t.Errorf("%s: %v", given, err)
		case target.single != nil:
			check(given, target.single)
		case target.cluster != nil:
			check(given, target.cluster)
		default:
			check(given, target.sentinel)
		}
	}
	plain, err := Parse("h:1")
	if o := plain.single; err != nil || o.PoolSize != PoolSize || o.ReadTimeout != ioTimeout || o.DialTimeout != dialTimeout || o.MinIdleConns != idleConns {
		t.Errorf("without options: %+v %v", o, err)
	}
	for query, word := range map[string]string{
		"pool_size=10": "pool_size", "pool_size=-1": "pool_size", "max_active_conns=20": "max_active_conns", "min_idle_conns=-1": "min_idle_conns",
		"read_timeout=0": "read_timeout", "read_timeout=-1": "read_timeout", "read_timeout=100ms": "read_timeout", "dial_timeout=1h": "dial_timeout",
		"write_timeout=soon": "3s", "max_retries=3": "max_retries", "protocol=3": "protocol", "pipeline_pool_size=9": "pipeline_pool_size",
		"max_idle_conns=1000": "max_idle_conns", "skip_verify=true": "rediss://", "retries=1": "unknown", "poolsize=1": "pool_size",
		"pool_fifo=perhaps": "true or false",
	} {
		if _, err := Parse("redis://h:1?" + query); err == nil || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// tryRedis opens a Redis as a node does at its start.
func tryRedis(t *testing.T, given string) error {
	t.Helper()
	target, err := Parse(given)
	if err != nil {
		return err
	}
	_, closeAll, err := target.Open(context.Background(), redisbroker.Config{
		Namespace: "chat", History: 10, Node: cluster.NodeInfo{ID: "n"}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	closeAll()
	return nil
}

func TestATroubleWithRedisIsOneLineThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	plain := redistest.Start(t)
	secure := redistest.StartTLS(t, redistest.NewCA(t))
	replica := redistest.Start(t, "--replicaof", "127.0.0.1 1", "--replica-serve-stale-data", "no")
	_, port, _ := strings.Cut(plain.Addr, ":")
	for _, c := range []struct {
		what, given string
		words       []string
	}{
		{"no cluster there", plain.Addr + "," + plain.Addr, []string{"no Redis Cluster"}},
		{"nobody at the sentinels' addresses", "redis+sentinel://127.0.0.1:1,127.0.0.1:2/main", []string{"no sentinel answers", "26379"}},
		{"a Redis in place of a sentinel", "redis+sentinel://127.0.0.1:" + port + "/main", []string{"no sentinel answers", "not Redis's"}},
		{"an unknown authority", secure.URL, []string{"unknown authority", "SSL_CERT_FILE"}},
		{"no TLS there", "rediss://" + plain.Addr, []string{"TLS only with rediss://"}},
		{"TLS there", secure.Addr, []string{"rediss://"}},
		{"no such socket", "unix:///nonexistent.sock", []string{"no such socket"}},
		{"no such database", "redis://" + plain.Addr + "/999", []string{"fewer databases"}},
		{"a replica without its primary", replica.Addr, []string{"MASTERDOWN", "primary"}},
	} {
		err := tryRedis(t, c.given)
		if err == nil {
			t.Errorf("%s: no error", c.what)
			continue
		}
		for _, word := range c.words {
			if !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %q in %v", c.what, word, err)
			}
		}
	}
}

func TestSentinelsAndClustersInWords(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t, nil)
	if err := tryRedis(t, sentinel.URL); err != nil {
		t.Error(err)
	}
	unknown := strings.Replace(sentinel.URL, redistest.MasterName, "another", 1)
	if err := tryRedis(t, unknown); err == nil || !strings.Contains(err.Error(), "know no primary of this name") {
		t.Error(err)
	}
	cluster := redistest.StartCluster(t, nil)
	if err := tryRedis(t, cluster.URL); err != nil {
		t.Error(err)
	}
	if err := tryRedis(t, cluster.Servers[0].URL); err == nil || !strings.Contains(err.Error(), "several of its addresses") {
		t.Error(err)
	}
}
