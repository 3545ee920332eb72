package node

import (
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"

	"example.com/chat/internal/cluster"
)

// clusterWarning is what an operator has to mend: until then other nodes do not find
// sessions of Socket.IO, although every node accepts users.
type clusterWarning struct {
	text string // for /readyz, without any address
	peer string // of the other node, for the log
}

// warner logs each warning once.
type warner struct {
	mu     sync.Mutex // guards the field below
	logged map[string]bool
}

// clusterWarnings returns what is wrong with this node's place in the cluster, as its
// last heartbeat found it.
func (n *Node) clusterWarnings() []clusterWarning {
	var all []clusterWarning
	if twins := n.broker.Twins(); len(twins) > 0 {
		all = append(all, clusterWarning{
			text: "another node has the id of this one, " + n.members.self.ID + ": give each its own (--node-id), or clients don't learn of both",
			peer: twins[0].Peer,
		})
	}
	if other, ok := n.members.misled(); ok {
		all = append(all, clusterWarning{
			text: "this node tells nodes on other machines to reach it at a loopback address: set --peer-addr to one that they reach, " +
				"or they don't find its Socket.IO sessions",
			peer: other.Peer,
		})
	}
	return all
}

// misled returns a node that cannot reach this one at its peer address, which is a
// loopback address, because the other node is on another machine. Where a machine is
// unknown, one with the address of this node counts as another: two nodes of one machine
// have two. The lease of a node that crashed names the machine and address of the process
// that replaced it, for as long as it lasts, and is no reason to warn.
func (m *members) misled() (other cluster.NodeInfo, ok bool) {
	if !isLoopback(m.self.Peer) {
		return other, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.live {
		if n.Tag == m.self.Tag || n.Peer == "" {
			continue
		}
		other := n.Machine != m.self.Machine
		if n.Machine == "" || m.self.Machine == "" {
			other = !isLoopback(n.Peer) || n.Peer == m.self.Peer
		}
		if other {
			return n, true
		}
	}
	return other, false
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// Warnings returns what an operator should mend (httpapi.Node).
func (n *Node) Warnings() []string {
	var texts []string
	for _, w := range n.clusterWarnings() {
		texts = append(texts, w.text)
	}
	return texts
}

// log logs each of the present warnings that was not present at the last call.
func (w *warner) log(log *slog.Logger, present []clusterWarning, self cluster.NodeInfo) {
	for _, one := range w.news(present) {
		log.Warn(one.text, "node", self.ID, "peer_addr", self.Peer, "other", one.peer)
	}
}

func (w *warner) news(present []clusterWarning) []clusterWarning {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.logged
	w.logged = make(map[string]bool, len(present))
	for _, one := range present {
		w.logged[one.text] = true
	}
	return slices.DeleteFunc(present, func(one clusterWarning) bool { return before[one.text] })
}

// machine returns an opaque name of this machine: a hash of the host's name, its boot
// and its network, as containers and namespaces have one of their own.
func machine() string {
	name, _ := os.Hostname()
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // on Linux
	network, _ := os.Readlink("/proc/self/ns/net")
	sum := sha256.Sum256([]byte(name + "\n" + string(boot) + "\n" + network))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}
