package web

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"

	"example.com/chat/web/bundle"
)

// Every script is one for Node.js too, and what it imports is there.
func TestScriptsAreSentWhole(t *testing.T) {
	t.Parallel()
	assets, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	node, _ := exec.LookPath("node") // TestClientModule says what happens without it
	imports := regexp.MustCompile(`\b(?:from|import) ?"([^"]+)"`)
	for name, a := range assets {
		if path.Ext(name) != ".js" {
			continue
		}
		for _, m := range imports.FindAllStringSubmatch(string(a.plain), -1) {
			if got := get(t, "GET", path.Join(path.Dir(name), m[1])).StatusCode; got != 200 {
				t.Errorf("%s imports %s: status %d", name, m[1], got)
			}
		}
		if node == "" {
			continue
		}
		check := exec.CommandContext(t.Context(), node, "--input-type=module", "--check")
		check.Stdin = bytes.NewReader(a.plain)
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s as it is sent: %v\n%s", name, err, out)
		}
	}
}

// The maps lead to every script and style sheet: none lies here in vain.
func TestEveryScriptAndStyleSheetIsSent(t *testing.T) {
	t.Parallel()
	assets, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	sent := make(map[string]bool)
	for name, a := range assets {
		if path.Ext(name) != ".map" {
			continue
		}
		var m struct{ Sources, SourcesContent []string }
		if err := json.Unmarshal(a.plain, &m); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, source := range m.Sources {
			source = strings.TrimPrefix(source, "web:")
			data, err := os.ReadFile(source)
			if err != nil || string(data) != m.SourcesContent[i] {
				t.Errorf("%s holds another %s (%v)", name, source, err)
			}
			sent[source] = true
		}
	}
	for _, ext := range []string{".js", ".css"} {
		each(t, ext, func(name, _ string) {
			// These only name other modules, or hold a constant, which esbuild inlines.
			empty := name == "assets/style.css" || name == "client.js" || name == "assets/view/extras.js" || name == "assets/model/situation.js"
			if !empty && !sent[name] {
				t.Errorf("%s is sent with nothing", name)
			}
		})
	}
}

// web/dist, on disk and so in the binary, is the bundle of the modules.
func TestTheBundleIsFresh(t *testing.T) {
	t.Parallel()
	built, err := bundle.Build(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	stale, err := bundle.Stale(bundle.Dist, built)
	if err != nil {
		t.Fatal(err)
	}
	if len(stale) > 0 {
		t.Errorf("web/dist is stale: run go generate ./web, and commit what it changes (%s)", strings.Join(stale, ", "))
	}
}

// Bounds of what a browser loads, in bytes as they are sent: at a first visit to the
// chat, and all there is, with what opens later and the cluster's page.
const (
	maxFirstVisit = 60_000
	maxAssets     = 100_000
)

func TestAssetsAreSmall(t *testing.T) {
	t.Parallel()
	s, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	sizes := make(map[string]int)
	total := 0
	for name, a := range s {
		if path.Ext(name) == ".map" {
			continue // for the tools of a browser, when somebody opens them
		}
		size := len(a.plain)
		if a.gzipped != nil {
			size = len(a.gzipped)
			r, err := gzip.NewReader(bytes.NewReader(a.gzipped))
			if err != nil || !bytes.Equal(read(t, r), a.plain) {
				t.Errorf("%s: what is sent compressed is another file (%v)", name, err)
			}
		}
		sizes[name] = size
		total += size
	}
	visit := firstVisit(t, s)
	first := 0
	for name, size := range sizes {
		if visit[name] {
			first += size
		}
		t.Logf("%6d %s (first visit: %t)", size, name, visit[name])
	}
	t.Logf("%6d bytes at a first visit, compressed, of %d", first, maxFirstVisit)
	if first > maxFirstVisit {
		t.Errorf("a first visit loads %d bytes compressed, more than %d", first, maxFirstVisit)
	}
	t.Logf("%6d bytes in all, compressed, of %d", total, maxAssets)
	if total > maxAssets {
		t.Errorf("the pages are %d bytes compressed, more than %d", total, maxAssets)
	}
}

// firstVisit returns the files that the chat's page loads by itself: what its HTML
// names, and what its scripts import statically.
func firstVisit(t *testing.T, s map[string]*asset) map[string]bool {
	t.Helper()
	named := regexp.MustCompile(`(?:src|href)="([^"]+)"`)
	imports := regexp.MustCompile(`\b(?:from|import) ?"([^"]+)"`)
	visit := map[string]bool{}
	todo := []string{"/index.html"}
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		a, known := s[name]
		if !known || visit[name] || name != "/index.html" && path.Ext(name) == ".html" {
			continue
		}
		visit[name] = true
		find := imports
		if path.Ext(name) == ".html" {
			find = named
		}
		for _, m := range find.FindAllStringSubmatch(string(a.plain), -1) {
			todo = append(todo, path.Join(path.Dir(name), m[1]))
			if path.IsAbs(m[1]) {
				todo[len(todo)-1] = m[1]
			}
		}
	}
	if !visit["/assets/app.js"] || !visit["/assets/style.css"] {
		t.Fatalf("the first visit is not known: %v", visit)
	}
	return visit
}
