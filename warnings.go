package main

import (
	"crypto/sha256"
	"encoding/base64"
	"net"
	"os"
	"strings"
	"sync"

	"example.com/chat/internal/redisbroker"
)

// clusterWarning is what an operator has to mend: sessions of Socket.IO are not found
// by other nodes meanwhile, although every node takes users.
type clusterWarning struct {
	text string // for /readyz: no address stands in it
	peer string // of the other node, for the log
}

// warned are the warnings that are in the log.
type warned struct {
	mu    sync.Mutex // guards the field below
	texts map[string]bool
}

// clusterWarnings returns what is wrong with this node's place in the cluster, as its
// last beat found it; the same each time.
func (s *server) clusterWarnings() []clusterWarning {
	var all []clusterWarning
	if twins := s.broker.Twins(); len(twins) > 0 {
		all = append(all, clusterWarning{
			text: "another node has the id of this one, " + s.peers.self.ID + ": give each its own (--node-id), or clients don't learn of both",
			peer: twins[0].Peer,
		})
	}
	if other, ok := s.peers.misled(); ok {
		all = append(all, clusterWarning{
			text: "this node tells nodes on other machines to reach it at a loopback address: set --peer-addr to one that they reach, " +
				"or they don't find its Socket.IO sessions",
			peer: other.Peer,
		})
	}
	return all
}

// misled returns a node that can't reach this one by the address that this one says,
// since that is of the loopback, and the other node on another machine.
func (p *peers) misled() (other redisbroker.NodeInfo, ok bool) {
	if !isLoopback(p.self.Peer) {
		return other, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.live {
		if n.Tag == p.self.Tag || n.Peer == "" {
			continue
		}
		known := n.Machine != "" && p.self.Machine != ""
		if known && n.Machine != p.self.Machine || !known && !isLoopback(n.Peer) || n.Peer == p.self.Peer {
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

// warnOfCluster logs each warning when it arises, and once more when it does so again.
func (s *server) warnOfCluster() {
	all := s.clusterWarnings()
	s.warned.mu.Lock()
	before := s.warned.texts
	s.warned.texts = make(map[string]bool, len(all))
	for _, w := range all {
		s.warned.texts[w.text] = true
	}
	s.warned.mu.Unlock()
	for _, w := range all {
		if !before[w.text] {
			s.log.Warn(w.text, "node", s.peers.self.ID, "peer_addr", s.peers.self.Peer, "other", w.peer)
		}
	}
}

// machine names this machine for others, without saying anything of it: the host's
// name, its boot and its network, as containers and namespaces have one of their own.
func machine() string {
	name, _ := os.Hostname()
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // on Linux
	network, _ := os.Readlink("/proc/self/ns/net")
	sum := sha256.Sum256([]byte(name + "\n" + string(boot) + "\n" + network))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}
