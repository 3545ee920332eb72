package engineio

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gorilla/websocket"
)

// Refusals that clients know, by their code.
const (
	codeTransport = 0
	codeSession   = 1
	codeMethod    = 2
	codeRequest   = 3
	codeForbidden = 4
	codeVersion   = 5
)

var refusals = [...]string{
	codeTransport: "Transport unknown",
	codeSession:   "Session ID unknown",
	codeMethod:    "Bad handshake method",
	codeRequest:   "Bad request",
	codeForbidden: "Forbidden",
	codeVersion:   "Unsupported protocol version",
}

// version is the revision of the protocol.
const version = "4"

// refuse answers with a code, in the form of the official server.
func refuse(w http.ResponseWriter, code int) {
	status := http.StatusBadRequest
	if code == codeForbidden {
		status = http.StatusForbidden
	}
	answer(w, status, refusal(code, refusals[code]))
}

func refusal(code int, message string) string {
	return `{"code":` + strconv.Itoa(code) + `,"message":"` + message + `"}`
}

func answer(w http.ResponseWriter, status int, body string) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

// ServeHTTP serves one request of a client, whatever its path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.serve(w, r, s.cfg.Elsewhere) }

// ServeOwn is ServeHTTP for requests that another owner has relayed: it never calls
// Elsewhere.
func (s *Server) ServeOwn(w http.ResponseWriter, r *http.Request) { s.serve(w, r, nil) }

func (s *Server) serve(w http.ResponseWriter, r *http.Request, elsewhere func(string, http.ResponseWriter, *http.Request) bool) {
	if s.cfg.Allow != nil && !s.cfg.Allow(r) {
		refuse(w, codeForbidden)
		return
	}
	if r.Method == http.MethodOptions {
		s.preflight(w, r)
		return
	}
	query := r.URL.Query()
	upgrade := websocket.IsWebSocketUpgrade(r)
	transport := query.Get("transport")
	// JSONP, which "j" asks for, bypasses CORS, and no client needs it any more.
	known := (transport == "polling" || transport == "websocket") && !query.Has("j")
	id := query.Get("sid")
	if known && id != "" && elsewhere != nil && ownerOf(id) != s.cfg.Owner && elsewhere(ownerOf(id), w, r) {
		return
	}
	s.cors(w, r)
	switch {
	case !known:
		refuse(w, codeTransport)
	case upgrade && transport == "polling":
		refuse(w, codeRequest)
	case id != "":
		s.serveSession(w, r, id, transport, upgrade)
	case r.Method != http.MethodGet:
		refuse(w, codeMethod)
	case transport == "websocket" && !upgrade:
		refuse(w, codeRequest)
	case query.Get("EIO") != version:
		refuse(w, codeVersion)
	default:
		s.handshake(w, r, upgrade)
	}
}

// serveSession serves a request that names a session.
func (s *Server) serveSession(w http.ResponseWriter, r *http.Request, id, transport string, upgrade bool) {
	session := s.find(id)
	if session == nil || session.expired() {
		refuse(w, codeSession)
		return
	}
	switch {
	case upgrade:
		session.upgrade.serve(w, r)
	case transport != "polling" || session.upgraded():
		refuse(w, codeRequest)
	case r.Method == http.MethodGet:
		session.polls.serve(w, r)
	case r.Method == http.MethodPost:
		session.posts.serve(w, r)
	default:
		refuse(w, codeRequest)
	}
}

// handshake opens a session.
func (s *Server) handshake(w http.ResponseWriter, r *http.Request, upgrade bool) {
	if !s.reserve() {
		w.Header().Set("Retry-After", "1")
		answer(w, http.StatusServiceUnavailable, refusal(codeRequest, "Too many sessions"))
		return
	}
	var admitted any
	if s.cfg.Admit != nil {
		var ok bool
		if admitted, ok = s.cfg.Admit(w, r); !ok {
			s.release()
			return
		}
	}
	var ok bool
	if upgrade {
		ok = s.openWebSocket(w, r, admitted)
	} else {
		ok = s.openPolling(w, r, admitted)
	}
	if !ok && s.cfg.Abandon != nil {
		s.cfg.Abandon(admitted)
	}
}

// cors lets the page that sent the request read the answer; its origin was checked
// before.
func (s *Server) cors(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if s.cfg.AnyOrigin {
		h.Set("Access-Control-Allow-Origin", "*")
		return
	}
	h.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// preflightAge is for how many seconds a browser may cache the answer to OPTIONS.
const preflightAge = "600"

// preflight answers the request that a browser sends before one with headers or methods
// that no form has.
func (s *Server) preflight(w http.ResponseWriter, r *http.Request) {
	s.cors(w, r)
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Add("Vary", "Access-Control-Request-Headers")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", preflightAge)
	w.WriteHeader(http.StatusNoContent)
}

// hello is the data of the open packet.
func (s *Server) hello(id string, polling bool) []byte {
	upgrades := ""
	if polling {
		upgrades = `"websocket"`
	}
	var b strings.Builder
	b.WriteString(`{"sid":"` + id + `","upgrades":[` + upgrades + `],"pingInterval":`)
	b.WriteString(strconv.FormatInt(s.cfg.PingInterval.Milliseconds(), 10))
	b.WriteString(`,"pingTimeout":` + strconv.FormatInt(s.cfg.PingTimeout.Milliseconds(), 10))
	b.WriteString(`,"maxPayload":` + strconv.FormatInt(s.cfg.MaxPayload, 10) + `}`)
	return []byte(b.String())
}
