package web

import (
	"encoding/json"
	"testing"
)

// A browser offers to install the pages when their manifest names them, a start,
// and icons that are there (https://www.w3.org/TR/appmanifest/).
func TestManifestMakesThePagesInstallable(t *testing.T) {
	t.Parallel()
	var m struct {
		Name     string `json:"name"`
		StartURL string `json:"start_url"`
		Display  string `json:"display"`
		Icons    []struct{ Src, Type, Sizes, Purpose string }
	}
	if err := json.Unmarshal(read(t, get(t, "GET", "/manifest.webmanifest").Body), &m); err != nil {
		t.Fatal(err)
	}
	if m.Name == "" || m.Display != "standalone" || get(t, "GET", m.StartURL).StatusCode != 200 {
		t.Errorf("the manifest is %+v", m)
	}
	purposes := make(map[string]bool)
	for _, icon := range m.Icons {
		resp := get(t, "GET", icon.Src)
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != icon.Type || icon.Sizes != "any" {
			t.Errorf("icon %+v: status %d, type %q", icon, resp.StatusCode, resp.Header.Get("Content-Type"))
		}
		purposes[icon.Purpose] = true
	}
	if !purposes["any"] || !purposes["maskable"] {
		t.Errorf("the icons are for %v, want any and maskable", purposes)
	}
}
