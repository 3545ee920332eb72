//go:build unix

package faults

import (
	"syscall"
	"testing"
	"time"

	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// Bounds of what users notice of the end of a node.
const (
	backWithin = 2 * time.Second
	goneWithin = 8 * time.Second
)

// A node is killed under load: its clients connect to other nodes, and users who do not
// return go offline.
func TestNodeKilled(t *testing.T) {
	r := newRig(t, fault{1, "kill -9 of a node", true}, setup{})
	for range times(1, 4) {
		n := r.any()
		other := r.nodes[0]
		if other == n {
			other = r.nodes[1]
		}
		ghost, witness := watch(t, n, client.Options{}), watch(t, other, client.Options{})
		ghost.join("lobby", "")
		witness.join("lobby", "")
		r.hold(r.random.between(0, 300*time.Millisecond))
		r.recordFault("kill %s", n.id)
		killed := time.Now()
		n.kill()
		gone := witness.await("the killed node's user to leave", "presence", killed, left(ghost.me.User.ID))
		took := gone.at.Sub(killed)
		if took > goneWithin {
			t.Errorf("the killed node's user left after %s", took)
		}
		r.note("presence ended after %.1f s", took.Seconds())
		n.start()
		r.flow(leastSaid)
	}
	r.wentElsewhere()
}

// wentElsewhere ends a test in which nodes ended: their clients lost their connections, and
// were soon at another node.
func (r *rig) wentElsewhere() {
	r.t.Helper()
	rep, list := r.finish()
	r.steady(rep)
	if rep.Lost == 0 {
		r.t.Error("no client lost its connection")
	}
	if away := longestAway(list); away > backWithin {
		r.t.Errorf("a client was away for %s", away)
	}
}

// A node gets SIGTERM: it sends its users away and ends by itself.
func TestNodeDrained(t *testing.T) {
	r := newRig(t, fault{2, "SIGTERM of a node", true}, setup{})
	for range times(1, 4) {
		n := r.any()
		w := watch(t, n, client.Options{})
		w.join("lobby", "")
		r.hold(r.random.between(0, 300*time.Millisecond))
		r.recordFault("SIGTERM to %s", n.id)
		status, took := n.stop()
		if status != 0 || took > 10*time.Second {
			t.Errorf("%s ended with %d after %s", n.id, status, took)
		}
		if code, _ := w.awaitEnd(); code != protocol.CloseDraining {
			t.Errorf("a client of %s was closed with %d", n.id, code)
		}
		r.note("ended after %.1f s", took.Seconds())
		n.start()
		r.flow(leastSaid)
	}
	r.wentElsewhere()
}

// Nodes are restarted one after the other, in three rounds.
func TestNodesRestarted(t *testing.T) {
	r := newRig(t, fault{3, "nodes restarted one after the other", false}, setup{})
	for range 3 {
		for _, n := range r.nodes {
			r.recordFault("restart %s", n.id)
			if status, _ := n.stop(); status != 0 {
				t.Errorf("%s ended with %d", n.id, status)
			}
			n.start()
			r.flow(r.random.IntN(20))
		}
	}
	rep, list := r.finish()
	r.steady(rep)
	if away := longestAway(list); away > backWithin {
		t.Errorf("a client was away for %s", away)
	}
}

// A node is frozen for longer than its lease: its clients leave it or wait. When it wakes up,
// it acquires a new lease and catches up.
func TestNodeFrozen(t *testing.T) {
	const frozenFor, leaveWithin = 20 * time.Second, 10 * time.Second
	r := newRig(t, fault{4, "SIGSTOP of a node for 20 s", false}, setup{})
	n := r.any()
	patient := "patient"
	r.pin(n, patient, "lobby")
	for range 2 {
		w := watch(t, n, client.Options{})
		w.join("lobby", "")
		r.recordFault("freeze %s", n.id)
		frozen, before := time.Now(), n.said("lease was lost")
		n.signal(syscall.SIGSTOP)
		_, at := w.awaitEnd()
		if took := at.Sub(frozen); took > leaveWithin {
			t.Errorf("a client left the frozen node after %s", took)
		}
		r.hold(time.Until(frozen.Add(frozenFor)))
		for _, lost := range r.history.lostBetween(r.fleet.History.Records(), frozen, time.Now()) {
			if took := time.Duration(lost.At - r.history.at(frozen)); took > leaveWithin {
				t.Errorf("%s left the frozen node after %s", lost.Client, took)
			}
		}
		woken := time.Now()
		n.signal(syscall.SIGCONT)
		took, _ := n.awaitReady(true, woken)
		n.awaitSaid("lease was lost", before)
		r.note("ready %.1f s after waking up", took.Seconds())
		r.flow(leastSaid)
	}
	rep, _ := r.finish()
	r.steady(rep)
}
