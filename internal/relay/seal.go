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

// sealHeader holds the seal of a request: who passed it on, its number among all
// that it passed on, the number of its first try where it is sent once more, or 0,
// the client's address and scheme, and their signature.
const sealHeader = "Chat-Peer"

// noScheme stands in a seal for a scheme that is not known.
const noScheme = "-"

// seal is what a node says of a request that it passes on.
type seal struct {
	from   string // the node's tag
	number uint64
	first  uint64 // the number under which it was sent before; 0 where it was not
	client string // as in http.Request.RemoteAddr
	scheme string // by which the client came; "" where it is not known
	sum    string // as it came
}

// text seals a request to the node with the tag.
func (s seal) text(key []byte, to string, r *http.Request, uri string) string {
	return strings.Join([]string{s.from, strconv.FormatUint(s.number, 10), strconv.FormatUint(s.first, 10), s.client, cmp.Or(s.scheme, noScheme), s.sign(key, to, r, uri)}, " ")
}

// sign signs all that the owner goes by, but for what the client sends to its own
// session: the body.
func (s seal) sign(key []byte, to string, r *http.Request, uri string) string {
	mac := hmac.New(sha256.New, key)
	for _, part := range []string{
		s.from, strconv.FormatUint(s.number, 10), strconv.FormatUint(s.first, 10), s.client, s.scheme, to, r.Method, uri, r.Host,
		strings.Join(r.Header.Values("Origin"), "\n"),
	} {
		_, _ = io.WriteString(mac, strconv.Itoa(len(part))+":"+part) // a hash takes everything
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

// holds tells whether a node of the cluster has made the seal for this request to
// the node with the tag.
func (s seal) holds(key []byte, to string, r *http.Request) bool {
	return hmac.Equal([]byte(s.sum), []byte(s.sign(key, to, r, r.RequestURI)))
}

// A number is taken once. Requests overtake each other on their way, so the
// newest windowSize of each node are remembered, and older ones refused. This
// asks nothing of the nodes' clocks, which may be wrong. A tag is good for one
// run of a node, so no number comes again after a restart.
const (
	windowSize = 16 << 10
	maxWindows = 256 // nodes that are remembered
)

type window struct {
	newest uint64
	used   uint64 // when, in calls of windows.fresh
	seen   [windowSize / 64]uint64
}

// windows remember what came from each node.
type windows struct {
	mu     sync.Mutex // guards the fields below
	calls  uint64
	byNode map[string]*window
}

// fresh takes a number that a node has signed; false where it was taken before.
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

// forgetLocked forgets the node from which nothing has come for longest.
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
