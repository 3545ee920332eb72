package demo

import (
	"errors"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/go-json-experiment/json"

	"example.com/chat/internal/admission"
)

// Pages is what a node of a local cluster serves in addition (httpapi.Demo): the state of
// the cluster, and its controls. A person who only reads pages from elsewhere, from
// another machine or through a proxy, must not control it. So a request must come from
// this machine, for one of its names, and from a page of the cluster, which alone has the
// token.
type Pages struct {
	parent *Remote
	node   int // this node's number
}

// pageOrder is an order of a page.
type pageOrder struct {
	Token  string `json:"token"`
	Action Action `json:"action"`
	Node   int    `json:"node"`
}

// Register adds the routes of the demo (httpapi.Demo).
func (p *Pages) Register(mux *http.ServeMux) {
	mux.HandleFunc("/cluster/state", p.serve(http.MethodGet, func(r *http.Request) (State, error) {
		return p.parent.State(r.Context())
	}))
	mux.HandleFunc("/cluster/control", p.serve(http.MethodPost, p.control))
}

// Token returns the token with which the page that is asked for may control the demo;
// "" if it may not (httpapi.Demo).
func (p *Pages) Token(r *http.Request) string {
	if p.refusal(r, false) != nil {
		return ""
	}
	return p.parent.Token()
}

// serve answers requests of one method, and preflights of the demo's pages
// (https://fetch.spec.whatwg.org/#cors-preflight-fetch).
func (p *Pages) serve(method string, do func(*http.Request) (State, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		preflight := r.Method == http.MethodOptions
		if no := p.refusal(r, method == http.MethodPost || preflight); no != nil {
			writeRefusal(w, no)
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" {
			h.Set("Access-Control-Allow-Origin", origin)
		}
		switch {
		case preflight:
			h.Set("Access-Control-Allow-Methods", method)
			h.Set("Access-Control-Allow-Headers", "Content-Type")
			w.WriteHeader(http.StatusNoContent)
			return
		case r.Method != method:
			h.Set("Allow", method+", OPTIONS")
			writeRefusal(w, &Refusal{Status: http.StatusMethodNotAllowed, Code: "not_found", Message: "Only " + method + " is answered here."})
			return
		}
		state, err := do(r)
		var no *Refusal
		switch {
		case errors.As(err, &no):
			writeRefusal(w, no)
		case err != nil:
			writeRefusal(w, &Refusal{Status: http.StatusServiceUnavailable, Code: "unavailable", Message: "The demo does not answer."})
		default:
			p.writeState(w, r, state)
		}
	}
}

// writeState answers the state of the cluster. The nodes' URLs have the host name of the
// page's own.
func (p *Pages) writeState(w http.ResponseWriter, r *http.Request, state State) {
	at := url.URL{Host: r.Host}
	for i, n := range state.Nodes {
		state.Nodes[i].URL = "http://" + net.JoinHostPort(at.Hostname(), p.parent.PortOf(n.Node))
	}
	writeJSON(w, http.StatusOK, state)
}

func (p *Pages) control(r *http.Request) (State, error) {
	bad := &Refusal{Status: http.StatusBadRequest, Code: "bad_field", Message: "This order can't be read."}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return State{}, bad
	}
	var o pageOrder
	if err := json.UnmarshalRead(http.MaxBytesReader(nil, r.Body, maxOrder), &o, json.RejectUnknownMembers(true)); err != nil {
		return State{}, bad
	}
	if !p.parent.Knows(o.Token) {
		return State{}, forbidden("This page is not the demo's, or is of an earlier one: load it anew.")
	}
	return p.parent.Do(r.Context(), Order{Action: o.Action, Node: o.Node, Via: p.node})
}

func forbidden(message string) *Refusal {
	return &Refusal{Status: http.StatusForbidden, Code: "forbidden", Message: message}
}

// refusal returns why a request may neither see nor control the cluster, nil if it may.
// It checks Host because a foreign name may resolve to this machine (DNS rebinding); a
// browser always sends the name that the page used.
func (p *Pages) refusal(r *http.Request, needsOrigin bool) *Refusal {
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !at.Addr().Unmap().IsLoopback() {
		return forbidden("The demo can be controlled from its own machine alone.")
	}
	if admission.Forwarded(r) {
		return forbidden("The demo can't be controlled through a proxy.")
	}
	if !p.isOwn("http://" + r.Host) {
		return forbidden("The demo can be controlled as localhost alone.")
	}
	switch origins := r.Header.Values("Origin"); {
	case len(origins) == 0 && needsOrigin,
		len(origins) > 1,
		len(origins) == 1 && !p.isOwn(origins[0]):
		return forbidden("Only the demo's own page can control it.")
	}
	return nil
}

// isOwn reports whether an origin is that of a node of the cluster, by a name of this
// machine.
func (p *Pages) isOwn(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || origin != u.Scheme+"://"+u.Host || u.Scheme != "http" || !p.parent.IsPort(admission.Port(u)) {
		return false
	}
	switch u.Hostname() {
	case "localhost", "127.0.0.1", "::1":
		return true
	}
	return false
}

// writeRefusal answers {"error":{"code","message"}}.
func writeRefusal(w http.ResponseWriter, no *Refusal) {
	writeJSON(w, no.Status, struct {
		Error *Refusal `json:"error"`
	}{no})
}

// NewPages returns the pages of a node that listens at addr and whose parent has
// controls.
func NewPages(parent *Remote, addr net.Addr) *Pages {
	_, text, _ := net.SplitHostPort(addr.String())
	own, _ := strconv.Atoi(text) // a listener's address ends in a number
	return &Pages{parent, parent.NodeAt(own)}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":{"code":"internal","message":"The answer can't be written."}}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client may be gone
}
