package admission

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/gorilla/websocket"
)

// PolicyConfig configures a Policy.
type PolicyConfig struct {
	// Proxies are the networks of the proxies whose forwarding headers are trusted.
	Proxies []netip.Prefix
	// Hosts are the names, without a port, that a Host header may have, besides IP
	// addresses, localhost, and the hosts of Origins.
	Hosts []string
	// Origins are those whose pages may connect, as "https://www.example.org"; "*" is
	// all of them.
	Origins []string
	// Known reports whether a page's origin is that of a node of the cluster, for a
	// client that reached this node by origin. It may be nil.
	Known func(page *url.URL, origin string) bool
	// Sealed are the paths at which other nodes relay requests of their clients.
	// Their handler authenticates them; Guard neither judges nor changes them.
	Sealed []string
	// Log gets a warning about refusals, once a minute for each reason. It may be
	// nil.
	Log *slog.Logger
}

// Policy judges the requests of one node. It may be used by any number of goroutines.
type Policy struct {
	cfg     PolicyConfig
	hosts   map[string]bool
	origins []*url.URL
	any     bool

	refusals refusals
}

// NewPolicy returns a Policy. It ignores origins that are no URLs: the command line's
// reader refuses them.
func NewPolicy(cfg PolicyConfig) *Policy {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Policy{cfg: cfg, hosts: make(map[string]bool)}
	for _, name := range cfg.Hosts {
		p.hosts[fold(name)] = true
	}
	for _, text := range cfg.Origins {
		if text == "*" {
			p.any = true
			continue
		}
		if u, err := url.Parse(text); err == nil {
			p.origins = append(p.origins, u)
			if isWeb(u.Scheme) {
				p.hosts[fold(u.Hostname())] = true
			}
		}
	}
	return p
}

// AnyOrigin reports whether pages of all origins may connect.
func (p *Policy) AnyOrigin() bool { return p.any }

// Trusted reports whether an address is that of a trusted proxy.
func (p *Policy) Trusted(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(p.cfg.Proxies, func(n netip.Prefix) bool { return n.Contains(a) })
}

// Guard wraps the handler of a listener. It answers 403 to a request whose Host is not a
// name of the node. All other requests reach next as the client made them: RemoteAddr,
// Host and URL.Scheme are those that trusted proxies reported. URL.Scheme is empty if the
// scheme is not known.
func (p *Policy) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(p.cfg.Sealed, r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		seen := p.resolve(r)
		// Both names are judged, the one that the proxy reported and that of the request
		// itself: a page with a foreign name that resolves to this machine could send
		// the header of a proxy on it.
		if !p.answersFor(r.Host) || !p.answersFor(seen.Host) {
			p.Refused(seen, ReasonHost)
			forbid(w)
			return
		}
		if lostUpgrade(seen) {
			p.Refused(seen, ReasonUpgrade)
		}
		next.ServeHTTP(w, seen)
	})
}

func forbid(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write([]byte(`{"error":{"code":"forbidden","message":"This node does not answer under the name in the Host header: ` +
		`ask for an IP address or localhost, or start the node with --host NAME."}}` + "\n"))
}

// lostUpgrade reports whether a request for a WebSocket lacks the headers Connection and
// Upgrade, as behind a proxy that does not forward them.
func lostUpgrade(r *http.Request) bool {
	if r.Method != http.MethodGet || websocket.IsWebSocketUpgrade(r) {
		return false
	}
	return r.URL.Path == "/ws" ||
		strings.HasPrefix(r.URL.Path, "/socket.io") && r.URL.Query().Get("transport") == "websocket"
}

