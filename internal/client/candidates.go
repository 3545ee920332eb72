package client

import (
	"math/rand/v2"
	"net"
	"net/url"
	"strings"

	"example.com/chat/internal/protocol"
)

// Candidates returns the URLs of nodes at which a client that was given base may
// connect, in the order of nodes, each once. A client that was given a TLS URL
// never goes to one without TLS, whatever the nodes announce: behind a proxy that
// ends TLS they may know only http, and the hello holds a token. Where a node is
// announced at the address of base, base itself stands for it, with its path.
// What is no URL of a node is left out.
func Candidates(base string, nodes []protocol.Node) []string {
	list := newCandidates(base, usesTLS(base))
	for _, n := range nodes {
		list.add(n.URL)
	}
	return list.urls
}

// candidates collects the URLs at which a client may connect.
type candidates struct {
	base  string // as the user gave it
	tls   bool   // only URLs with TLS are taken
	known map[string]bool
	urls  []string
}

func newCandidates(base string, tls bool) *candidates {
	return &candidates{base: base, tls: tls, known: make(map[string]bool)}
}

// add adds a URL behind the others, unless it may not be used or is there.
func (c *candidates) add(u string) {
	if _, err := Endpoint(u); err != nil || c.tls && !usesTLS(u) {
		return
	}
	if address(u) == address(c.base) {
		u = c.base
	}
	if !c.known[u] {
		c.known[u] = true
		c.urls = append(c.urls, u)
	}
}

// usesTLS reports whether a node's URL is https or wss.
func usesTLS(base string) bool {
	u, err := url.Parse(base)
	return err == nil && (u.Scheme == "https" || u.Scheme == "wss")
}

// address is the host and port at which a URL is dialed, and whether with TLS:
// http and ws are alike, and so are https and wss.
func address(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	port, scheme := u.Port(), "http"
	if usesTLS(base) {
		scheme = "https"
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// candidates are the URLs to try in turn: the other nodes at random, so that a
// dead one's clients are shared among them, then the last one, then the URL
// that the user gave, behind which others may be. stay puts the last one first.
func (s *Session) candidates(stay bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := newCandidates(s.opts.URL, s.tls)
	if stay {
		list.add(s.node.URL)
	}
	for _, i := range rand.Perm(len(s.nodes)) {
		if s.nodes[i].ID != s.node.ID {
			list.add(s.nodes[i].URL)
		}
	}
	list.add(s.node.URL)
	for _, n := range s.nodes {
		list.add(n.URL)
	}
	list.add(s.opts.URL)
	if len(list.urls) == 0 {
		return []string{s.opts.URL} // which is no URL of a node, as Dial will say
	}
	return list.urls
}
