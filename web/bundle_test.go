package web

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
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
			data, err := files.ReadFile(source)
			if err != nil || string(data) != m.SourcesContent[i] {
				t.Errorf("%s holds another %s (%v)", name, source, err)
			}
			sent[source] = true
		}
	}
	for _, ext := range []string{".js", ".css"} {
		each(t, ext, func(name, _ string) {
			names := name == "assets/style.css" || name == "client.js" // others, and holds nothing itself
			if !names && !sent[name] {
				t.Errorf("%s is sent with nothing", name)
			}
		})
	}
}

func TestWhatCanNotBeBundledIsToldWithItsPlace(t *testing.T) {
	t.Parallel()
	fsys := fstest.MapFS{
		"client.js": {Data: []byte("import './none.js';")}, "embed.js": {Data: []byte("let a = ;")}, "assets/style.css": {Data: []byte("a{}")},
	}
	_, err := bundle(fsys, nil)
	if err == nil || !strings.Contains(err.Error(), "embed.js:1: ") || !strings.Contains(err.Error(), "none.js") {
		t.Errorf("%v", err)
	}
}

// maxAssets bounds all that a browser may ever load of the pages, in bytes as
// they are sent.
const maxAssets = 63_500

func TestAssetsAreSmall(t *testing.T) {
	t.Parallel()
	s, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
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
		total += size
		t.Logf("%6d %s", size, name)
	}
	t.Logf("%6d bytes in all, compressed, of %d", total, maxAssets)
	if total > maxAssets {
		t.Errorf("the pages are %d bytes compressed, more than %d", total, maxAssets)
	}
}
