package node

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"sync"

	"example.com/chat/internal/admission"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/protocol"
)

// members are the nodes of the cluster as clients and other nodes reach them.
type members struct {
	self cluster.NodeInfo

	mu   sync.Mutex // guards the fields below
	live []cluster.NodeInfo
	// seen are all nodes that ever lived: the pages of a node that is gone connect to
	// this one.
	seen map[string]cluster.NodeInfo
}

// maxSeen bounds seen.
const maxSeen = 1000

func (m *members) set(live []cluster.NodeInfo) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.live = live
	for _, n := range live {
		if m.seen == nil || len(m.seen) > maxSeen {
			m.seen = make(map[string]cluster.NodeInfo)
		}
		m.seen[n.URL+" "+strconv.Itoa(n.Port)] = n
	}
}

// find returns the host:port at which the live node with a tag accepts relayed
// requests.
func (m *members) find(tag string) (addr string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.live {
		if n.Tag == tag && tag != "" && n.Peer != "" {
			return n.Peer, true
		}
	}
	return "", false
}

// others returns the other live nodes.
func (m *members) others() []cluster.NodeInfo {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.live), func(n cluster.NodeInfo) bool { return n.ID == m.self.ID })
}

// list returns the live nodes, this one first, with their URLs for a client that
// reached this node by origin.
func (m *members) list(origin string) []protocol.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]protocol.Node, 1, len(m.live)+1)
	list[0] = protocol.Node{ID: m.self.ID, URL: nodeURL(m.self, origin)}
	for i, n := range m.live { // sorted by their ids; of two with one id the first counts
		if n.ID != m.self.ID && (i == 0 || m.live[i-1].ID != n.ID) {
			list = append(list, protocol.Node{ID: n.ID, URL: nodeURL(n, origin)})
		}
	}
	return list
}

// nodeURL returns the node's URL for a client that reached this node by origin: the
// URL that the node advertises; behind a load balancer, the origin; else the origin's
// scheme and host name with the node's port.
func nodeURL(n cluster.NodeInfo, origin string) string {
	switch n.URL {
	case "none":
		return origin
	case "":
		u, err := url.Parse(origin)
		if err != nil {
			return origin
		}
		return u.Scheme + "://" + net.JoinHostPort(u.Hostname(), strconv.Itoa(n.Port))
	}
	return n.URL
}

// URL returns where a person on this machine reaches the node that listens on the
// given host.
func (n *Node) URL(host string) string {
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	self := n.members.self
	if self.URL == "none" {
		self.URL = ""
	}
	return nodeURL(self, "http://"+net.JoinHostPort(host, strconv.Itoa(self.Port)))
}

// knows reports whether a node of the cluster served a page, for a client that
// reached this node by origin.
func (m *members) knows(page *url.URL, origin string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.seen {
		if admission.SameOrigin(page, nodeURL(n, origin)) {
			return true
		}
	}
	return false
}
