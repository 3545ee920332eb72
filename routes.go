package main

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gorilla/websocket"

	"example.com/chat/internal/admission"
	"example.com/chat/internal/cli"
	"example.com/chat/internal/identity"
	"example.com/chat/internal/protocol"
	"example.com/chat/web"
)

// apiTimeout bounds what one request under /api waits for Redis.
const apiTimeout = 4 * time.Second

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", s.serveWS)
	mux.Handle(socketIOPath, s.io)
	mux.Handle(socketIOBare, s.io)
	mux.Handle(peerPath, s.relay.Take(http.HandlerFunc(s.io.ServeOwn)))
	mux.Handle(letGoPath, s.relay.Take(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.io.LetGo(r.URL.Query().Get("sid"))
	})))
	mux.HandleFunc("/healthz", get(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]bool{"ok": true})
	}))
	mux.HandleFunc("/readyz", get(s.serveReady))
	mux.HandleFunc("/metrics", get(s.metricsHandler().ServeHTTP))
	mux.HandleFunc("/api/rooms", s.shared(get(s.api(s.serveRooms))))
	mux.HandleFunc("/api/rooms/{room}/messages", s.shared(get(s.api(s.serveMessages))))
	mux.HandleFunc("/api/nodes", s.shared(get(s.api(s.serveNodes))))
	mux.HandleFunc("/api/trace", s.shared(get(s.api(s.serveTrace))))
	mux.HandleFunc("/api/", s.shared(func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, protocol.Errorf(protocol.CodeNotFound, "there is nothing at this address"))
	}))
	mux.HandleFunc("OPTIONS /{$}", s.serveCheck)
	s.demo.routes(mux)
	pages := s.pages()
	if s.opts.UI == cli.UIDemo {
		mux.Handle("/cluster", pages) // else the mux would lead to what is below it
	} else { // operators have it on the debug listener
		mux.HandleFunc("/cluster", func(w http.ResponseWriter, _ *http.Request) {
			writeError(w, protocol.Errorf(protocol.CodeNotFound, "there is nothing at this address"))
		})
	}
	mux.Handle("/", pages)
	return noStore(mux)
}

// noStore tells caches to keep no answer (RFC 9111 section 5.2.2.5), but for those
// that say otherwise themselves, as files do: shared caches keep JSON without it.
func noStore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (s *server) pages() http.Handler {
	return web.Handler(web.Access{UI: s.opts.UI, Allowed: s.policy.Allowed, Framers: framers(s.opts.Origins), Control: s.demo.token})
}

// get lets GET and HEAD through.
func get(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			writeBody(w, http.StatusMethodNotAllowed, errorBody(protocol.Errorf(protocol.CodeNotFound, "only GET is answered here")))
			return
		}
		next(w, r)
	}
}

func (s *server) serveWS(w http.ResponseWriter, r *http.Request) {
	if !s.admitOrigin(r) {
		writeError(w, protocol.Errorf(protocol.CodeForbidden, "pages of this origin may not connect: see --origin"))
		return
	}
	slot := s.acquire(w, r)
	if slot == nil {
		return
	}
	if !websocket.IsWebSocketUpgrade(r) {
		slot.Release()
		writeError(w, protocol.Errorf(protocol.CodeBadField,
			"this is the address of a WebSocket, and the request has no Upgrade line: a proxy in between has to pass it on"))
		return
	}
	if s.connections() >= s.maxConns {
		slot.Release()
		s.ws.Refuse(w, r, protocol.CloseFull, "this node is full")
		return
	}
	_ = s.ws.Serve(w, r, admission.Origin(r), slot) // it has answered by itself
}

// admitOrigin reports whether a page of a request's origin may connect. A refusal is
// counted and logged.
func (s *server) admitOrigin(r *http.Request) bool {
	ok := s.policy.Allowed(r)
	if !ok {
		s.policy.Refused(r, admission.ReasonOrigin)
	}
	return ok
}

// framer is an origin that may stand in a Content-Security-Policy as it is
// (https://www.w3.org/TR/CSP3/#grammardef-host-source): no address of IPv6, and no
// underscore.
var framer = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://[A-Za-z0-9.-]+(:[0-9]+)?$`)

// framers are the origins whose pages may show the chat in a frame.
func framers(origins []string) []string {
	var list []string
	for _, origin := range origins {
		if origin == "*" || framer.MatchString(origin) {
			list = append(list, origin)
		}
	}
	return list
}

// readiness is the answer of /readyz.
type readiness struct {
	Ready bool `json:"ready"`
	// Allowed is whether a page of the request's origin (or that of ?origin=) may
	// connect.
	Allowed bool           `json:"allowed"`
	Error   jsontext.Value `json:"error,omitzero"`
	Probe   probeReport    `json:"probe"`
	// Warnings are what an operator should mend, although the node takes users.
	Warnings []string `json:"warnings,omitzero"`
}

// probeReport is how the node's own probe through Redis fares, in ms; null
// before one came back.
type probeReport struct {
	Age *int64   `json:"age_ms"`
	RTT *float64 `json:"rtt_ms"`
}

