package main

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"example.com/chat/internal/broker"
	"example.com/chat/internal/protocol"
)

// peers are the cluster's nodes as clients reach them.
type peers struct {
	self broker.NodeInfo

	mu   sync.Mutex // guards the fields below
	live []broker.NodeInfo
	// seen are the nodes that ever lived: pages that came from one that is
	// gone go on at this one.
	seen map[string]broker.NodeInfo
}

// maxSeen bounds the memory of nodes.
const maxSeen = 1000

func (p *peers) set(live []broker.NodeInfo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live = live
	for _, n := range live {
		if p.seen == nil || len(p.seen) > maxSeen {
			p.seen = make(map[string]broker.NodeInfo)
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

// list returns the live nodes, this one first, by the URLs that are good for a
// client that came by origin.
func (p *peers) list(origin string) []protocol.Node {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]protocol.Node, 1, len(p.live)+1)
	list[0] = protocol.Node{ID: p.self.ID, URL: nodeURL(p.self, origin)}
	for _, n := range p.live {
		if n.ID != p.self.ID {
			list = append(list, protocol.Node{ID: n.ID, URL: nodeURL(n, origin)})
		}
	}
	return list
}

// nodeURL is where a client that came by origin reaches the node: by the URL
// that it advertises; behind a load balancer, by the client's own; else by the
// host name by which the client came, and the node's port.
func nodeURL(n broker.NodeInfo, origin string) string {
	switch n.URL {
	case "none":
		return origin
	case "":
		u, err := url.Parse(origin)
		if err != nil {
			return origin
		}
		return "http://" + net.JoinHostPort(u.Hostname(), strconv.Itoa(n.Port))
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
// cluster, as seen by a client that asks for host.
func (p *peers) knows(page *url.URL, host string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.seen {
		if sameOrigin(page, nodeURL(n, "http://"+host)) {
			return true
		}
	}
	return false
}

// requestOrigin is the origin by which a client came to this node.
func requestOrigin(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	u, err := url.Parse(scheme + "://" + r.Host)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Path != "" {
		return scheme + "://localhost"
	}
	return scheme + "://" + u.Host
}

// originAllowed decides whether a page may talk to this node. What sends no
// Origin is no browser (RFC 6454 section 7); a browser's page must be of this
// host, of a node of the cluster, or of an origin that the operator named.
func (s *server) originAllowed(r *http.Request) bool {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return true
	}
	if len(values) > 1 {
		return false
	}
	if s.anyOrigin() {
		return true
	}
	page, err := url.Parse(values[0])
	if err != nil || (page.Scheme != "http" && page.Scheme != "https") || page.Host == "" || page.User != nil ||
		page.Path != "" || page.RawQuery != "" || page.Fragment != "" {
		return false
	}
	for _, allowed := range s.opts.Origins {
		if sameOrigin(page, allowed) {
			return true
		}
	}
	// Behind a proxy that ends TLS the scheme by which the browser came is not
	// known here, so the page's own is taken.
	return sameOrigin(page, page.Scheme+"://"+r.Host) || s.peers.knows(page, r.Host)
}

// anyOrigin tells whether pages of all origins may connect.
func (s *server) anyOrigin() bool { return slices.Contains(s.opts.Origins, "*") }

// sameOrigin compares as browsers do (RFC 6454 section 5): scheme, host and
// port, which has its scheme's default.
func sameOrigin(page *url.URL, other string) bool {
	u, err := url.Parse(other)
	return err == nil && page.Scheme == u.Scheme && strings.EqualFold(page.Hostname(), u.Hostname()) && port(page) == port(u)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}
