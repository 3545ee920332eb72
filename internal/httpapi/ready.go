package httpapi

import (
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"example.com/chat/internal/protocol"
)

// readiness is the answer of /readyz.
type readiness struct {
	Ready bool `json:"ready"`
	// Allowed is whether a page of the request's origin (or that of ?origin=) may
	// connect.
	Allowed bool           `json:"allowed"`
	Error   jsontext.Value `json:"error,omitzero"`
	Probe   probeReport    `json:"probe"`
	// Warnings are what an operator should mend, although the node accepts users.
	Warnings []string `json:"warnings,omitzero"`
}

// probeReport is the state of the node's own probe through Redis, in ms; null before
// the first one returned.
type probeReport struct {
	Age *int64   `json:"age_ms"`
	RTT *float64 `json:"rtt_ms"`
}

// serveReady answers whether the node accepts users, and why not. The state of the
// probe comes with either answer: a node that is ready with an old probe will soon
// not be.
//
// Pages of any origin may read the answer, so that they can tell a refusal from a
// node that is down; pages that may not connect learn nothing else.
func (a *API) serveReady(w http.ResponseWriter, r *http.Request) {
	status, answer := http.StatusOK, readiness{Ready: true, Allowed: a.policy().MayConnect(r)}
	err := a.cfg.Node.Ready()
	w.Header().Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		if !a.policy().Allowed(r) {
			writeReadyOnly(w, err == nil)
			return
		}
	}
	if err != nil {
		e := protocol.Errorf(protocol.CodeUnavailable, "%s", firstLine(err))
		status, answer.Ready, answer.Error = protocol.Codes[e.Code].Status, false, jsontext.Value(e.Event().Body)
	}
	if p := a.cfg.Node.Probe(); p.Heard {
		age, rtt := p.Age.Milliseconds(), Milliseconds(p.RTT)
		answer.Probe = probeReport{Age: &age, RTT: &rtt}
	}
	answer.Warnings = a.cfg.Node.Warnings()
	writeJSON(w, status, answer)
}

// Milliseconds returns a duration in ms, with three decimals.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// serveCheck answers OPTIONS /, the request of HAProxy's "option httpchk": 204 while
// the node accepts users, else 503.
func (a *API) serveCheck(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Allow", "GET, HEAD, OPTIONS")
	if a.cfg.Node.Ready() != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// writeReadyOnly answers a page that may not connect.
func writeReadyOnly(w http.ResponseWriter, ready bool) {
	status := http.StatusOK
	if !ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, struct {
		Ready   bool `json:"ready"`
		Allowed bool `json:"allowed"`
	}{ready, false})
}
