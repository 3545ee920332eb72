// Package web serves the user interface: the pages and icons beside this file, and the scripts and style sheets in dist,
// all inside the binary. go generate bundles dist from the modules in assets; TestTheBundleIsFresh fails when it is stale.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

//go:generate go run ./bundle/generate

//go:embed index.html cluster.html manifest.webmanifest assets/*.svg dist
var files embed.FS

// types are the media types by a file's ending; the system's own table is not
// asked, so that every machine serves the same.
var types = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".map":  "application/json",
	// https://www.w3.org/TR/appmanifest/#media-type-registration
	".webmanifest": "application/manifest+json",
}

// asset is one file, ready to be sent.
type asset struct {
	contentType string
	etag        string // quoted; of the plain bytes
	plain       []byte
	gzipped     []byte // nil where that is no smaller
}

// site is every file by its path from the root.
type site struct {
	assets map[string]*asset
	access Access
}

// Access says what pages of other origins may do.
type Access struct {
	// Allowed tells whether the page that asks may connect, and so import the
	// client; nil lets in none.
	Allowed func(*http.Request) bool
	// Framers are the origins whose pages may show these in a frame; * is all.
	Framers []string
	// UI is what the page shows of the cluster: "demo" for nodes, their colours
	// and the way to the page of the cluster; "plain", or nothing, for none of it.
	UI string
	// Control returns what the page of the cluster needs to control a demo, in
	// hexadecimal digits, for those who may; else "". nil is for nobody.
	Control func(*http.Request) string
}

// loaded are the files, made ready once.
var loaded = sync.OnceValues(func() (map[string]*asset, error) { return load(files) })

// Handler returns the handler of the user interface: the page at / and
// /r/{room}, that of the cluster at /cluster, what it is made of under /assets/, /client.js and
// /embed.js for pages of others' own, and 404 for all else.
func Handler(access Access) http.Handler {
	assets, err := loaded()
	if err != nil {
		// The files are part of the binary, so the tests met this first.
		panic("web: " + err.Error())
	}
	if access.UI == demoUI {
		assets = maps.Clone(assets)
		page := bytes.Replace(assets[indexPath].plain, []byte(plainMeta), []byte(demoMeta), 1)
		if assets[indexPath], err = newAsset(types[".html"], page); err != nil {
			panic("web: " + err.Error())
		}
	}
	return &site{assets, access}
}

// indexPath is the chat's page among the files.
const indexPath = "/index.html"

// demoUI is the value of Access.UI that shows the cluster; the page learns it
// from a meta element.
const (
	demoUI    = "demo"
	plainMeta = `<meta name="chat-ui" content="plain">`
	demoMeta  = `<meta name="chat-ui" content="demo">`
)

// indent is what stands before the lines of a page; none of it is shown.
var indent = regexp.MustCompile(`\n\t+`)

// load makes all files ready, by the paths that they are served at: dist is no part of those.
func load(fsys fs.FS) (map[string]*asset, error) {
	s := make(map[string]*asset)
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		ext := path.Ext(name)
		contentType, ok := types[ext]
		if !ok {
			return fmt.Errorf("%s: a file of a kind that is not served", name)
		}
		if ext == ".html" {
			data = indent.ReplaceAll(data, []byte("\n"))
		}
		s["/"+strings.TrimPrefix(name, "dist/")], err = newAsset(contentType, data)
		return err
	})
	return s, err
}

func newAsset(contentType string, data []byte) (*asset, error) {
	hash := sha256.Sum256(data)
	a := &asset{contentType: contentType, etag: `"` + hex.EncodeToString(hash[:12]) + `"`, plain: data}
	var zipped bytes.Buffer
	w, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if zipped.Len() < len(data) {
		a.gzipped = zipped.Bytes()
	}
	return a, nil
}

// ServeHTTP answers GET and HEAD. Paths are looked up, never walked, so there is
// no way out of the tree.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	s.protect(h, r.URL.Path)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET is answered here", http.StatusMethodNotAllowed)
		return
	}
	a := s.find(r.URL)
	if a == nil {
		http.Error(w, "there is nothing at this address", http.StatusNotFound)
		return
	}
	h.Set("Vary", "Accept-Encoding")
	if r.URL.Path == clusterPath && s.serveControl(w, r, a) {
		return
	}
	if strings.HasPrefix(a.contentType, "text/javascript") {
		s.share(h, r)
	}
	if s.assets[r.URL.Path+".map"] != nil {
		h.Set("SourceMap", r.URL.Path+".map") // https://tc39.es/ecma426/
	}
	a.serve(w, r)
}

// share lets pages of other origins import a script, as browsers ask for with
// CORS (https://fetch.spec.whatwg.org/#http-cors-protocol). Scripts are the same
// for all, so no credentials.
func (s *site) share(h http.Header, r *http.Request) {
	h.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" && s.access.Allowed != nil && s.access.Allowed(r) {
		h.Set("Access-Control-Allow-Origin", origin)
	}
}

// find returns what is at an address; nil for nothing.
func (s *site) find(u *url.URL) *asset {
	p := u.Path
	if atRoot := path.Dir(p) == "/" && path.Ext(p) != ".html"; atRoot || strings.HasPrefix(p, "/assets/") {
		if a := s.assets[p]; a != nil {
			return a
		}
	}
	if p == clusterPath {
		return s.assets["/cluster.html"]
	}
	if room, ok := strings.CutPrefix(u.EscapedPath(), "/r/"); p == "/" || ok && isRoomPath(room) {
		return s.assets[indexPath]
	}
	return nil
}

// isRoomPath tells whether a path's rest, as it was escaped, may name a room. Whether there
// can be a room of that name, as of "a%2Fb", is for the node to say, in words, once the page is open.
func isRoomPath(escaped string) bool {
	room, err := url.PathUnescape(escaped)
	return err == nil && room != "" && room != "." && room != ".." && !strings.Contains(escaped, "/")
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	body, etag := a.plain, a.etag
	if a.gzipped != nil && acceptsGzip(r.Header.Values("Accept-Encoding")) {
		// Other bytes, so another strong tag (RFC 9110 section 8.8.3.3).
		body, etag = a.gzipped, strings.TrimSuffix(a.etag, `"`)+`-gzip"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", etag)
	if matches(r.Header.Values("If-None-Match"), etag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", a.contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // the browser may be gone
	}
}

// acceptsGzip reads Accept-Encoding (RFC 9110 section 12.5.3) as far as gzip is
// concerned.
func acceptsGzip(values []string) bool {
	for _, element := range strings.Split(strings.Join(values, ","), ",") {
		coding, params, err := mime.ParseMediaType(strings.TrimSpace(element))
		if err != nil || coding != "gzip" {
			continue
		}
		q, err := strconv.ParseFloat(params["q"], 64)
		return params["q"] == "" || err == nil && q > 0
	}
	return false
}

// matches compares If-None-Match with a tag, weakly (RFC 9110 section 13.1.2).
func matches(values []string, etag string) bool {
	for _, tag := range strings.Split(strings.Join(values, ","), ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}
