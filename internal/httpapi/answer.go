package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"example.com/chat/internal/protocol"
)

// get calls next for GET and HEAD, and answers other methods with 405 and Allow (RFC 9110
// section 15.5.6). Its code, not_found, is the only one that has another status there: the
// protocol has no code for it.
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

// noStore forbids caches to store answers (RFC 9111 section 5.2.2.5), except those
// that set another Cache-Control, as files do: shared caches store JSON without it.
func noStore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	writeError(w, protocol.Errorf(protocol.CodeNotFound, "there is nothing at this address"))
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
