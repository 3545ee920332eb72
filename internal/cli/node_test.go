package cli

import "testing"

// An origin goes into headers where some characters mean more.
func TestOriginsAreOneHostEach(t *testing.T) {
	t.Parallel()
	for origin, taken := range map[string]bool{
		"https://www.example.org":         true,
		"http://localhost:8080/":          true,
		"http://[::1]:8080":               true,
		"https://xn--bcher-kva.example":   true,
		"*":                               true,
		"https://*.example.org":           false,
		"https://example.org;script-src":  false,
		"https://a.example,b.example":     false,
		"https://bücher.example":          false,
		"https://www.example.org/path":    false,
		"https://user@www.example.org":    false,
		"https://":                        false,
		"ftp://www.example.org":           false,
		"www.example.org":                 false,
		"https://www.example.org?a":       false,
		"https://www.example.org b.org":   false,
		"https://www.example.org\nX: yes": false,
	} {
		if err := parseNode("--origin=" + origin); (err == nil) != taken {
			t.Errorf("--origin=%q: %v", origin, err)
		}
	}
}
