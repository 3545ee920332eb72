// Package relay lets the nodes of a cluster pass requests on to each other: one
// that reached a node, but belongs to a session which another holds, goes to its
// owner, and the answer back, be it a poll's or a whole WebSocket.
//
// What is passed on is sealed with a key that only the cluster's nodes have, and
// is taken once: by the owner, which never passes it on again. The owner may
// therefore believe what it says of the client.
package relay

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// Config says who a node is, and how it finds the others.
type Config struct {
	// Tag is the node's in the ids of its sessions; see NewTag.
	Tag string
	// Secret is what the nodes share.
	Secret []byte
	// Find returns the address of the live node with a tag.
	Find func(tag string) (addr string, ok bool)
	// Longest is how long the owner may take to answer.
	Longest time.Duration
	// Path is where nodes take what is passed on, and LetGoPath where they are
	// told to let a poll go, whose session is in "sid".
	Path, LetGoPath string
	// Log takes what an operator should know.
	Log *slog.Logger
}

// RestWithin is how long a connection to another node may rest between two requests.
// Servers must keep it longer, so that none is used in the moment of its end.
const RestWithin = 30 * time.Second

// Timings and sizes of the connections to other nodes.
const (
	dialWithin = 2 * time.Second
	restMost   = 64 // for each node
	// letGoWithin bounds how long owners are asked to let polls go.
	letGoWithin = time.Second
	copyBytes   = 8 << 10
)

// Relay is one node's side of it.
type Relay struct {
	cfg   Config
	key   []byte
	proxy *httputil.ReverseProxy
	count atomic.Uint64 // numbers what is passed on

	passed, failed, refused atomic.Int64

	windows windows

	mu     sync.Mutex // guards the fields below
	closed bool
	open   map[*forward]struct{}
	ended  sync.WaitGroup
}

// Stats are what a Relay counted.
type Stats struct {
	// Open are the requests that are being passed on now, Passed all of them so
	// far, and Failed those that their owner did not answer.
	Open           int
	Passed, Failed int64
	// Refused came to this node without the seal.
	Refused int64
}

// forward is one request on its way to its owner.
type forward struct {
	tag, addr string
	sid       string // of a poll, "" for anything else
	upgrade   bool
	cancel    context.CancelFunc
	failed    bool // nothing was answered
}

// forwardKey is the context's for a forward.
type forwardKey struct{}

// tagBytes is enough that no two nodes of a cluster ever have one tag.
const tagBytes = 9

// sealRefused stands in the answer to a request whose seal does not hold: who
// passed it on takes it for no answer, as of a node that is gone.
const sealRefused = "refused"

var errRefused = errors.New("the node at the owner's address is another one")

// NewTag makes the tag of a node that starts. It says nothing about the node.
func NewTag() string {
	var b [tagBytes]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// New makes a Relay; Close ends it.
func New(cfg Config) (*Relay, error) {
	key, err := hkdf.Key(sha256.New, cfg.Secret, nil, "chat: requests between nodes", sha256.Size)
	if err != nil {
		return nil, err
	}
	p := &Relay{cfg: cfg, key: key, open: make(map[*forward]struct{})}
	p.proxy = &httputil.ReverseProxy{
		Rewrite: p.rewrite,
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: dialWithin}).DialContext,
			MaxIdleConnsPerHost:   restMost,
			IdleConnTimeout:       RestWithin,
			ResponseHeaderTimeout: cfg.Longest,
			DisableCompression:    true,
		},
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) {
			f, _ := r.Context().Value(forwardKey{}).(*forward)
			f.failed = true
			cfg.Log.Debug("a request could not be passed on", "error", err)
		},
		ModifyResponse: func(answer *http.Response) error {
			if answer.Header.Get(sealHeader) == sealRefused {
				return errRefused // a node that started anew at the owner's address
			}
			return nil
		},
		BufferPool: &buffers{},
		ErrorLog:   slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	return p, nil
}

// Forward passes a request on to the node with the tag, and its answer back. Its
// RemoteAddr, Host and URL.Scheme are the client's, and arrive as such. It
// returns false where there is no such node, or it did not answer: then nothing
// was written.
func (p *Relay) Forward(tag string, w http.ResponseWriter, r *http.Request) bool {
	addr, ok := p.cfg.Find(tag)
	if !ok {
		return false
	}
	if websocket.IsWebSocketUpgrade(r) && r.Method == http.MethodGet && r.ContentLength == 0 {
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context())) // it outlives the request
		f := &forward{tag: tag, addr: addr, cancel: cancel, upgrade: true}
		if !p.begin(f) {
			cancel()
			return false
		}
		p.passed.Add(1)
		ok := p.tunnel(ctx, f, w, r, func() {
			cancel()
			p.end(f)
		})
		if !ok {
			p.failed.Add(1)
		}
		return ok
	}
	return p.forward(tag, addr, w, r)
}

