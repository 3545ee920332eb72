// Package redistest starts real Redis servers for tests.
package redistest

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/chat/embed"
	"example.com/chat/internal/poll"
)

// Server is a running redis-server of one test.
type Server struct {
	// Addr is where it listens, URL the same as a URL.
	Addr, URL string

	t    testing.TB
	args []string
	cmd  *exec.Cmd
}

// Start starts a redis-server with further arguments, which ends with the test.
// Where none is installed the test is skipped, but not under CI=true, which
// insists on it.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("redis-server is not installed, and CI=true insists on it")
		}
		t.Skip("redis-server is not installed: tests with a real Redis are skipped")
	}
	ports, err := embed.FreePorts("127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(ports[0])
	s := &Server{
		Addr: net.JoinHostPort("127.0.0.1", port),
		t:    t,
		args: append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir()}, args...),
	}
	s.URL = "redis://" + s.Addr
	s.Restart()
	t.Cleanup(s.Kill)
	return s
}

// Kill ends the server at once, as kill -9 does.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	_, _ = s.cmd.Process.Wait()
}

// Signal sends the server a signal, as SIGSTOP, which freezes it.
func (s *Server) Signal(sig os.Signal) { _ = s.cmd.Process.Signal(sig) }

// Restart starts the server after a Kill, with what it kept on disk, and returns
// when it answers.
func (s *Server) Restart() {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", s.args...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	c := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1})
	defer c.Close()
	poll.Until(s.t, "redis-server", func() bool {
		err := c.Ping(s.t.Context()).Err()
		return err == nil || strings.Contains(err.Error(), "NOAUTH")
	})
}
