//go:build unix

package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// A node has few descriptors, and silent connections take as many as they get: users connect
// all the same. Then it has no free descriptor: it accepts waiting connections once there
// are free ones again, and does not spin until then.
func TestOutOfDescriptors(t *testing.T) {
	const limit, strangers = 180, 600
	f := fault{27, "out of file descriptors on a node", false}
	choose(t, f)
	path := chattest.Build(t)
	r := newRig(t, f, setup{program: func(i int) (string, []string, []string) {
		if i > 0 {
			return path, nil, nil
		}
		return "/bin/sh", nil, []string{"-c", fmt.Sprintf(`ulimit -S -n %d; exec "$0" "$@"`, limit), path}
	}})
	n := r.nodes[0]
	addr := strings.TrimPrefix(n.address(), "http://")
	r.recordFault("%d connections that send nothing", strangers)
	for range strangers {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			break // the kernel's queue is full too
		}
		defer c.Close()
	}
	watch(t, n, client.Options{}).join("lobby", "")
	for range 3 {
		n.limitFiles(t, 5) // lower descriptors are in use since the start
		r.recordFault("no descriptors")
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		c, err := client.Dial(ctx, client.Options{URL: n.address()})
		cancel()
		if err == nil {
			c.Close()
			t.Error("a node without descriptors accepted a client")
		}
		const watched = 3 * time.Second
		before := n.cpu(t)
		r.hold(watched)
		if used := n.cpu(t) - before; used > watched/2 {
			t.Errorf("without descriptors the node used the CPU for %s of %s", used, watched)
		} else {
			r.note("used the CPU for %.2f s of %.0f", used.Seconds(), watched.Seconds())
		}
		n.limitFiles(t, limit)
		free := time.Now()
		took, _ := n.awaitReady(true, free)
		watch(t, n, client.Options{}).join("lobby", "")
		r.note("accepted users again after %.1f s", took.Seconds())
		r.flow(leastSaid)
	}
	rep, _ := r.finish()
	r.untouched(rep)
}

// limitFiles sets how many descriptors the node may have.
func (n *node) limitFiles(t *testing.T, most int) {
	t.Helper()
	out, err := exec.Command("prlimit", "--pid", strconv.Itoa(n.pid()), fmt.Sprintf("--nofile=%d:", most)).CombinedOutput()
	if err != nil {
		t.Fatalf("prlimit (of util-linux): %v: %s", err, out)
	}
}

// Bounds of what many connections may leave behind.
const (
	descriptorsLeft = 32
	memoryLeft      = 48 << 10 // KiB
	goroutinesLeft  = 128      // including 64 idle workers
)

// Very many connections, with changing names and rooms, are opened and closed. They leave
// nothing behind.
func TestConnectionsComeAndGo(t *testing.T) {
	r := newRig(t, fault{35, "connections opened and closed", false}, setup{alone: true})
	n := r.nodes[0]
	r.come(n, 500) // so that pools and buffers have their largest size
	descriptors, memory := n.descriptors(t), n.resident(t)
	keys := r.rdb.ask("DBSIZE").(int64)
	began := time.Now()
	opened := chattest.Count(100_000, 100_000)
	r.come(n, opened)
	r.injected = opened
	r.note("%.0f connections a second", float64(opened)/since(began))
	// Rooms are evicted 15 s after their last member has left.
	r.hold(15 * time.Second)
	var files, grown int
	var left int64
	chattest.Eventually(t, "all to be released", func() bool {
		files, grown, left = n.descriptors(t)-descriptors, n.resident(t)-memory, r.rdb.ask("DBSIZE").(int64)-keys
		return files <= descriptorsLeft && grown <= memoryLeft && left <= 0
	})
	rep, _ := r.finish()
	r.untouched(rep)
	goroutines := n.goroutines(t) - r.nodes[2].goroutines(t)
	t.Logf("left: %d descriptors, %d KiB, %d goroutines, %d keys", files, grown, goroutines, left)
	if goroutines > goroutinesLeft {
		t.Errorf("%d goroutines more than at a node without visitors", goroutines)
	}
}

// goroutines ends the node with a dump of its goroutines, and counts them.
func (n *node) goroutines(t *testing.T) int {
	t.Helper()
	n.signal(syscall.SIGQUIT)
	<-n.process().Done()
	count := n.said("\ngoroutine ")
	if count == 0 {
		t.Fatalf("%s did not dump its goroutines: %s", n.id, lastLines(n.log(), 20))
	}
	return count
}

// visitors is how many connections exist at a time.
const visitors = 64

// come opens and closes so many connections to a node.
func (r *rig) come(n *node, count int) {
	r.t.Helper()
	var todo, failed atomic.Int64
	todo.Store(int64(count))
	var all sync.WaitGroup
	for range visitors {
		random := r.random.fork()
		all.Go(func() { // ends after the last visit; waited for below
			for todo.Add(-1) >= 0 && r.t.Context().Err() == nil {
				if err := visit(r.t.Context(), n.address(), random); err != nil {
					if failed.Add(1) < 5 {
						r.t.Logf("a visitor: %v", err)
					}
				}
			}
		})
	}
	all.Wait()
	if failed.Load() > int64(count)/1000 {
		r.t.Errorf("%d of %d visitors could not connect", failed.Load(), count)
	}
}

// visits numbers the visitors, so that each has a name of its own.
var visits atomic.Int64

// visit opens one connection, joins a room, and ends with or without a close. It uses one of
// many addresses of this machine, as one address has too few ports.
func visit(ctx context.Context, url string, random *rand.Rand) error {
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(random.IntN(250)), byte(1+random.IntN(250)))}}
	var raw net.Conn
	c, err := client.Dial(ctx, client.Options{
		URL:  url,
		Name: fmt.Sprintf("v%d", visits.Add(1)),
		DialContext: func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
			raw, err = from.DialContext(ctx, network, addr)
			return raw, err
		},
	})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Write(protocol.JoinCommand{Room: fmt.Sprintf("visited-%d", random.IntN(50))}); err != nil {
		return err
	}
	if random.IntN(4) == 0 {
		_ = c.Write(protocol.RenameCommand{Name: fmt.Sprintf("w%d", random.IntN(1_000_000))})
	}
	if random.IntN(8) > 0 {
		if _, err := c.Read(); err != nil {
			return err
		}
	}
	if random.IntN(2) == 0 {
		_ = raw.(*net.TCPConn).SetLinger(0) // a reset
		_ = raw.Close()
	}
	return nil
}
