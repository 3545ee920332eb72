package cli

import (
	"io"
	"slices"
	"testing"
)

// An origin is copied into headers, where some characters have a meaning.
func TestOriginsAreOneHostEach(t *testing.T) {
	t.Parallel()
	for origin, taken := range map[string]bool{
		"https://www.example.org":        true,
		"http://localhost:8080/":         true,
		"http://[::1]:8080":              true,
		"https://xn--bcher-kva.example":  true,
		"*":                              true,
		"https://*.example.org":          false,
		"https://example.org;script-src": false,
		"https://a.example,b.example":    false,
		"https://bücher.example":         false,
		"https://www.example.org/path":   false,
		"https://user@www.example.org":   false,
		"https://":                       false,
		"ftp://www.example.org":          false,
		"capacitor://localhost":          true,
		"ionic://localhost/":             true,
		"tauri://localhost":              true,
		"app://-":                        true,
		"chrome-extension://abcdefghijklmnopabcdefghijklmnop":  true,
		"moz-extension://0d1bd48c-7d4b-4d35-bf0a-2d9a4f4f3f3a": true,
		"capacitor://localhost/path":                           false,
		"capacitor://":                                         false,
		"capacitor://localhost;script-src *":                   false,
		"capacitor://*":                                        false,
		"capacitor://a,b":                                      false,
		"javascript://localhost":                               false,
		"file://localhost":                                     false,
		"ws://localhost":                                       false,
		"data:text/html,x":                                     false,
		"capacitor:localhost":                                  false,
		"null":                                                 false,
		"www.example.org":                                      false,
		"https://www.example.org?a":                            false,
		"https://www.example.org b.org":                        false,
		"https://www.example.org\nX: yes":                      false,
	} {
		if err := parseNode("--origin=" + origin); (err == nil) != taken {
			t.Errorf("--origin=%q: %v", origin, err)
		}
	}
}

func TestHostsAndProxiesOfTheCommandLine(t *testing.T) {
	t.Parallel()
	for arg, taken := range map[string]bool{
		"--host=chat.example.org":         true,
		"--host=chat":                     true,
		"--host=my_container":             true,
		"--host=xn--bcher-kva.example":    true,
		"--host=bücher.example":           false,
		"--host=chat.example.org:8080":    false,
		"--host=https://chat.example.org": false,
		"--host=*.example.org":            false,
		"--host=a b":                      false,
		"--trust-proxy=10.0.0.0/8":        true,
		"--trust-proxy=10.0.0.1":          true,
		"--trust-proxy=2001:db8::/32":     true,
		"--trust-proxy=10.0.0.0/33":       false,
		"--trust-proxy=proxy.example":     false,
		"--trust-proxy=*":                 false,
	} {
		if err := parseNode(arg); (err == nil) != taken {
			t.Errorf("%s: %v", arg, err)
		}
	}
	env := map[string]string{"CHAT_TRUST_PROXY": "10.0.0.0/8, 192.0.2.7", "CHAT_HOST": "a.example, b.example"}
	o, _, err := ParseNode(nil, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, io.Discard)
	if err != nil || len(o.TrustProxy) != 2 || o.TrustProxy[1].String() != "192.0.2.7/32" || !slices.Equal(o.Hosts, []string{"a.example", "b.example"}) ||
		!slices.Equal(o.Given["trust-proxy"], []string{"10.0.0.0/8", "192.0.2.7/32"}) {
		t.Errorf("%v: %v %v %v", err, o.TrustProxy, o.Hosts, o.Given)
	}
}

// A demo is not open to the network.
func TestTheDemoListensOnTheLoopback(t *testing.T) {
	t.Parallel()
	none := func(string) (string, bool) { return "", false }
	for _, c := range []struct {
		args []string
		env  func(string) (string, bool)
		want string
	}{
		{nil, none, ":8080"},
		{[]string{"--nodes=3"}, none, "localhost:8080"},
		{[]string{"--nodes=3", "--addr=:9000"}, none, ":9000"},
		{[]string{"--nodes=3"}, func(name string) (string, bool) { return ":9000", name == "CHAT_ADDR" }, ":9000"},
	} {
		if o, _, err := ParseNode(c.args, c.env, io.Discard); err != nil || o.Addr != c.want {
			t.Errorf("%q: %q, %v, want %q", c.args, o.Addr, err, c.want)
		}
	}
}
