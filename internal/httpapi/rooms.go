package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"example.com/chat/internal/identity"
	"example.com/chat/internal/protocol"
)

// apiTimeout bounds how long one request under /api waits for Redis.
const apiTimeout = 4 * time.Second

// shared lets pages of other origins read the answers (CORS,
// https://fetch.spec.whatwg.org/#http-cors-protocol) if they may also connect to this
// node: with a JWT, which needs a preflight, and without cookies.
func (a *API) shared(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		if origin := r.Header.Get("Origin"); origin != "" && a.policy().Allowed(r) {
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

// authorized guards what applications read: if users need a JWT, so do requests.
func (a *API) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if jwt := a.cfg.Sessions.JWT; jwt != nil {
			token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			claims, err := jwt.Verify(token)
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

// claimsKey is the key of the JWT's claims in a request's context.
type claimsKey struct{}

func (a *API) serveRooms(w http.ResponseWriter, r *http.Request) {
	var claims *identity.Claims
	if c, ok := r.Context().Value(claimsKey{}).(identity.Claims); ok {
		claims = &c
	}
	list, err := a.cfg.Sessions.ListRooms(r.Context(), claims, r.URL.Query().Get("after"))
	if bad := (*protocol.Error)(nil); errors.As(err, &bad) {
		writeError(w, bad)
		return
	}
	if err != nil {
		a.writeUnavailable(w, err)
		return
	}
	writeBody(w, http.StatusOK, list.Event().Body)
}

func (a *API) serveMessages(w http.ResponseWriter, r *http.Request) {
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
	err := a.cfg.Hub.History(r.Context(), name, before, limit, func(list []protocol.Entry, more bool) {
		answer = protocol.Histories(name, list, more)
	})
	if err != nil {
		a.writeUnavailable(w, err)
		return
	}
	writeBody(w, http.StatusOK, answer.Body)
}

// page reads ?before= and ?limit=, whose rules are those of the command history.
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

func (a *API) writeUnavailable(w http.ResponseWriter, err error) {
	a.cfg.Log.Warn("a request could not be answered", "error", err)
	writeError(w, protocol.ErrUnavailable)
}