// serveReady tells whether the node takes users, and why not. With the reason
// comes how the probe fares, either way: a node that is ready with an old one
// is about to be so no longer.
//
// Pages of any origin may read the answer, so that they can tell a refusal from a
// node that is away; those that may not connect learn nothing else from it.
func (s *server) serveReady(w http.ResponseWriter, r *http.Request) {
	status, answer := http.StatusOK, readiness{Ready: true, Allowed: s.policy.MayConnect(r)}
	err := s.ready()
	w.Header().Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		if !s.policy.Allowed(r) {
			s.writeReadyOnly(w, err == nil)
			return
		}
	}
	if err != nil {
		e := protocol.Errorf(protocol.CodeUnavailable, "%s", firstLine(err))
		status, answer.Ready, answer.Error = protocol.Codes[e.Code].Status, false, jsontext.Value(e.Event().Body)
	}
	if p := s.broker.Probe(); p.Heard {
		age, rtt := p.Age.Milliseconds(), inMS(p.RTT)
		answer.Probe = probeReport{Age: &age, RTT: &rtt}
	}
	for _, w := range s.clusterWarnings() {
		answer.Warnings = append(answer.Warnings, w.text)
	}
	writeJSON(w, status, answer)
}

// serveCheck answers OPTIONS /, by which HAProxy's "option httpchk" asks how a server
// is: 204 while the node takes users, else 503.
func (s *server) serveCheck(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Allow", "GET, HEAD, OPTIONS")
	if s.ready() != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// writeReadyOnly answers a page that may not connect.
func (s *server) writeReadyOnly(w http.ResponseWriter, ready bool) {
	status := http.StatusOK
	if !ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, struct {
		Ready   bool `json:"ready"`
		Allowed bool `json:"allowed"`
	}{ready, false})
}

// shared lets pages of other origins read the answers (CORS), if they may
// connect to this node too: with a JWT, for which browsers ask first, but without
// cookies or such.
func (s *server) shared(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		if origin := r.Header.Get("Origin"); origin != "" && s.policy.Allowed(r) {
			h.Set("Access-Control-Allow-Origin", origin)
			if r.Method == http.MethodOptions {
				h.Set("Access-Control-Allow-Methods", "GET, HEAD")
				h.Set("Access-Control-Allow-Headers", "Authorization")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next(w, r)
	}
}

// api guards what applications read: where users must bring a JWT, so must
// they.
func (s *server) api(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if s.node.JWT != nil {
			token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			claims, err := s.node.JWT.Verify(token)
			if err != nil {
				writeError(w, protocol.Errorf(protocol.CodeUnauthorized, "bring a valid JWT: Authorization: Bearer …"))
				return
			}
			if name, bad := protocol.Room(r.PathValue("room")); r.PathValue("room") != "" && bad == nil && !claims.MayEnter(name) {
				writeError(w, protocol.Errorf(protocol.CodeForbidden, "the token does not let you into this room"))
				return
			}
			ctx = context.WithValue(ctx, claimsKey{}, claims)
		}
		ctx, cancel := context.WithTimeout(ctx, apiTimeout)
		defer cancel()
		next(w, r.WithContext(ctx))
	}
}

// claimsKey finds in a request's context the claims of its JWT.
type claimsKey struct{}

func (s *server) serveRooms(w http.ResponseWriter, r *http.Request) {
	list, err := s.broker.Rooms(r.Context(), r.URL.Query().Get("after"))
	if bad := (*protocol.Error)(nil); errors.As(err, &bad) {
		writeError(w, bad)
		return
	}
	if err != nil {
		s.writeUnavailable(w, err)
		return
	}
	if claims, ok := r.Context().Value(claimsKey{}).(identity.Claims); ok {
		list = list.Only(claims.MayEnter)
	}
	writeBody(w, http.StatusOK, list.Event().Body)
}

func (s *server) serveMessages(w http.ResponseWriter, r *http.Request) {
	name, bad := protocol.Room(r.PathValue("room"))
	if bad != nil {
		writeError(w, bad)
		return
	}
	before, limit, bad := page(r)
	if bad != nil {
		writeError(w, bad)
		return
	}
	var answer protocol.Event
	err := s.hub.History(r.Context(), name, before, limit, func(list []protocol.Entry, more bool) {
		answer = protocol.Histories(name, list, more)
	})
	if err != nil {
		s.writeUnavailable(w, err)
		return
	}
	writeBody(w, http.StatusOK, answer.Body)
}

// page reads ?before= and ?limit=, whose rules are those of history.
func page(r *http.Request) (before protocol.Cursor, limit int, bad *protocol.Error) {
	query := r.URL.Query()
	before, err := protocol.ParseCursor(query.Get("before"))
	if err != nil {
		return before, 0, protocol.Errorf(protocol.CodeBadField, "before must be the id of an entry, as 1764000000000-17")
	}
	limit = protocol.NewestCount
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > protocol.MaxHistory {
			return before, 0, protocol.Errorf(protocol.CodeBadField, "limit must be between 1 and %d", protocol.MaxHistory)
		}
		limit = n
	}
	return before, limit, nil
}

func (s *server) writeUnavailable(w http.ResponseWriter, err error) {
	s.log.Warn("a request could not be answered", "error", err)
	writeError(w, protocol.ErrUnavailable)
}

// writeError answers {"error":{"code","message"}} with the status of its code.
func writeError(w http.ResponseWriter, e *protocol.Error) {
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt((e.RetryAfter+999)/1000, 10))
	}
	writeBody(w, protocol.Codes[e.Code].Status, errorBody(e))
}

func errorBody(e *protocol.Error) []byte {
	body := append([]byte(`{"error":`), e.Event().Body...)
	return append(body, '}')
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, errorBody(protocol.Errorf(protocol.CodeInternal, "the answer can't be written"))
	}
	writeBody(w, status, body)
}

func writeBody(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client may be gone
}

// firstLine returns the first line of an error's text.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimSpace(line)
}
