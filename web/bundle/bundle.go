// Package bundle makes the scripts and style sheets that nodes serve from the modules of package web. It is used by
// go generate and by tests; no node imports it, so esbuild is not part of the binary.
package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// Dist is the folder below web that holds the result.
const Dist = "dist"

// entries are the scripts and style sheets that are loaded by their names; besides them there are those of the pages.
var entries = []string{"client.js", "embed.js", "assets/style.css", "assets/style/cluster.css", "assets/style/opened.css"}

// The pages. Their scripts are entries, too.
const (
	chatPage    = "index.html"
	clusterPage = "cluster.html"
)

// script matches the scripts of a page.
var script = regexp.MustCompile(`<script type="module" src="/(assets/[\w./-]+)">`)

// Build bundles the modules and style sheets in fsys, the folder of package web. It returns the content of each file by
// its path below Dist: each entry with what it imports, minified, and a source map of each, with the modules as they are.
//
// The chat's page shares no chunk with the others: its first visit would load more, and most visitors see no other
// page. Modules that several of the others import are chunks, with a hash of their content in their names. The result
// depends on the sources and the version of esbuild alone.
func Build(fsys fs.FS) (map[string][]byte, error) {
	var others []api.EntryPoint
	for _, name := range entries {
		others = append(others, entryPoint(name))
	}
	chat, err := scripts(fsys, chatPage)
	if err != nil {
		return nil, err
	}
	cluster, err := scripts(fsys, clusterPage)
	if err != nil {
		return nil, err
	}
	built := make(map[string][]byte)
	return built, errors.Join(build(fsys, chat, built), build(fsys, append(others, cluster...), built))
}

// scripts returns the entry points of a page.
func scripts(fsys fs.FS, page string) ([]api.EntryPoint, error) {
	data, err := fs.ReadFile(fsys, page)
	if err != nil {
		return nil, err
	}
	var points []api.EntryPoint
	for _, m := range script.FindAllStringSubmatch(string(data), -1) {
		points = append(points, entryPoint(m[1]))
	}
	return points, nil
}

func entryPoint(name string) api.EntryPoint {
	return api.EntryPoint{InputPath: name, OutputPath: strings.TrimSuffix(name, path.Ext(name))}
}

// Stale compares a built bundle with the files in dir. It returns the paths of files that differ, are missing, or
// should not be there, in order.
func Stale(dir string, built map[string][]byte) ([]string, error) {
	missing := maps.Clone(built)
	var stale []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		below, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		below = filepath.ToSlash(below)
		data, err := os.ReadFile(name)
		if want, ok := built[below]; !ok || string(data) != string(want) {
			stale = append(stale, below)
		}
		delete(missing, below)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	stale = slices.AppendSeq(stale, maps.Keys(missing))
	slices.Sort(stale)
	return stale, nil
}

// Write makes the files in dir those of a built bundle, and removes all others. Files that are up to date are not
// touched.
func Write(dir string, built map[string][]byte) error {
	stale, err := Stale(dir, built)
	if err != nil {
		return err
	}
	for _, name := range stale {
		file := filepath.Join(dir, filepath.FromSlash(name))
		data, ok := built[name]
		if !ok {
			if err := os.Remove(file); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// build bundles entries that may share chunks, and adds the result to built.
func build(fsys fs.FS, points []api.EntryPoint, built map[string][]byte) error {
	if len(points) == 0 {
		return nil
	}
	result := api.Build(api.BuildOptions{
		EntryPointsAdvanced: points,
		Outdir:              "/",
		ChunkNames:          "assets/[name]-[hash]",
		Bundle:              true,
		Splitting:           true,
		Format:              api.FormatESModule,
		Target:              api.ES2022,
		MinifyWhitespace:    true,
		MinifyIdentifiers:   true,
		MinifySyntax:        true,
		Sourcemap:           api.SourceMapExternal,
		Plugins:             []api.Plugin{{Name: "web", Setup: func(b api.PluginBuild) { readFrom(b, fsys) }}},
	})
	for _, f := range result.OutputFiles {
		built[strings.TrimPrefix(filepath.ToSlash(f.Path), "/")] = f.Contents
	}
	return failure(result.Errors)
}

// readFrom makes esbuild read files from fsys, and from nowhere else.
func readFrom(b api.PluginBuild, fsys fs.FS) {
	const space = "web"
	b.OnResolve(api.OnResolveOptions{Filter: ".*"}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
		name := path.Join(path.Dir(a.Importer), a.Path) // the importer of an entry is ""
		return api.OnResolveResult{Path: name, Namespace: space}, nil
	})
	b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: space}, func(a api.OnLoadArgs) (api.OnLoadResult, error) {
		data, err := fs.ReadFile(fsys, a.Path)
		text := string(data)
		loader := map[string]api.Loader{".js": api.LoaderJS, ".css": api.LoaderCSS}[path.Ext(a.Path)]
		return api.OnLoadResult{Contents: &text, Loader: loader}, err
	})
}

// failure joins messages into one error, each with its place; nil without messages.
func failure(messages []api.Message) error {
	var errs []error
	for _, m := range messages {
		where := ""
		if m.Location != nil {
			where = fmt.Sprintf("%s:%d: ", m.Location.File, m.Location.Line)
		}
		errs = append(errs, errors.New(where+m.Text))
	}
	return errors.Join(errs...)
}