// hostName matches the names that a Host header may have (RFC 9110 section 7.2): DNS
// names, and those of containers, which may contain underscores.
var hostName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,253}$`)

// answersFor reports whether a Host header has a name of the node. A request without one
// does not come from a browser (HTTP/1.0, health checks).
func (p *Policy) answersFor(host string) bool {
	if host == "" {
		return true
	}
	name, ok := splitHost(host)
	if !ok {
		return false
	}
	if a, err := netip.ParseAddr(name); err == nil {
		return a.Zone() == "" || hostName.MatchString(a.Zone())
	}
	if !hostName.MatchString(name) {
		return false
	}
	name = fold(name)
	// Browsers resolve localhost and all names below it to the loopback, without DNS
	// (RFC 6761 section 6.3).
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || p.hosts[name]
}

// splitHost removes the port from "name:port" or "[::1]:port".
func splitHost(host string) (name string, ok bool) {
	rest := ""
	if inside, found := strings.CutPrefix(host, "["); found {
		if name, rest, found = strings.Cut(inside, "]"); !found || !strings.Contains(name, ":") {
			return "", false
		}
	} else if i := strings.IndexByte(host, ':'); i >= 0 {
		name, rest = host[:i], host[i:]
	} else {
		name = host
	}
	if rest == "" {
		return name, true
	}
	digits, found := strings.CutPrefix(rest, ":")
	return name, found && strings.Trim(digits, "0123456789") == ""
}

// fold returns the form in which names are compared: DNS ignores case and a dot at the
// end.
func fold(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// Origin returns the origin by which the client of a request came, as
// "https://host:port". The request has passed Guard.
func Origin(r *http.Request) string {
	scheme := r.URL.Scheme
	if scheme == "" {
		scheme = "http"
		// If the page's origin is https with the same name, a proxy has ended TLS.
		if page, ok := parseOrigin(r.Header.Values("Origin")); ok && SameOrigin(page, "https://"+r.Host) {
			scheme = "https"
		}
	}
	if name, ok := splitHost(r.Host); !ok || name == "" {
		return scheme + "://localhost"
	}
	return scheme + "://" + r.Host
}

// Allowed reports whether the page that sent a request may use this node. A request
// without Origin does not come from a page (RFC 6454 section 7). A page's origin must be
// that of the request, that of a node of the cluster, or one that the operator named.
func (p *Policy) Allowed(r *http.Request) bool {
	return p.allows(r, r.Header.Values("Origin"))
}

// MayConnect reports whether the page that sent a request may also connect. Browsers send
// no Origin with a page's request to its own host, so the query may name it, as ?origin=.
func (p *Policy) MayConnect(r *http.Request) bool {
	if asked := r.URL.Query()["origin"]; len(asked) > 0 && len(r.Header.Values("Origin")) == 0 {
		return p.allows(r, asked)
	}
	return p.Allowed(r)
}

func (p *Policy) allows(r *http.Request, values []string) bool {
	switch len(values) {
	case 0:
		return true
	case 1:
	default:
		return false
	}
	if p.any {
		return true
	}
	page, ok := parseOrigin(values)
	if !ok {
		return false
	}
	for _, allowed := range p.origins {
		if sameOrigin(page, allowed) {
			return true
		}
	}
	if !isWeb(page.Scheme) {
		return false
	}
	scheme := r.URL.Scheme
	if scheme == "" { // not known here, so the page's own is assumed
		scheme = page.Scheme
	}
	here := scheme + "://" + r.Host
	return SameOrigin(page, here) || p.cfg.Known != nil && p.cfg.Known(page, here)
}

// parseOrigin parses an Origin header. It returns false for none and for "null".
func parseOrigin(values []string) (*url.URL, bool) {
	if len(values) != 1 {
		return nil, false
	}
	u, err := url.Parse(values[0])
	if err != nil || u.Scheme == "" || u.Host == "" || u.Opaque != "" || u.User != nil || u.Path != "" ||
		u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, false
	}
	return u, true
}

// SameOrigin compares origins as browsers do (RFC 6454 section 5): by scheme, host and
// port, which has the scheme's default.
func SameOrigin(page *url.URL, other string) bool {
	u, err := url.Parse(other)
	return err == nil && sameOrigin(page, u)
}

func sameOrigin(a, b *url.URL) bool {
	if a.Scheme != b.Scheme || Port(a) != Port(b) {
		return false
	}
	if !isWeb(a.Scheme) { // no DNS name
		return a.Hostname() == b.Hostname()
	}
	return strings.EqualFold(a.Hostname(), b.Hostname())
}

// Port returns the port of an origin, or its scheme's default; "" if that has none.
func Port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case u.Scheme == "https":
		return "443"
	case u.Scheme == "http":
		return "80"
	}
	return ""
}

func isWeb(scheme string) bool { return scheme == "http" || scheme == "https" }

// withPort returns an address in the form of http.Request.RemoteAddr, with port 0.
func withPort(a netip.Addr) string { return net.JoinHostPort(a.String(), "0") }
