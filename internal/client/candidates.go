package client

import (
	"net"
	"net/url"
	"strings"

	"example.com/chat/internal/protocol"
)

// Candidates returns the URLs of nodes that a client with the given base URL may
// connect to, without duplicates and in the order of nodes. If base has TLS, URLs
// without TLS are left out, whatever the nodes announce: behind a proxy that ends TLS
// they may know only http, and the hello holds a token. A node that is announced at the
// address of base is replaced by base itself, with its path. Invalid URLs are left out.
func Candidates(base string, nodes []protocol.Node) []string {
	list := newCandidates(base, usesTLS(base))
	for _, n := range nodes {
		list.add(n.URL)
	}
	return list.urls
}

// candidates collects the URLs that a client may connect to.
type candidates struct {
	base  string // as the caller gave it
	tls   bool   // only URLs with TLS are added
	known map[string]bool
	urls  []string
}

func newCandidates(base string, tls bool) *candidates {
	return &candidates{base: base, tls: tls, known: make(map[string]bool)}
}

// add appends a URL, unless it may not be used or is there already.
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

// address returns scheme, host and port of a URL in a comparable form: http equals ws,
// and https equals wss.
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
