package relay

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// sealHeader holds the seal of a request: the relaying node, the number of the request,
// the number of its first try if it is a repeat, or 0, the client's address and scheme,
// and their signature.
const sealHeader = "Chat-Peer"

// noScheme stands in a seal for an unknown scheme.
const noScheme = "-"

// seal is what a node certifies about a request that it relays.
type seal struct {
	from   string // the node's tag
	number uint64
	first  uint64 // the number of the first try; 0 if this is it
	client string // as in http.Request.RemoteAddr
	scheme string // of the client's URL; "" if unknown
	sum    string // the signature as received
}

// text returns the header that seals a request to the node with the tag.
func (s seal) text(key []byte, to string, r *http.Request, uri string) string {
	return strings.Join([]string{s.from, strconv.FormatUint(s.number, 10), strconv.FormatUint(s.first, 10), s.client, cmp.Or(s.scheme, noScheme), s.sign(key, to, r, uri)}, " ")
}

// sign signs all that the owner relies on; not the body, which the client sends to its
// own session.
func (s seal) sign(key []byte, to string, r *http.Request, uri string) string {
	mac := hmac.New(sha256.New, key)
	for _, part := range []string{
		s.from, strconv.FormatUint(s.number, 10), strconv.FormatUint(s.first, 10), s.client, s.scheme, to, r.Method, uri, r.Host,
		strings.Join(r.Header.Values("Origin"), "\n"),
	} {
		_, _ = io.WriteString(mac, strconv.Itoa(len(part))+":"+part) // writing to a hash never fails
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func parseSeal(text string) (seal, bool) {
	parts := strings.Split(text, " ")
	if len(parts) != 6 {
		return seal{}, false
	}
	number, err := strconv.ParseUint(parts[1], 10, 64)
	first, bad := strconv.ParseUint(parts[2], 10, 64)
	s := seal{from: parts[0], number: number, first: first, client: parts[3], scheme: parts[4], sum: parts[5]}
	if s.scheme == noScheme {
		s.scheme = ""
	}
	return s, err == nil && bad == nil
}

// holds reports whether a node of the cluster made the seal for this request to the
// node with the tag.
func (s seal) holds(key []byte, to string, r *http.Request) bool {
	return hmac.Equal([]byte(s.sum), []byte(s.sign(key, to, r, r.RequestURI)))
}

// A number is accepted once. Requests may overtake each other, so the newest windowSize
// numbers of each node are remembered, and older ones refused. This does not depend on
// clocks. A tag is used for one run of a node, so numbers do not repeat after a
// restart.
const (
	windowSize = 16 << 10
	maxWindows = 256 // nodes that are remembered
)

type window struct {
	newest uint64
	used   uint64 // when it was last used, in calls of windows.fresh
	seen   [windowSize / 64]uint64
}

// windows remember the numbers of each node.
type windows struct {
	mu     sync.Mutex // guards the fields below
	calls  uint64
	byNode map[string]*window
}

// fresh records a number that a node has signed, and reports whether it is new.
func (w *windows) fresh(from string, number uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	one := w.byNode[from]
	if one == nil {
		if w.byNode == nil {
			w.byNode = make(map[string]*window)
		}
		if len(w.byNode) >= maxWindows {
			w.forgetLocked()
		}
		one = &window{}
		w.byNode[from] = one
	}
	one.used = w.calls
	return one.take(number)
}

// forgetLocked forgets the node that has been quiet for longest.
func (w *windows) forgetLocked() {
	oldest := ""
	for tag, one := range w.byNode {
		if oldest == "" || one.used < w.byNode[oldest].used {
			oldest = tag
		}
	}
	delete(w.byNode, oldest)
}

func (w *window) take(n uint64) bool {
	if n == 0 || n+windowSize <= w.newest {
		return false
	}
	if n > w.newest {
		for i := w.newest + 1; i <= n && i <= w.newest+windowSize; i++ {
			w.seen[i%windowSize/64] &^= 1 << (i % 64)
		}
		w.newest = n
	}
	bit := uint64(1) << (n % 64)
	if w.seen[n%windowSize/64]&bit != 0 {
		return false
	}
	w.seen[n%windowSize/64] |= bit
	return true
}
