//go:build unix

package faults

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/check"
	"example.com/chat/internal/load"
)

// newCluster starts a chat by one command, with --nodes 3 and the embedded broker.
func newCluster(t *testing.T, f fault) *rig {
	t.Helper()
	choose(t, f)
	t.Parallel()
	r := &rig{t: t, fault: f, random: newChance(f)}
	parent := &node{t: t, id: "the parent"}
	p := begin(t, chattest.Build(t), nil, []string{
		"--nodes=3", "--addr=127.0.0.1:0", "--broker-addr=127.0.0.1:0", "--rate=0", "--text-limit=100000", "--history=100000",
	}, &parent.errs)
	parent.live, r.parent = p, parent
	line := func(label string) (text string) {
		chattest.Eventually(t, "the line of "+label, func() bool {
			_, rest, ok := strings.Cut(p.Out(), label+"  ")
			text, _, _ = strings.Cut(rest, "\n")
			return ok && strings.Contains(rest, "\n")
		})
		return text
	}
	opts, err := redis.ParseURL(line("broker"))
	if err != nil {
		t.Fatal(err)
	}
	opts.Protocol = 2
	r.rdb = operator{redis.NewClient(opts), t}
	t.Cleanup(func() { _ = r.rdb.Close() })
	for i := range nodes {
		n := &node{t: t, id: fmt.Sprintf("node-%d", i+1), url: line(fmt.Sprintf("node %d", i+1))}
		n.live = &chattest.Process{Cmd: &exec.Cmd{Process: childOn(t, p.PID(), n.url)}}
		r.nodes = append(r.nodes, n)
	}
	return r
}

// A node of --nodes 3 is frozen under load. The embedded broker closes its subscription once
// too much waits for it. Users of the other nodes are not affected.
func TestEmbeddedSubscriberFrozen(t *testing.T) {
	r := newCluster(t, fault{31, "a node of --nodes 3 frozen under load", false})
	frozen := r.nodes[r.random.IntN(nodes)]
	var others []string
	for _, n := range r.nodes {
		if n != frozen {
			others = append(others, n.address())
		}
	}
	r.talk(setup{talkers: 4, load: load.Config{
		Rooms: []string{"lobby"}, Every: 50 * time.Millisecond, Window: 4, Size: 60_000,
	}, urls: func() []string { return others }})
	t.Cleanup(r.tell)
	r.pin(frozen, "at the frozen node", "lobby")
	r.flow(leastSaid)
	r.hold(5 * time.Second)
	r.recordFault("freeze %s", frozen.id)
	from := time.Now()
	frozen.signal(syscall.SIGSTOP)
	cut := func() bool { return r.parent.said("reads too slowly") > 0 }
	for time.Since(from) < time.Minute && !cut() {
		r.hold(100 * time.Millisecond)
	}
	if !cut() {
		t.Error("the frozen node's subscription was not closed within a minute")
	}
	r.note("the broker closed the frozen node's subscription after %.0f s", since(from))
	r.hold(5 * time.Second)
	to := time.Now()
	frozen.signal(syscall.SIGCONT)
	frozen.awaitReady(true, to)
	r.flow(leastSaid)
	rep, list := r.finish()
	r.steady(rep)
	before, during := usualP99(list, 0, r.history.at(from)), usualP99(list, r.history.at(from), r.history.at(to))
	r.note("p99 of acknowledgements %.0f ms before, %.0f ms while a node was frozen", 1000*before.Seconds(), 1000*during.Seconds())
	if during > 2*before+50*time.Millisecond {
		t.Errorf("p99 of acknowledgements was %s, and %s while a node was frozen", before, during)
	}
}

// usualP99 returns the median of the p99 of each second. It shows a lasting delay, and hides
// a moment in which the machine was busy.
func usualP99(list []check.Record, from, to int64) time.Duration {
	var each []time.Duration
	for at := from; at < to; at += int64(time.Second) {
		if sample := waits(list, at, min(to, at+int64(time.Second))); len(sample) > 0 {
			each = append(each, quantile(sample, 0.99))
		}
	}
	return quantile(each, 0.5)
}

// waits returns the times from the first sending to the acknowledgement of the messages that
// were sent first between two moments.
func waits(list []check.Record, from, to int64) (sample []time.Duration) {
	sent := make(map[string]int64)
	for _, rec := range list {
		switch rec.Op {
		case check.OpSend:
			if _, again := sent[rec.Key]; !again {
				sent[rec.Key] = rec.At
			}
		case check.OpSent:
			if at, ok := sent[rec.Key]; ok && at >= from && at < to {
				sample = append(sample, time.Duration(rec.At-at))
			}
		}
	}
	return sample
}

// childOn returns the child of a process that listens at a URL.
func childOn(t *testing.T, parent int, url string) *os.Process {
	t.Helper()
	port := url[strings.LastIndex(url, ":"):]
	for _, pid := range chattest.Children(t, parent) {
		for _, arg := range chattest.CommandLine(t, pid) {
			if strings.HasSuffix(arg, port) {
				p, err := os.FindProcess(pid)
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
		}
	}
	t.Fatalf("no child of %d listens at %s", parent, url)
	return nil
}