// forward passes on a request that is answered and done.
func (p *Relay) forward(tag, addr string, w http.ResponseWriter, r *http.Request) bool {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	f := &forward{tag: tag, addr: addr, cancel: cancel}
	if r.Method == http.MethodGet {
		f.sid = r.URL.Query().Get("sid")
	}
	if !p.begin(f) {
		return false
	}
	defer p.end(f)
	// The server's own deadlines are for requests that are answered at once.
	control, until := http.NewResponseController(w), time.Now().Add(p.cfg.Longest)
	_ = control.SetReadDeadline(until)
	_ = control.SetWriteDeadline(until)
	p.passed.Add(1)
	p.proxy.ServeHTTP(w, r.WithContext(context.WithValue(ctx, forwardKey{}, f)))
	if f.failed {
		p.failed.Add(1)
	}
	return !f.failed
}

// rewrite addresses a request to its owner (httputil.ReverseProxy).
func (p *Relay) rewrite(r *httputil.ProxyRequest) {
	f, _ := r.In.Context().Value(forwardKey{}).(*forward)
	p.address(r.Out, f, r.In)
}

// address addresses what came in to its owner, and seals it.
func (p *Relay) address(out *http.Request, f *forward, in *http.Request) {
	out.URL.Scheme, out.URL.Host = "http", f.addr
	out.URL.Path, out.URL.RawPath = p.cfg.Path, ""
	out.Host = in.Host
	s := seal{from: p.cfg.Tag, number: p.count.Add(1), client: in.RemoteAddr, scheme: in.URL.Scheme}
	out.Header.Set(sealHeader, s.text(p.key, f.tag, out, out.URL.RequestURI()))
}

func (p *Relay) begin(f *forward) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.open[f] = struct{}{}
	p.ended.Add(1)
	return true
}

func (p *Relay) end(f *forward) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, f)
	p.ended.Done()
}

// Take wraps what serves the requests that other nodes pass on to this one. Any
// other request is refused with 403; those that are passed on come as from their
// client.
func (p *Relay) Take(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, ok := parseSeal(r.Header.Get(sealHeader))
		if !ok || !s.holds(p.key, p.cfg.Tag, r) || !p.windows.fresh(s.from, s.number) {
			p.refused.Add(1)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set(sealHeader, sealRefused)
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"error":{"code":"forbidden","message":"this is for the cluster's own nodes"}}` + "\n"))
			return
		}
		r.Header.Del(sealHeader)
		r.RemoteAddr, r.URL.Scheme = s.client, s.scheme
		next.ServeHTTP(w, r)
	})
}

// Stats returns the counts so far.
func (p *Relay) Stats() Stats {
	p.mu.Lock()
	open := len(p.open)
	p.mu.Unlock()
	return Stats{Open: open, Passed: p.passed.Load(), Failed: p.failed.Load(), Refused: p.refused.Load()}
}

// Breaks returns what breaks off each WebSocket that is being passed on.
func (p *Relay) Breaks() []func() {
	var all []func()
	for _, f := range p.all() {
		if f.upgrade {
			all = append(all, f.cancel)
		}
	}
	return all
}

func (p *Relay) all() []*forward {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.open))
}

// LetGo has the owners answer the polls that are being passed on, so that none is
// broken off when this node ends: a client would take that for the end of its
// session. It returns when all owners were asked, at most after letGoWithin.
func (p *Relay) LetGo() {
	ctx, cancel := context.WithTimeout(context.Background(), letGoWithin)
	defer cancel()
	var asking sync.WaitGroup
	tickets := make(chan struct{}, restMost)
	for _, f := range p.all() {
		if f.sid == "" {
			continue
		}
		tickets <- struct{}{}
		asking.Go(func() { // ends with ctx; waited for below
			defer func() { <-tickets }()
			p.letGo(ctx, f)
		})
	}
	asking.Wait()
}

// letGo asks the owner of one poll; who does not answer needs no more of it.
func (p *Relay) letGo(ctx context.Context, f *forward) {
	uri := p.cfg.LetGoPath + "?sid=" + url.QueryEscape(f.sid)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+f.addr+uri, nil)
	if err != nil {
		return
	}
	s := seal{from: p.cfg.Tag, number: p.count.Add(1)}
	r.Header.Set(sealHeader, s.text(p.key, f.tag, r, uri))
	if answer, err := p.proxy.Transport.RoundTrip(r); err == nil {
		_ = answer.Body.Close()
	}
}

// Close breaks off what is being passed on, and waits for its end. Nothing is
// passed on after it.
func (p *Relay) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for _, f := range p.all() {
		f.cancel()
	}
	p.ended.Wait()
	p.proxy.Transport.(*http.Transport).CloseIdleConnections()
}

// buffers are for copying answers.
type buffers struct{ pool sync.Pool }

// Get takes one (httputil.BufferPool).
func (b *buffers) Get() []byte {
	if v, ok := b.pool.Get().(*[copyBytes]byte); ok {
		return v[:]
	}
	return make([]byte, copyBytes)
}

// Put gives one back (httputil.BufferPool).
func (b *buffers) Put(v []byte) { b.pool.Put((*[copyBytes]byte)(v)) }
