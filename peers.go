package main

import (
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"example.com/chat/internal/admission"
	"example.com/chat/internal/cli"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
)

// peers are the cluster's nodes as clients reach them.
type peers struct {
	self redisbroker.NodeInfo

	mu   sync.Mutex // guards the fields below
	live []redisbroker.NodeInfo
	// seen are the nodes that ever lived: pages that came from one that is
	// gone go on at this one.
	seen map[string]redisbroker.NodeInfo
}

// maxSeen bounds the memory of nodes.
const maxSeen = 1000

func (p *peers) set(live []redisbroker.NodeInfo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live = live
	for _, n := range live {
		if p.seen == nil || len(p.seen) > maxSeen {
			p.seen = make(map[string]redisbroker.NodeInfo)
		}
		p.seen[n.URL+" "+strconv.Itoa(n.Port)] = n
	}
}

// find returns where the live node with a tag takes what is passed on to it.
func (p *peers) find(tag string) (addr string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.live {
		if n.Tag == tag && tag != "" && n.Peer != "" {
			return n.Peer, true
		}
	}
	return "", false
}

// others returns what the other live nodes say of themselves.
func (p *peers) others() []redisbroker.NodeInfo {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.live), func(n redisbroker.NodeInfo) bool { return n.ID == p.self.ID })
}

// list returns the live nodes, this one first, by the URLs that are good for a
// client that came by origin.
func (p *peers) list(origin string) []protocol.Node {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]protocol.Node, 1, len(p.live)+1)
	list[0] = protocol.Node{ID: p.self.ID, URL: nodeURL(p.self, origin)}
	for i, n := range p.live { // sorted by their ids; of two with one id the first counts
		if n.ID != p.self.ID && (i == 0 || p.live[i-1].ID != n.ID) {
			list = append(list, protocol.Node{ID: n.ID, URL: nodeURL(n, origin)})
		}
	}
	return list
}

// nodeURL is where a client that came by origin reaches the node: by the URL
// that it advertises; behind a load balancer, by the client's own; else by the
// scheme and host name by which the client came, and the node's port.
func nodeURL(n redisbroker.NodeInfo, origin string) string {
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

// shownURL is where a person on this machine reaches the node.
func (s *server) shownURL() string {
	host, _, err := net.SplitHostPort(s.opts.Addr)
	if err != nil || host == "" || net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	self := s.peers.self
	if self.URL == "none" {
		self.URL = ""
	}
	return nodeURL(self, "http://"+net.JoinHostPort(host, strconv.Itoa(self.Port)))
}

// knows reports whether a page of the given origin was served by a node of the
// cluster, as seen by a client that came to this one by another origin.
func (p *peers) knows(page *url.URL, origin string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.seen {
		if admission.SameOrigin(page, nodeURL(n, origin)) {
			return true
		}
	}
	return false
}

// newPolicy makes what judges requests' Host and Origin. known tells of pages that
// other nodes served.
func newPolicy(opts cli.NodeOptions, known func(page *url.URL, origin string) bool, log *slog.Logger) *admission.Policy {
	hosts := append(machineNames(), opts.Hosts...)
	for _, addr := range []string{opts.Addr, opts.DebugAddr, opts.PeerAddr} {
		if name, _, err := net.SplitHostPort(addr); err == nil && name != "" {
			hosts = append(hosts, name)
		}
	}
	if u, err := url.Parse(opts.Advertise); err == nil && u.Host != "" {
		hosts = append(hosts, u.Hostname())
	}
	return admission.NewPolicy(admission.PolicyConfig{
		Proxies: opts.TrustProxy, Hosts: hosts, Origins: opts.Origins, Known: known, Sealed: []string{peerPath, letGoPath}, Log: log,
	})
}

// machineNames are the names of this machine, by which others of its network ask
// for the node: the host name, its first label, and that under .local (RFC 6762).
// Whoever could lead one of them elsewhere already decides what names mean here.
func machineNames() []string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return nil // IP addresses and localhost are left
	}
	label, _, _ := strings.Cut(name, ".")
	return []string{name, label, label + ".local"}
}
