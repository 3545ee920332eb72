package web

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// entries are the scripts and style sheets that others ask for by their names;
// besides them there are those of the pages.
var entries = []string{"client.js", "embed.js", "assets/style.css", "assets/style/cluster.css", "assets/style/opened.css"}

// script finds the scripts of a page.
var script = regexp.MustCompile(`<script type="module" src="/(assets/[\w./-]+)">`)

// bundle returns the scripts and style sheets as they are sent, by their paths:
// each entry as one, with what it imports; made small, each with a map that leads a
// browser's tools back to the modules as they stand here. The chat's page shares
// nothing with the others: in pieces of its own it would be larger, and most visitors
// see no other page. What several of the others import is beside them as chunks.
func bundle(fsys fs.FS, pages []string) (map[string][]byte, error) {
	var chat, others []api.EntryPoint
	point := func(name string) api.EntryPoint {
		return api.EntryPoint{InputPath: name, OutputPath: strings.TrimSuffix(name, path.Ext(name))}
	}
	for _, name := range entries {
		others = append(others, point(name))
	}
	for _, page := range pages {
		data, err := fs.ReadFile(fsys, page)
		if err != nil {
			return nil, err
		}
		for _, m := range script.FindAllStringSubmatch(string(data), -1) {
			if "/"+page == indexPath {
				chat = append(chat, point(m[1]))
			} else {
				others = append(others, point(m[1]))
			}
		}
	}
	sent := make(map[string][]byte)
	return sent, errors.Join(build(fsys, chat, sent), build(fsys, others, sent))
}

// build bundles entries that may share chunks, and puts the result into sent.
func build(fsys fs.FS, points []api.EntryPoint, sent map[string][]byte) error {
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
		sent[f.Path] = f.Contents
	}
	return failure(result.Errors)
}

// readFrom has files read from fsys, and from nowhere else.
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

// failure makes one error of what is wrong; nil for nothing.
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
