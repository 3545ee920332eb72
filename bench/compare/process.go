//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"example.com/chat/internal/procstat"
)

// cluster is a set of running processes, with a folder of their own.
type cluster struct {
	dir   string
	urls  []string
	procs []*process
}

// newCluster returns one without processes. Its stop must be called.
func newCluster() (*cluster, error) {
	dir, err := os.MkdirTemp("", "chat-compare-run-")
	return &cluster{dir: dir}, err
}

// process is a process of a cluster.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	log  *tail
}

// tail keeps the end of what a process wrote.
type tail struct {
	mu   sync.Mutex // guards text
	text []byte
}

// Write keeps the newest 4 KiB (io.Writer).
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-4096):]
	return len(b), nil
}

// String returns it.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}

// startWithin is how long a process may take until it takes clients.
const startWithin = time.Minute

// start starts a process of the cluster, without variables that would configure a chat.
// If announce is not empty, it waits for a line of standard output that begins with it,
// and returns the line's last word.
func (c *cluster) start(ctx context.Context, env []string, announce, path string, args ...string) (string, error) {
	p := &process{cmd: exec.Command(path, args...), done: make(chan struct{}), log: new(tail)}
	for _, v := range append(os.Environ(), env...) {
		if !strings.HasPrefix(v, "CHAT_") {
			p.cmd.Env = append(p.cmd.Env, v)
		}
	}
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := p.cmd.Start(); err != nil {
		return "", err
	}
	c.procs = append(c.procs, p)
	found := make(chan string, 1)
	go func() { // ends with the process, which stop kills
		defer close(p.done)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			line := lines.Text()
			_, _ = p.log.Write([]byte(line + "\n"))
			if words := strings.Fields(line); announce != "" && strings.HasPrefix(line, announce) {
				select {
				case found <- words[len(words)-1]:
				default:
				}
			}
		}
		_ = p.cmd.Wait()
	}()
	if announce == "" {
		return "", nil
	}
	select {
	case word := <-found:
		return word, nil
	case <-p.done:
		return "", fmt.Errorf("%s ended: %s", path, p.log)
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(startWithin):
		return "", fmt.Errorf("%s is not ready after %s: %s", path, startWithin, p.log)
	}
}

// listening waits until something listens at an address, or until the newest process
// of the cluster has ended.
func (c *cluster) listening(ctx context.Context, address string) error {
	p := c.procs[len(c.procs)-1]
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %s", p.cmd.Path, p.log)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen at %s: %s", p.cmd.Path, address, p.log)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends all processes, and removes the folder.
func (c *cluster) stop() {
	for _, p := range c.procs {
		_ = p.cmd.Process.Kill()
	}
	for _, p := range c.procs {
		<-p.done
	}
	_ = os.RemoveAll(c.dir)
}

// redisFlags are Redis's, besides its port, its folder and --save "".
const redisFlags = "--bind 127.0.0.1 --appendonly no"

// redis starts a Redis that keeps nothing on disk, and returns its address.
func (c *cluster) redis(ctx context.Context) (string, error) {
	port, err := freePort()
	if err != nil {
		return "", err
	}
	if _, err := c.start(ctx, nil, "", "redis-server", append(strings.Fields(redisFlags), "--save", "", "--dir", c.dir, "--port", port)...); err != nil {
		return "", err
	}
	address := net.JoinHostPort("127.0.0.1", port)
	return address, c.listening(ctx, address)
}

// freePort returns a port of the loopback that is free now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// usage is what all processes of a cluster use together.
func (c *cluster) usage() (sum procstat.Usage, err error) {
	for _, p := range c.procs {
		one, err := procstat.Of(p.cmd.Process.Pid)
		if err != nil {
			return sum, fmt.Errorf("%s: %w: %s", p.cmd.Path, err, p.log)
		}
		sum.CPU += one.CPU
		sum.Resident += one.Resident
	}
	return sum, nil
}
