package admission

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// A trusted proxy reports the client, scheme and host of a request in its headers:
// X-Forwarded-For, -Proto and -Host, or Forwarded (RFC 7239). Each proxy appends to what
// it received, so only the end of a list comes from trusted proxies; a client may have
// made up what precedes it.

// hop is one step of a request's path: its client, scheme and host, as far as they were
// reported.
type hop struct {
	from   netip.Addr
	scheme string
	host   string
}

// resolve returns the request as its client made it. A request that did not come from a
// trusted proxy is returned unchanged, whatever headers it has.
func (p *Policy) resolve(r *http.Request) *http.Request {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	trusted := err == nil && p.Trusted(peer.Addr())
	if !trusted && r.TLS == nil {
		return r
	}
	seen := *r
	to := *r.URL
	seen.URL = &to
	if r.TLS != nil {
		to.Scheme = "https"
	}
	if !trusted {
		return &seen
	}
	client := p.client(r.Header)
	if client.from.IsValid() {
		seen.RemoteAddr = withPort(client.from)
	}
	if client.scheme != "" {
		to.Scheme = client.scheme
	}
	if client.host != "" {
		seen.Host = client.host
	}
	return &seen
}

// client returns the hop of the client: the right-most whose address is not a trusted
// proxy's, or the first if all are. If a proxy reported no address, the client's is that
// of the next trusted proxy.
func (p *Policy) client(h http.Header) hop {
	// A proxy that writes X-Forwarded-* forwards a Forwarded that the client made up
	// unchanged: the two are never mixed.
	if has(h, "X-Forwarded-For") || has(h, "X-Forwarded-Proto") || has(h, "X-Forwarded-Host") {
		return p.xForwarded(h)
	}
	hops := parseForwarded(elements(h, "Forwarded"))
	var client hop
	for i := len(hops) - 1; i >= 0; i-- {
		from := client.from
		if client = hops[i]; !client.from.IsValid() {
			client.from = from
			break
		}
		if !p.Trusted(client.from) {
			break
		}
	}
	return client
}

// xForwarded reads three lists, whose ends belong together. A shorter one was set, not
// appended to: its first element is the client's.
func (p *Policy) xForwarded(h http.Header) hop {
	addresses := elements(h, "X-Forwarded-For")
	var client hop
	back := 0 // hops from the end
	for i := len(addresses) - 1; i >= 0; i-- {
		a, ok := parseNode(addresses[i])
		if !ok {
			break
		}
		client.from, back = a, len(addresses)-1-i
		if !p.Trusted(a) {
			break
		}
	}
	client.scheme = parseScheme(at(elements(h, "X-Forwarded-Proto"), back))
	client.host = at(elements(h, "X-Forwarded-Host"), back)
	return client
}

// at returns the element that is back from the end, or the first; "" of an empty list.
func at(list []string, back int) string {
	if len(list) == 0 {
		return ""
	}
	return list[max(0, len(list)-1-back)]
}

func has(h http.Header, name string) bool { return len(h.Values(name)) > 0 }

// elements returns the elements of a header, which may have several lines.
func elements(h http.Header, name string) []string {
	values := h.Values(name)
	if len(values) == 0 {
		return nil
	}
	parts := split(strings.Join(values, ","), ',')
	for i, part := range parts {
		parts[i] = strings.TrimSpace(part)
	}
	return parts
}

// split splits at a separator outside of quoted strings.
func split(text string, by byte) []string {
	var parts []string
	quoted, from := false, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == by && !quoted:
			parts = append(parts, text[from:i])
			from = i + 1
		}
	}
	return append(parts, text[from:])
}

// parseForwarded parses the elements of Forwarded. What is not valid stays empty.
func parseForwarded(elements []string) []hop {
	hops := make([]hop, len(elements))
	for i, element := range elements {
		for _, pair := range split(element, ';') {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			value = unquote(value)
			switch strings.ToLower(name) {
			case "for":
				hops[i].from, _ = parseNode(value)
			case "proto":
				hops[i].scheme = parseScheme(value)
			case "host":
				hops[i].host = value
			}
		}
	}
	return hops
}

// unquote returns a value of RFC 7239, section 4: a token, or the content of a
// quoted-string.
func unquote(value string) string {
	if len(value) < 2 || value[0] != '"' || value[len(value)-1] != '"' {
		return value
	}
	inside := value[1 : len(value)-1]
	var b strings.Builder
	for i := 0; i < len(inside); i++ {
		if inside[i] == '\\' && i+1 < len(inside) {
			i++
		}
		b.WriteByte(inside[i])
	}
	return b.String()
}

// parseNode parses an address as proxies write it: "192.0.2.1", "192.0.2.1:4711",
// "2001:db8::1", "[2001:db8::1]" or "[2001:db8::1]:4711"; false for "unknown", "_x".
func parseNode(text string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if a, err := netip.ParseAddrPort(text); err == nil {
		return a.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}

// parseScheme returns http or https; some proxies report ws or wss.
func parseScheme(text string) string {
	switch strings.ToLower(text) {
	case "http", "ws":
		return "http"
	case "https", "wss":
		return "https"
	}
	return ""
}

// forwarding are the headers by which a proxy names the client of a request.
var forwarding = []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "X-Forwarded-Host", "X-Forwarded-Proto", "Via"}

// Forwarded reports whether a request has a header of a proxy, trusted or not.
func Forwarded(r *http.Request) bool {
	return slices.ContainsFunc(forwarding, func(name string) bool { return has(r.Header, name) })
}
