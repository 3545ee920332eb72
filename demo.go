package main

import (
	"errors"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/go-json-experiment/json"

	"example.com/chat/embed"
	"example.com/chat/internal/admission"
)

// demo is what a node of --nodes serves beside the chat: how the demo stands,
// and what may be done to it. Who only reads pages from elsewhere, from another
// machine or by a proxy, must not be able to do it: so a request has to come
// from this machine, for a name of it, and by a page of the demo, which alone
// has the token.
type demo struct {
	parent *embed.Remote
	node   int // this node's number
}

// maxOrder bounds what an order may say, in bytes.
const maxOrder = 4 << 10

// order is what a page asks to have done.
type order struct {
	Token  string       `json:"token"`
	Action embed.Action `json:"action"`
	Node   int          `json:"node"`
}

// routes serves the demo; d is nil outside of one, where there is nothing.
func (d *demo) routes(mux *http.ServeMux) {
	mux.HandleFunc("/cluster/", func(w http.ResponseWriter, _ *http.Request) {
		writeRefusal(w, &embed.Refusal{Status: http.StatusNotFound, Code: "not_found", Message: "There is nothing at this address."})
	})
	if d != nil {
		mux.HandleFunc("/cluster/state", d.serve(http.MethodGet, func(r *http.Request) (embed.State, error) {
			return d.parent.State(r.Context())
		}))
		mux.HandleFunc("/cluster/control", d.serve(http.MethodPost, d.control))
	}
}

// token is what the page that is asked for may know; "" for nothing.
func (d *demo) token(r *http.Request) string {
	if d == nil || d.refusal(r, false) != nil {
		return ""
	}
	return d.parent.Token()
}

// serve answers requests of one method, and preflights of the demo's pages
// (https://fetch.spec.whatwg.org/#cors-preflight-fetch).
func (d *demo) serve(method string, do func(*http.Request) (embed.State, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		preflight := r.Method == http.MethodOptions
		if no := d.refusal(r, method == http.MethodPost || preflight); no != nil {
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
			writeRefusal(w, &embed.Refusal{Status: http.StatusMethodNotAllowed, Code: "not_found", Message: "Only " + method + " is answered here."})
			return
		}
		state, err := do(r)
		var no *embed.Refusal
		switch {
		case errors.As(err, &no):
			writeRefusal(w, no)
		case err != nil:
			writeRefusal(w, &embed.Refusal{Status: http.StatusServiceUnavailable, Code: "unavailable", Message: "The demo does not answer."})
		default:
			d.writeState(w, r, state)
		}
	}
}

// writeState tells how the demo stands, with the nodes' URLs under the name by
// which the page itself came.
func (d *demo) writeState(w http.ResponseWriter, r *http.Request, state embed.State) {
	at := url.URL{Host: r.Host}
	for i, n := range state.Nodes {
		state.Nodes[i].URL = "http://" + net.JoinHostPort(at.Hostname(), d.parent.PortOf(n.Node))
	}
	writeJSON(w, http.StatusOK, state)
}

func (d *demo) control(r *http.Request) (embed.State, error) {
	bad := &embed.Refusal{Status: http.StatusBadRequest, Code: "bad_field", Message: "This order can't be read."}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return embed.State{}, bad
	}
	var o order
	if err := json.UnmarshalRead(http.MaxBytesReader(nil, r.Body, maxOrder), &o, json.RejectUnknownMembers(true)); err != nil {
		return embed.State{}, bad
	}
	if !d.parent.Knows(o.Token) {
		return embed.State{}, forbidden("This page is not the demo's, or is of an earlier one: load it anew.")
	}
	return d.parent.Do(r.Context(), embed.Order{Action: o.Action, Node: o.Node, Via: d.node})
}

func forbidden(message string) *embed.Refusal {
	return &embed.Refusal{Status: http.StatusForbidden, Code: "forbidden", Message: message}
}

// forwarding are the headers by which a proxy says for whom it asks.
var forwarding = []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "X-Forwarded-Host", "X-Forwarded-Proto", "Via"}

// refusal tells why a request may not have to do with the demo, nil where it may.
// Host is looked at because a foreign name may lead to this machine (DNS
// rebinding); a browser always gives the name that it was asked for.
func (d *demo) refusal(r *http.Request, needsOrigin bool) *embed.Refusal {
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !at.Addr().Unmap().IsLoopback() {
		return forbidden("The demo can be controlled from its own machine alone.")
	}
	for _, name := range forwarding {
		if len(r.Header.Values(name)) > 0 {
			return forbidden("The demo can't be controlled through a proxy.")
		}
	}
	if !d.isOwn("http://" + r.Host) {
		return forbidden("The demo can be controlled as localhost alone.")
	}
	switch origins := r.Header.Values("Origin"); {
	case len(origins) == 0 && needsOrigin,
		len(origins) > 1,
		len(origins) == 1 && !d.isOwn(origins[0]):
		return forbidden("Only the demo's own page can control it.")
	}
	return nil
}

// isOwn tells whether an origin is that of a node of the demo, as this machine
// knows it.
func (d *demo) isOwn(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || origin != u.Scheme+"://"+u.Host || u.Scheme != "http" || !d.parent.IsPort(admission.Port(u)) {
		return false
	}
	switch u.Hostname() {
	case "localhost", "127.0.0.1", "::1":
		return true
	}
	return false
}

// writeRefusal answers {"error":{"code","message"}}.
func writeRefusal(w http.ResponseWriter, no *embed.Refusal) {
	writeJSON(w, no.Status, struct {
		Error *embed.Refusal `json:"error"`
	}{no})
}

// newDemo is the demo of a child whose parent has controls; nil where it has none.
func newDemo(parent *embed.Remote, addr net.Addr) *demo {
	if parent == nil {
		return nil
	}
	_, text, _ := net.SplitHostPort(addr.String())
	own, _ := strconv.Atoi(text) // a listener's address ends in a number
	return &demo{parent, parent.NodeAt(own)}
}
