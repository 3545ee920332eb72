package bundle

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// small returns the least that Build accepts, and one module that two entries share.
func small() fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range map[string]string{
		"index.html":               `<script type="module" src="/assets/app.js"></script>`,
		"cluster.html":             `<script type="module" src="/assets/cluster/page.js"></script>`,
		"client.js":                `import { shared } from "./assets/shared.js"; console.log("client", shared);`,
		"embed.js":                 `console.log("embed");`,
		"assets/app.js":            `import { shared } from "./shared.js"; console.log("app", shared);`,
		"assets/cluster/page.js":   `import { shared } from "../shared.js"; console.log("page", shared);`,
		"assets/shared.js":         `export const shared = Math.random();`,
		"assets/style.css":         `@import "./style/base.css";`,
		"assets/style/base.css":    "a { color: red }",
		"assets/style/cluster.css": "a { color: green }",
		"assets/style/opened.css":  "a { color: blue }",
	} {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func TestBuild(t *testing.T) {
	t.Parallel()
	built, err := Build(small())
	if err != nil {
		t.Fatal(err)
	}
	var chunks []string
	for name := range built {
		if strings.HasPrefix(name, "assets/chunk-") && strings.HasSuffix(name, ".js") {
			chunks = append(chunks, name)
		}
	}
	if len(chunks) != 1 {
		t.Fatalf("chunks %v, want one that the client and the cluster's page share", chunks)
	}
	for _, name := range []string{"client.js", "embed.js", "assets/app.js", "assets/cluster/page.js", "assets/style.css", "assets/style/cluster.css", "assets/style/opened.css"} {
		if len(built[name]) == 0 || len(built[name+".map"]) == 0 {
			t.Errorf("%s has %d bytes, and its map %d", name, len(built[name]), len(built[name+".map"]))
		}
	}
	for name, want := range map[string]bool{"assets/app.js": false, "client.js": true, "assets/cluster/page.js": true} {
		if got := strings.Contains(string(built[name]), filepath.Base(chunks[0])); got != want {
			t.Errorf("%s imports the chunk: %t, want %t", name, got, want)
		}
	}
	if !strings.Contains(string(built["assets/style.css"]), "red") {
		t.Errorf("the style sheet lacks what it imports: %s", built["assets/style.css"])
	}
}

func TestAnErrorNamesItsPlace(t *testing.T) {
	t.Parallel()
	fsys := small()
	fsys["client.js"] = &fstest.MapFile{Data: []byte("import './none.js';")}
	fsys["embed.js"] = &fstest.MapFile{Data: []byte("let a = ;")}
	_, err := Build(fsys)
	if err == nil || !strings.Contains(err.Error(), "embed.js:1: ") || !strings.Contains(err.Error(), "none.js") {
		t.Errorf("%v", err)
	}
}

func TestWriteLeavesNothingStale(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), Dist)
	built := map[string][]byte{"client.js": []byte("1"), "assets/app.js": []byte("2")}
	expectStale := func(want ...string) {
		t.Helper()
		if got, err := Stale(dir, built); err != nil || !slices.Equal(got, want) {
			t.Errorf("stale are %q, %v; want %q", got, err, want)
		}
	}
	write := func() {
		t.Helper()
		if err := Write(dir, built); err != nil {
			t.Fatal(err)
		}
		expectStale()
	}
	expectStale("assets/app.js", "client.js") // there is no folder yet
	write()
	built = map[string][]byte{"client.js": []byte("other"), "assets/new.js": []byte("3")}
	expectStale("assets/app.js", "assets/new.js", "client.js")
	write()
	if _, err := os.Stat(filepath.Join(dir, "assets", "app.js")); !os.IsNotExist(err) {
		t.Errorf("a file that is no part of the bundle is still there: %v", err)
	}
}

// The binary has no bundler in it.
func TestNodesDoNotBundle(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "example.com/chat").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	for _, name := range strings.Fields(string(out)) {
		if strings.HasPrefix(name, "github.com/evanw/esbuild") || name == "example.com/chat/web/bundle" {
			t.Errorf("the program imports %s", name)
		}
	}
}
