// Package httpapi serves what a node answers over HTTP: health, metrics, the rooms'
// data for applications, the pages, and the requests that open the transports'
// connections.
package httpapi

import (
	"log/slog"
	"net/http"
	"regexp"

	"example.com/chat/internal/admission"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/room"
	"example.com/chat/internal/session"
	"example.com/chat/web"
)

// UIDemo is the value of Config.UI that shows the cluster to every user.
const UIDemo = "demo"

// Node is the state of the node that the routes report. Its methods may be called
// concurrently and do not block, except Rooms.
type Node interface {
	// Ready returns nil while the node accepts users, else the reason why not.
	Ready() error
	// Warnings returns what an operator should mend although the node accepts users.
	Warnings() []string
	// Probe returns the state of the node's own probe through Redis.
	Probe() cluster.Probe
	// Reports returns the status of the live nodes, this one first, with their URLs
	// for a client that reached this node by origin.
	Reports(origin string) []NodeReport
}

// Demo is what a node of a local cluster (--nodes) serves in addition.
type Demo interface {
	// Register adds its routes, below /cluster/.
	Register(mux *http.ServeMux)
	// Token returns the token with which the page that is asked for may control the
	// cluster; "" if it may not.
	Token(r *http.Request) string
}

// Config configures an API. All fields but Demo are required.
type Config struct {
	Node       Node
	Sessions   *session.Node
	Hub        *room.Hub
	Transports *Transports
	Metrics    http.Handler
	// UI is UIDemo, or anything else for a page that shows no nodes.
	UI string
	// Origins are those of --origin, whose pages may show the chat in a frame.
	Origins []string
	Demo    Demo
	Log     *slog.Logger
}

// API serves a node's routes.
type API struct{ cfg Config }

// New returns an API.
func New(cfg Config) *API { return &API{cfg} }

func (a *API) policy() *admission.Policy { return a.cfg.Transports.cfg.Policy }

// Handler returns the handler of the node's listener.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	a.cfg.Transports.Register(mux)
	mux.HandleFunc("/healthz", get(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]bool{"ok": true})
	}))
	mux.HandleFunc("/readyz", get(a.serveReady))
	mux.HandleFunc("/metrics", get(a.cfg.Metrics.ServeHTTP))
	mux.HandleFunc("/api/rooms", a.shared(get(a.authorized(a.serveRooms))))
	mux.HandleFunc("/api/rooms/{room}/messages", a.shared(get(a.authorized(a.serveMessages))))
	mux.HandleFunc("/api/nodes", a.shared(get(a.authorized(a.serveNodes))))
	mux.HandleFunc("/api/trace", a.shared(get(a.authorized(a.serveTrace))))
	mux.HandleFunc("/api/", a.shared(notFound))
	mux.HandleFunc("OPTIONS /{$}", a.serveCheck)
	mux.HandleFunc("/cluster/", demoNotFound)
	if a.cfg.Demo != nil {
		a.cfg.Demo.Register(mux)
	}
	pages := a.pages()
	if a.cfg.UI == UIDemo {
		mux.Handle("/cluster", pages) // else the mux would redirect to /cluster/
	} else { // operators have it on the debug listener
		mux.HandleFunc("/cluster", notFound)
	}
	mux.Handle("/", pages)
	return a.policy().Guard(noStore(mux))
}

// demoNotFound answers below /cluster/ where the demo has no route.
func demoNotFound(w http.ResponseWriter, _ *http.Request) {
	writeBody(w, http.StatusNotFound, []byte(`{"error":{"code":"not_found","message":"There is nothing at this address."}}`))
}

func (a *API) pages() http.Handler {
	access := web.Access{UI: a.cfg.UI, Allowed: a.policy().Allowed, Framers: framers(a.cfg.Origins)}
	if a.cfg.Demo != nil {
		access.Control = a.cfg.Demo.Token
	}
	return web.Handler(access)
}

// framer is an origin that may stand in a Content-Security-Policy as it is
// (https://www.w3.org/TR/CSP3/#grammardef-host-source): no address of IPv6, and no
// underscore.
var framer = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://[A-Za-z0-9.-]+(:[0-9]+)?$`)

// framers returns the origins whose pages may show the chat in a frame.
func framers(origins []string) []string {
	var list []string
	for _, origin := range origins {
		if origin == "*" || framer.MatchString(origin) {
			list = append(list, origin)
		}
	}
	return list
}
