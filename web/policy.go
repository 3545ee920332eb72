package web

import (
	"bytes"
	"net/http"
	"strings"
)

// Whom a page may talk to.
const (
	anyNode = "'self' ws: wss:" // the chat: any node of the cluster
	// anyNodeAsked is for the page of the cluster, which asks each node how it is
	// too.
	anyNodeAsked = anyNode + " http: https:"
)

// policy lets a page load what this package serves, talk to some and be framed by
// some, and nothing else: text of a message can't become script, whatever it is
// (https://www.w3.org/TR/CSP3/).
func policy(connect string, framers ...string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; manifest-src 'self'; " +
		"connect-src " + connect + "; base-uri 'none'; form-action 'none'; frame-ancestors " + strings.Join(framers, " ")
}

const policyHeader = "Content-Security-Policy"

// protect says what the page at a path may do.
func (s *site) protect(h http.Header, path string) {
	connect := anyNode
	if path == clusterPath {
		connect = anyNodeAsked
	}
	h.Set(policyHeader, policy(connect, append([]string{"'self'"}, s.access.Framers...)...))
}

// clusterPath is where the page of the cluster is.
const clusterPath = "/cluster"

// noControl is the place in that page for what controls a demo.
const noControl = `<meta name="control" content="">`

// serveControl serves the page of the cluster with what controls a demo, to those
// who may; false for others. Nobody keeps it, and nobody frames it: what is
// clicked there must have been meant.
func (s *site) serveControl(w http.ResponseWriter, r *http.Request, page *asset) bool {
	if s.access.Control == nil {
		return false
	}
	control := s.access.Control(r)
	if control == "" {
		return false
	}
	h := w.Header()
	h.Set(policyHeader, policy(anyNodeAsked, "'none'"))
	h.Set("Cross-Origin-Resource-Policy", "same-origin") // no other page's process may hold it either
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", page.contentType)
	if r.Method == http.MethodGet {
		with := strings.Replace(noControl, `""`, `"`+control+`"`, 1)
		_, _ = w.Write(bytes.Replace(page.plain, []byte(noControl), []byte(with), 1)) // the browser may be gone
	}
	return true
}
