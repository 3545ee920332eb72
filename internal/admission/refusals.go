package admission

import (
	"net/http"
	"sync"
	"time"
)

// Reason is why a request was refused. There are few, so they may be the label of a
// metric.
type Reason int

// The reasons.
const (
	// ReasonOrigin is a page whose origin may not connect.
	ReasonOrigin Reason = iota
	// ReasonHost is a Host that is not one of the node's.
	ReasonHost
	// ReasonUpgrade is a request for a WebSocket without its Upgrade headers.
	ReasonUpgrade
	reasons
)

// warnEvery is the least interval between two warnings of a reason.
const warnEvery = time.Minute

// maxShown bounds a header in a warning, in bytes.
const maxShown = 200

// warnings are the messages of the reasons.
var warnings = [reasons]string{
	ReasonOrigin:  "refused a page's origin: if it is yours, name it with --origin; if it is this node's own, have the proxy keep the Host header with its port (docs/operations.md)",
	ReasonHost:    "refused a Host: if it is a name of this node, give it with --host",
	ReasonUpgrade: "refused a WebSocket without an Upgrade line: a proxy has to pass Upgrade and Connection on (docs/operations.md)",
}

// refusals are the counts, and the times of the last warnings.
type refusals struct {
	mu     sync.Mutex // guards the fields below
	counts [reasons]int64
	logged [reasons]time.Time
	silent [reasons]int64 // since then
}

// Refused counts a refusal, and logs it unless the same reason was logged in the last
// minute. The log escapes what the client sent.
func (p *Policy) Refused(r *http.Request, why Reason) {
	now := time.Now()
	f := &p.refusals
	f.mu.Lock()
	f.counts[why]++
	if last := f.logged[why]; !last.IsZero() && now.Sub(last) < warnEvery {
		f.silent[why]++
		f.mu.Unlock()
		return
	}
	unlogged := f.silent[why]
	f.logged[why], f.silent[why] = now, 0
	f.mu.Unlock()
	p.cfg.Log.Warn(warnings[why], "origin", shown(r.Header.Get("Origin")), "host", shown(r.Host),
		"address", r.RemoteAddr, "path", shown(r.URL.Path), "more_since_last", unlogged)
}

func shown(text string) string { return text[:min(len(text), maxShown)] }

// Count returns how many requests were refused for a reason.
func (p *Policy) Count(why Reason) int64 {
	p.refusals.mu.Lock()
	defer p.refusals.mu.Unlock()
	return p.refusals.counts[why]
}
