package web

import (
	"bytes"
	"io/fs"
	"path"

	"github.com/tdewolff/minify/v2"
	"github.com/tdewolff/minify/v2/css"
	"github.com/tdewolff/minify/v2/js"
)

// sheets are the style sheets in the order in which they are sent, as one:
// what is alike in them is sent once.
var sheets = []string{"base", "frame", "log", "actions", "foot", "rooms", "dialogs"}

const (
	sheetsDir = "assets/style"
	sheetName = "assets/style.css"
)

// joined returns the style sheets as one.
func joined(fsys fs.FS) ([]byte, error) {
	var all bytes.Buffer
	for _, sheet := range sheets {
		data, err := fs.ReadFile(fsys, path.Join(sheetsDir, sheet+".css"))
		if err != nil {
			return nil, err
		}
		all.Write(data)
	}
	return all.Bytes(), nil
}

// small returns a script or a style sheet as it is sent: without comments and
// white space, and with short names for what is local. Each script stays a module
// of its own; what its text means to other modules, to the page and to a reader of
// errors (the names of what is exported, of properties and of classes) stays. All
// else is sent as it is.
func small(name string, data []byte) ([]byte, error) {
	switch path.Ext(name) {
	case ".js":
		return minified("text/javascript", &js.Minifier{Version: 2022}, data)
	case ".css":
		return minified("text/css", &css.Minifier{}, data)
	}
	return data, nil
}

func minified(mediaType string, how minify.Minifier, data []byte) ([]byte, error) {
	m := minify.New()
	m.Add(mediaType, how)
	return m.Bytes(mediaType, data)
}
