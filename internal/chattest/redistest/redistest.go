// Package redistest starts real Redis servers for tests: single ones, with TLS,
// a primary and a replica watched by sentinels, and a Redis Cluster. All listen
// on free ports of the loopback and end with their test.
//
// They run the redis-server of the search path, or the program that the
// environment variable CHAT_REDIS_SERVER names, by a path: another version, or
// Valkey's or Redict's server, which take the same arguments. With --sentinel
// the same program is a sentinel.
package redistest

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/chat/embed"
	"example.com/chat/internal/chattest"
)

// Server is a running redis-server of one test.
type Server struct {
	// Addr is the address on which it listens, URL the same as a URL.
	Addr, URL string

	t    testing.TB
	args []string
	tls  *tls.Config       // nil without TLS
	run  *chattest.Process // nil before the first Launch
}

// Start starts a server with further arguments, which the end of the test ends. If no
// redis-server is installed it skips the test, or fails it under CI=true.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	program(t)
	s := newServer(t, chattest.FreePorts(t, 1)[0], args...)
	s.Restart()
	return s
}

// program returns the server's path, and skips the test if there is none.
func program(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("CHAT_REDIS_SERVER"); path != "" {
		return chattest.NeedProgram(t, path, "it is what CHAT_REDIS_SERVER names")
	}
	return chattest.NeedProgram(t, "redis-server", "tests with a real Redis are skipped")
}

// newServer prepares a server that does not run yet.
func newServer(t testing.TB, port int, args ...string) *Server {
	text := strconv.Itoa(port)
	s := &Server{
		Addr: net.JoinHostPort("127.0.0.1", text),
		t:    t,
		args: append([]string{"--port", text, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir(),
			"--repl-diskless-sync-delay", "0"}, args...),
	}
	s.URL = "redis://" + s.Addr
	return s
}

// Kill ends the server at once, as kill -9 does.
func (s *Server) Kill() {
	if s.run != nil {
		s.run.Kill()
	}
}

// Signal sends the server a signal.
func (s *Server) Signal(sig os.Signal) { s.run.Signal(sig) }

// Launch starts the server, also again after a Kill with what it stored on disk, and does
// not wait until it answers.
func (s *Server) Launch() {
	s.t.Helper()
	s.run = chattest.Start(s.t, chattest.Command{Path: program(s.t), Args: s.args})
}

// Restart is Launch, and waits until the server answers.
func (s *Server) Restart() {
	s.t.Helper()
	s.Launch()
	c := redis.NewClient(&redis.Options{Addr: s.Addr, TLSConfig: s.tls, MaxRetries: -1})
	defer c.Close()
	chattest.Eventually(s.t, "redis-server", func() bool {
		err := c.Ping(s.t.Context()).Err()
		return err == nil || strings.Contains(err.Error(), "NOAUTH") || strings.Contains(err.Error(), "MASTERDOWN")
	})
}

// Client returns a client of this very server, which the end of the test closes.
func (s *Server) Client() *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.Addr, TLSConfig: s.tls, MaxRetries: -1, Protocol: 2, DisableIdentity: true})
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// Do executes one command, and fails the test if that fails.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.Addr, TLSConfig: s.tls, MaxRetries: -1, Protocol: 2, DisableIdentity: true})
	defer c.Close()
	reply, err := c.Do(s.t.Context(), args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		s.t.Fatalf("%v at %s: %v", args[0], s.Addr, err)
	}
	return reply
}

// Info returns one field of INFO; "" if there is none, or no answer.
func (s *Server) Info(section, field string) string {
	c := redis.NewClient(&redis.Options{Addr: s.Addr, TLSConfig: s.tls, MaxRetries: -1, Protocol: 2, DisableIdentity: true})
	defer c.Close()
	text, _ := c.Info(s.t.Context(), section).Result()
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), field+":"); ok {
			return value
		}
	}
	return ""
}

// Embedded starts an embedded broker, the substitute for a Redis, which the end of the
// test ends.
func Embedded(t testing.TB) *embed.Broker {
	t.Helper()
	b, err := embed.StartBroker(embed.BrokerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}
