package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"example.com/chat/internal/chattest"
)

// handler is the one that the tests share.
var handler = sync.OnceValue(func() http.Handler {
	allowed := func(r *http.Request) bool { return r.Header.Get("Origin") == "https://friend.example" }
	return Handler(Access{Allowed: allowed})
})

// get asks the handler directly, so that no mux cleans the path before. Headers
// are pairs.
func get(t *testing.T, method, path string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "/", nil)
	r.URL = &url.URL{Path: path}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler().ServeHTTP(w, r)
	return w.Result()
}

func read(t *testing.T, r io.Reader) []byte {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPaths(t *testing.T) {
	t.Parallel()
	const html, js, none = "text/html; charset=utf-8", "text/javascript; charset=utf-8", ""
	for path, want := range map[string]string{
		"/":                         html,
		"/r/lobby":                  html,
		"/cluster":                  html,
		"/r/A room that can't be":   html, // the node says so, in words
		"/assets/app.js":            js,
		"/client.js":                js,
		"/embed.js":                 js,
		"/assets/view/log.js":       none, // part of app.js
		"/assets/app.js.map":        "application/json",
		"/index.html":               none,
		"/assets/style.css":         "text/css; charset=utf-8",
		"/assets/icon.svg":          "image/svg+xml",
		"/manifest.webmanifest":     "application/manifest+json",
		"/r":                        none,
		"/r/":                       none,
		"/r/lobby/":                 none,
		"/r/a/b":                    none,
		"/r/..":                     none,
		"/r/../web.go":              none,
		"/cluster.html":             none,
		"/cluster/":                 none,
		"/lobby":                    none,
		"/assets":                   none,
		"/assets/":                  none,
		"/assets/view":              none,
		"/assets/none.js":           none,
		"/assets/../index.html":     none,
		"/assets/../../web/web.go":  none,
		"/assets/..\\..\\go.mod":    none,
		"/assets//app.js":           none,
		"//assets/app.js":           none,
		"/assets/app.js\x00":        none,
		"/web.go":                   none,
		"/dist/assets/app.js":       none,
		"/assets/net/client.js":     none, // part of app.js
		"":                          none,
		"/assets/./app.js":          none,
		"/r/%2e%2e":                 html, // a name like another, once decoded already
		"/assets/%2e%2e/index.html": none,
	} {
		resp := get(t, "GET", path)
		if want == none {
			if body := read(t, resp.Body); resp.StatusCode != 404 || len(body) > 100 || bytes.Contains(body, []byte("<")) {
				t.Errorf("GET %q: status %d and %q, want a short 404", path, resp.StatusCode, body)
			}
			continue
		}
		if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != want {
			t.Errorf("GET %q: status %d, type %q; want 200, %q", path, resp.StatusCode, got, want)
		}
	}
}

// A room that can't be is said to be none by the page, also where its name holds a slash.
func TestAnEscapedSlashIsPartOfARoomsName(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]int{"/r/A%2Fb": 200, "/r/%2F": 200, "/r/a%5Cb": 200, "/r/a/b%2Fc": 404, "/r/%2e%2e": 404} {
		w := httptest.NewRecorder()
		Handler(Access{}).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", target, nil))
		page := strings.HasPrefix(w.Header().Get("Content-Type"), "text/html")
		if w.Code != want || page != (want == 200) {
			t.Errorf("GET %s: status %d, %q, want %d", target, w.Code, w.Header().Get("Content-Type"), want)
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"} {
		resp := get(t, method, "/")
		if resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: status %d, Allow %q", method, resp.StatusCode, resp.Header.Get("Allow"))
		}
	}
	head, full := get(t, "HEAD", "/assets/app.js"), get(t, "GET", "/assets/app.js")
	if n := len(read(t, head.Body)); n != 0 || head.StatusCode != 200 {
		t.Errorf("HEAD: status %d and %d bytes", head.StatusCode, n)
	}
	for _, name := range []string{"Content-Length", "Content-Type", "Etag"} {
		if got, want := head.Header.Get(name), full.Header.Get(name); got != want || got == "" {
			t.Errorf("HEAD says %s %q, GET %q", name, got, want)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/", "/r/lobby", "/assets/app.js", "/none"} {
		h := get(t, "GET", path).Header
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; manifest-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
			"X-Content-Type-Options":  "nosniff",
			"Referrer-Policy":         "no-referrer",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestPagesOfAllowedOriginsMayImportScriptsAndNothingElse(t *testing.T) {
	t.Parallel()
	const friend, stranger = "https://friend.example", "https://stranger.example"
	for _, try := range []struct{ path, origin, want string }{
		{"/client.js", friend, friend},
		{"/assets/app.js", friend, friend},
		{"/client.js", stranger, ""},
		{"/client.js", "", ""},
		{"/", friend, ""},
		{"/r/x.js", friend, ""},
		{"/assets/style.css", friend, ""},
		{"/assets/none.js", friend, ""},
	} {
		h := get(t, "GET", try.path, "Origin", try.origin).Header
		if got := h.Get("Access-Control-Allow-Origin"); got != try.want || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s for %q: allowed to %q, want %q; headers %v", try.path, try.origin, got, try.want, h)
		}
	}
	// A cache must not give the one's answer to the other.
	if vary := strings.Join(get(t, "GET", "/client.js").Header.Values("Vary"), ", "); vary != "Accept-Encoding, Origin" {
		t.Errorf("Vary is %q", vary)
	}
	if resp := get(t, "GET", "/client.js", "Origin", friend, "If-None-Match", "*"); resp.StatusCode != 304 || resp.Header.Get("Access-Control-Allow-Origin") != friend {
		t.Errorf("a revalidation: %d, %v", resp.StatusCode, resp.Header)
	}
}

func TestPagesOfAllowedOriginsMayFrameThePages(t *testing.T) {
	t.Parallel()
	for want, framers := range map[string][]string{
		"frame-ancestors 'self'": nil,
		"frame-ancestors 'self' https://a.example http://b.example:8080": {"https://a.example", "http://b.example:8080"},
		"frame-ancestors 'self' *":                                       {"*"},
	} {
		w := httptest.NewRecorder()
		Handler(Access{Framers: framers}).ServeHTTP(w, httptest.NewRequest("GET", "/r/lobby?embed", nil))
		h := w.Result().Header
		if got := h.Get("Content-Security-Policy"); !strings.HasSuffix(got, "; "+want) || h.Get("X-Frame-Options") != "" || w.Code != 200 {
			t.Errorf("%q: %d, %v; want %q", framers, w.Code, h, want)
		}
	}
}

func TestThePageLearnsWhetherItShowsTheCluster(t *testing.T) {
	t.Parallel()
	tags := make(map[string]bool)
	for ui, want := range map[string]string{"": "plain", "plain": "plain", "demo": "demo"} {
		pages := Handler(Access{UI: ui})
		for _, path := range []string{"/", "/r/lobby"} {
			w := httptest.NewRecorder()
			pages.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			if got := w.Body.String(); w.Code != 200 || strings.Count(got, `<meta name="chat-ui" content="`+want+`">`) != 1 {
				t.Errorf("%q at %s: status %d, and no meta element that says %s", ui, path, w.Code, want)
			}
			tags[w.Result().Header.Get("ETag")] = true
		}
	}
	if len(tags) != 2 {
		t.Errorf("both looks have the tags %v, want one each", tags)
	}
}

func TestRevalidation(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"", "gzip"} {
		first := get(t, "GET", "/assets/app.js", "Accept-Encoding", encoding)
		etag := first.Header.Get("ETag")
		if first.Header.Get("Cache-Control") != "no-cache" || etag == "" {
			t.Fatalf("headers %v", first.Header)
		}
		for match, want := range map[string]int{
			etag: 304, "W/" + etag: 304, `"other", ` + etag: 304, "*": 304,
			`"other"`: 200, strings.Trim(etag, `"`): 200, "": 200,
		} {
			resp := get(t, "GET", "/assets/app.js", "Accept-Encoding", encoding, "If-None-Match", match)
			if resp.StatusCode != want {
				t.Errorf("If-None-Match %s: status %d, want %d", match, resp.StatusCode, want)
			}
			if want == 304 && (len(read(t, resp.Body)) > 0 || resp.Header.Get("ETag") != etag) {
				t.Errorf("If-None-Match %s: a 304 with a body or another tag", match)
			}
		}
	}
	one, other := get(t, "GET", "/assets/app.js").Header.Get("ETag"), get(t, "GET", "/client.js").Header.Get("ETag")
	if one == other {
		t.Errorf("two files have the tag %s", one)
	}
}

func TestCompression(t *testing.T) {
	t.Parallel()
	plain := get(t, "GET", "/assets/app.js")
	want := read(t, plain.Body)
	if plain.Header.Get("Content-Encoding") != "" || plain.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("headers %v", plain.Header)
	}
	for accept, zipped := range map[string]bool{
		"gzip": true, "deflate, gzip, br": true, "br;q=1.0, gzip;q=0.8": true, "GZIP": true,
		"gzip;q=0": false, "identity": false, "br": false, "gzip;q=x": false, "*": false,
	} {
		resp := get(t, "GET", "/assets/app.js", "Accept-Encoding", accept)
		if got := resp.Header.Get("Content-Encoding") == "gzip"; got != zipped {
			t.Errorf("Accept-Encoding %q: gzip is %v", accept, got)
			continue
		}
		body := read(t, resp.Body)
		if zipped {
			if resp.Header.Get("ETag") == plain.Header.Get("ETag") || len(body) > len(want)/2 {
				t.Errorf("Accept-Encoding %q: %d of %d bytes, tag %s", accept, len(body), len(want), resp.Header.Get("ETag"))
			}
			r, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			body = read(t, r)
		}
		if !bytes.Equal(body, want) {
			t.Errorf("Accept-Encoding %q: other bytes", accept)
		}
	}
}

func TestUnknownKindIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := load(fstest.MapFS{"assets/notes.txt": {}}); err == nil {
		t.Error("a file of a kind that has no media type was taken")
	}
}

// sources are the pages, modules and style sheets as they are written.
var sources = []string{"index.html", "cluster.html", "client.js", "embed.js", "assets"}

// each calls f with every source that ends in ext.
func each(t *testing.T, ext string, f func(name, text string)) {
	t.Helper()
	n := 0
	for _, source := range sources {
		err := fs.WalkDir(os.DirFS("."), source, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path.Ext(name) != ext {
				return err
			}
			n++
			data, err := os.ReadFile(name)
			f(name, string(data))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n == 0 {
		t.Fatalf("no files %s", ext)
	}
}

// What people write must never become markup or script, so nothing that could
// make it so is in the scripts at all.
func TestScriptsMakeNoMarkup(t *testing.T) {
	t.Parallel()
	bad := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|` +
		`createContextualFragment|DOMParser|srcdoc|setHTML|javascript:|setTimeout\(["'` + "`]")
	each(t, ".js", func(name, text string) {
		if found := bad.FindString(text); found != "" {
			t.Errorf("%s holds %s", name, found)
		}
	})
}

// The policy forbids script and style inside the page: then none may be there.
func TestPageKeepsItsPolicy(t *testing.T) {
	t.Parallel()
	bad := regexp.MustCompile(`(?i)<script>|<style|\sstyle=|\son[a-z]+=|javascript:|(?:src|href)="(?:https?:)?//`)
	each(t, ".html", func(name, text string) {
		if found := bad.FindString(text); found != "" {
			t.Errorf("%s holds %s", name, found)
		}
		for _, ref := range regexp.MustCompile(`(?:src|href)="(/assets/[^"]*)"`).FindAllStringSubmatch(text, -1) {
			if get(t, "GET", ref[1]).StatusCode != 200 {
				t.Errorf("%s asks for %s, which is not there", name, ref[1])
			}
		}
	})
}

// mayImport lists, for each role, the roles whose modules it may import. Nothing imports
// an entry point (client.js, embed.js, assets/app.js).
var mayImport = map[string]string{
	"text":    "text",
	"store":   "store",
	"net":     "net store", // a connection keeps its outbox and its user in the store
	"model":   "model net store text",
	"view":    "view model net store text",
	"cluster": "cluster view model net store text",
	"entry":   "view model net store text",
}

// anImport matches each way to import a module: statically, on demand, and in a comment that names a type.
var anImport = regexp.MustCompile(`(?:\bfrom |\bimport |\bimport\()"([^"]+)"`)

// roleOf returns the role of a module: its folder below assets, or "entry".
func roleOf(name string) string {
	role, _, inFolder := strings.Cut(strings.TrimPrefix(name, "assets/"), "/")
	if !inFolder {
		return "entry"
	}
	return role
}

// wrongImports returns the modules that a module imports against mayImport.
func wrongImports(name, text string) (wrong []string) {
	for _, m := range anImport.FindAllStringSubmatch(text, -1) {
		target := path.Join(path.Dir(name), m[1])
		if !slices.Contains(strings.Fields(mayImport[roleOf(name)]), roleOf(target)) {
			wrong = append(wrong, target)
		}
	}
	return wrong
}

// Modules that use the network know no page, views use no network, and imports follow mayImport.
func TestModulesKeepApart(t *testing.T) {
	t.Parallel()
	each(t, ".js", func(name, text string) {
		role := roleOf(name)
		if mayImport[role] == "" {
			t.Errorf("%s is in a folder without a role", name)
		}
		if wrong := wrongImports(name, text); len(wrong) > 0 {
			t.Errorf("%s imports %s; a module of the role %s may import %q", name, wrong, role, mayImport[role])
		}
		if !strings.HasPrefix(text, "// @ts-check\n") {
			t.Errorf("%s is not checked for types", name)
		}
		if strings.Count(text, "\n") > 500 {
			t.Errorf("%s has more than 500 lines", name)
		}
		view := role == "view" || name == "assets/cluster/picture.js" || name == "assets/cluster/table.js"
		if view && regexp.MustCompile(`\bWebSocket\b|\bfetch\(|from "\.\.?/(net/(calls|client|link|sender)|check|cluster/check)\.js"`).MatchString(text) {
			t.Errorf("%s draws, and speaks to the server too", name)
		}
		for _, speaks := range []string{"cluster/check.js", "cluster/watch.js", "net/calls.js", "net/client.js", "net/link.js", "net/sender.js", "store/outbox.js", "model/roomlog.js", "net/wire.js"} {
			if name == "assets/"+speaks && regexp.MustCompile(`\bdocument\b|\bwindow\b|/view/`).MatchString(text) {
				t.Errorf("%s speaks, and knows the page too", name)
			}
		}
	})
}

func TestAnImportAgainstTheRolesIsFound(t *testing.T) {
	t.Parallel()
	for _, one := range []struct{ name, text, want string }{
		{"assets/model/a.js", `import { b } from "../view/b.js";`, "assets/view/b.js"},
		{"assets/model/a.js", `/** @typedef {import("../view/b.js").B} B */`, "assets/view/b.js"},
		{"assets/net/a.js", `const b = await import("../model/b.js");`, "assets/model/b.js"},
		{"assets/store/a.js", `import "../net/b.js";`, "assets/net/b.js"},
		{"assets/text/a.js", `export { b } from "../store/b.js";`, "assets/store/b.js"},
		{"assets/view/a.js", `import { b } from "../cluster/b.js";`, "assets/cluster/b.js"},
		{"assets/cluster/a.js", `import "../app.js";`, "assets/app.js"},
		{"client.js", `import "./embed.js";`, "embed.js"},
		{"assets/view/a.js", `import { b } from "../model/b.js"; import { c } from "./c.js"; import { d } from "../text/d.js";`, ""},
	} {
		if got := strings.Join(wrongImports(one.name, one.text), " "); got != one.want {
			t.Errorf("%s with %s: %q, want %q", one.name, one.text, got, one.want)
		}
	}
}

// TestClientModule runs the scripts' own tests, which need node.
func TestClientModule(t *testing.T) {
	t.Parallel()
	node := chattest.NeedProgram(t, "node", "the tests of the scripts are skipped")
	tests, err := filepath.Glob("test/*.test.mjs")
	if err != nil || len(tests) == 0 {
		t.Fatalf("no tests of the scripts: %v", err)
	}
	out, err := exec.CommandContext(t.Context(), node, append([]string{"--test"}, tests...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
