package web

import "bytes"

// lean returns a file of the pages as it is sent: without its indentation and
// without what is a comment by itself, on one line or more. The scripts are read
// by people here and by browsers there, and a third of what is sent would be
// words that no browser needs. Each line keeps its number, so that what a browser
// says of an error leads to the right place here.
//
// It knows lines and no grammar: code in front of a comment or behind it stays
// with it. A text in backquotes that spans lines, whose white space would be lost,
// must not be in the files, which a test looks after.
func lean(ext string, data []byte) []byte {
	out := make([]byte, 0, len(data))
	inside := false
	for line := range bytes.Lines(data) {
		text, ended := bytes.CutSuffix(line, []byte("\n"))
		text = bytes.TrimLeft(text, " \t")
		switch {
		case inside:
			_, rest, over := bytes.Cut(text, []byte("*/"))
			inside, text = !over, bytes.TrimSpace(rest)
		case ext == ".js" && bytes.HasPrefix(text, []byte("//")):
			text = nil
		case (ext == ".js" || ext == ".css") && bytes.HasPrefix(text, []byte("/*")):
			_, rest, over := bytes.Cut(text, []byte("*/"))
			if inside = !over; inside || len(bytes.TrimSpace(rest)) == 0 {
				text = nil
			}
		}
		out = append(out, text...)
		if ended {
			out = append(out, '\n')
		}
	}
	return out
}
