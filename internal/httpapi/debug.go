package httpapi

import (
	"net/http"
	"net/http/pprof"
	"time"
)

// ProfileTimeout is how long an answer of the debug listener may take: a profile
// lasts as long as the request asks.
const ProfileTimeout = 2 * time.Minute

// DebugHandler returns the handler of the debug listener, which serves operators:
// metrics, the state of the cluster and Go's profiles.
func (a *API) DebugHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", a.cfg.Metrics)
	pages := a.pages()
	mux.Handle("/cluster", pages)
	mux.Handle("/assets/", pages)
	mux.HandleFunc("/api/nodes", get(a.serveNodeReports))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not shown: a command line may hold secrets", http.StatusForbidden)
	})
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return a.cfg.Transports.cfg.Policy.Guard(noStore(mux))
}
