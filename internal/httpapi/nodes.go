package httpapi

import (
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"example.com/chat/internal/admission"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// NodeReport is one node in the answer of /api/nodes: id and URL alone if its status
// is not known.
type NodeReport struct {
	ID  string `json:"id"`
	URL string `json:"url"`
	*cluster.Status
	// Seen is the age of the status, in ms.
	Seen *int64 `json:"seen_ms,omitzero"`
}

// serveNodes lists the live nodes. Their status is for operators, and for everyone in
// a demo.
func (a *API) serveNodes(w http.ResponseWriter, r *http.Request) {
	if a.cfg.UI != UIDemo && !fromThisMachine(r) {
		writeJSON(w, http.StatusOK, map[string][]protocol.Node{"nodes": a.cfg.Sessions.Cluster.NodesFor(admission.Origin(r))})
		return
	}
	a.serveNodeReports(w, r)
}

// fromThisMachine reports whether a request was made on this machine, for a loopback
// address, and not through a proxy.
func fromThisMachine(r *http.Request) bool {
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !at.Addr().Unmap().IsLoopback() || admission.Forwarded(r) {
		return false
	}
	host := (&url.URL{Host: r.Host}).Hostname()
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// serveNodeReports lists the live nodes with their status: this node's now, the
// others' of their last heartbeat. It asks no other node.
func (a *API) serveNodeReports(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Nodes []NodeReport `json:"nodes"`
	}{a.cfg.Node.Reports(admission.Origin(r))})
}

// traceReport holds the times of one entry's way through this node, in microseconds
// of its clock; a step that was not taken is missing.
type traceReport struct {
	Node        string `json:"node"`
	Now         int64  `json:"now"`
	Received    int64  `json:"received,omitzero"`
	AppendBegan int64  `json:"append_began,omitzero"`
	AppendEnded int64  `json:"append_ended,omitzero"`
	Heard       int64  `json:"heard,omitzero"`
	Handed      int64  `json:"handed,omitzero"`
}

// serveTrace answers the times of the entry with a key. It shows neither the entry
// nor its author.
func (a *API) serveTrace(w http.ResponseWriter, r *http.Request) {
	trace, ok := a.cfg.Hub.Trace(r.URL.Query().Get("key"))
	if !ok {
		writeError(w, protocol.Errorf(protocol.CodeNotFound, "nothing is known here of this key: those that begin with trace- are traced, the newest"))
		return
	}
	at := func(step room.Step) int64 {
		if trace[step].IsZero() {
			return 0
		}
		return trace[step].UnixMicro()
	}
	writeJSON(w, http.StatusOK, traceReport{
		Node: a.cfg.Sessions.ID, Now: time.Now().UnixMicro(),
		Received: at(room.Received), AppendBegan: at(room.AppendBegan), AppendEnded: at(room.AppendEnded),
		Heard: at(room.Heard), Handed: at(room.Delivered),
	})
}
