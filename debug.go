package main

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// profileWithin is how long an answer of the debug listener may take: a profile
// is taken for as long as it was asked for.
const profileWithin = 2 * time.Minute

// listenDebug takes the address of --debug-addr; nil where none was given. It
// warns of one that others can reach, for pprof shows memory, and costs time.
func listenDebug(addr string, log *slog.Logger) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	l, err := listen("--debug-addr", addr)
	if err != nil {
		return nil, err
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		log.Warn("other machines can reach the debug listener: give --debug-addr an address of 127.0.0.1, or guard it", "addr", l.Addr().String())
	}
	log.Info("debug listener", "metrics", "http://"+l.Addr().String()+"/metrics", "pprof", "http://"+l.Addr().String()+"/debug/pprof/")
	return l, nil
}

// debugServer serves what operators alone should see.
func (s *server) debugServer() *http.Server {
	mux := http.NewServeMux()
	mux.Handle("/metrics", s.metricsHandler())
	pages := s.pages()
	mux.Handle("/cluster", pages)
	mux.Handle("/assets/", pages)
	mux.HandleFunc("/api/nodes", get(s.serveNodeReports))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not shown: a command line may hold secrets", http.StatusForbidden)
	})
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return &http.Server{
		Handler:           s.policy.Guard(noStore(mux)),
		ReadHeaderTimeout: headerWithin,
		ReadTimeout:       answerWithin,
		WriteTimeout:      profileWithin,
		IdleTimeout:       idleWithin,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}
