package web

import (
	"bytes"
	"compress/gzip"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

func TestWhatIsSentIsTheFileWithoutItsComments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ ext, file, want string }{
		{".js", "// @ts-check\nlet a = 1;\n", "\nlet a = 1;\n"},
		{".js", "\tlet a = 1; // one\n", "let a = 1; // one\n"},
		{".js", "/** Two\n * lines. */\nlet a;\n", "\n\nlet a;\n"},
		{".js", "\t/** @type {T} */ (a).b();\n", "/** @type {T} */ (a).b();\n"},
		{".js", "/* a\n*/ let b;", "\nlet b;"},
		{".js", "let a = \"/* no comment */\";\nlet b = \"http://b\";", "let a = \"/* no comment */\";\nlet b = \"http://b\";"},
		{".css", "a {\n\tcolor: red; /* why */\n}\n/* b */\n", "a {\ncolor: red; /* why */\n}\n\n"},
		{".css", "// a {}\n", "// a {}\n"},
		{".html", "<p>\n\t// not a comment\n</p>", "<p>\n// not a comment\n</p>"},
		{".svg", "", ""},
	} {
		if got := lean(c.ext, []byte(c.file)); string(got) != c.want {
			t.Errorf("%s %q is sent as %q, want %q", c.ext, c.file, got, c.want)
		}
	}
}

// What is sent of a script has its lines where they were, and is still one.
func TestScriptsAreStillScripts(t *testing.T) {
	t.Parallel()
	class := regexp.MustCompile(`\[(?:[^\]\\]|\\.)*\]`)
	node, _ := exec.LookPath("node") // TestClientModule says what happens without it
	each(t, ".js", func(name, text string) {
		for i, line := range strings.Split(text, "\n") {
			if strings.Count(class.ReplaceAllString(line, ""), "`")%2 == 1 && !strings.HasPrefix(strings.TrimSpace(line), "*") {
				t.Errorf("%s:%d: a text in backquotes that goes on in the next line would lose its white space", name, i+1)
			}
		}
		sent := lean(".js", []byte(text))
		if got, want := bytes.Count(sent, []byte("\n")), strings.Count(text, "\n"); got != want {
			t.Errorf("%s is sent with %d lines of %d", name, got, want)
		}
		if node == "" {
			return
		}
		check := exec.CommandContext(t.Context(), node, "--input-type=module", "--check")
		check.Stdin = bytes.NewReader(sent)
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s as it is sent: %v\n%s", name, err, out)
		}
	})
}

// maxAssets bounds all that a browser may ever load of the pages, in bytes as
// they are sent.
const maxAssets = 60_000

func TestAssetsAreSmall(t *testing.T) {
	t.Parallel()
	s, err := load(files)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for path, a := range s {
		size := len(a.plain)
		if a.gzipped != nil {
			size = len(a.gzipped)
			r, err := gzip.NewReader(bytes.NewReader(a.gzipped))
			if err != nil || !bytes.Equal(read(t, r), a.plain) {
				t.Errorf("%s: what is sent compressed is another file (%v)", path, err)
			}
		}
		total += size
		t.Logf("%6d %s", size, path)
	}
	t.Logf("%6d bytes in all, compressed, of %d", total, maxAssets)
	if total > maxAssets {
		t.Errorf("the pages are %d bytes compressed, more than %d", total, maxAssets)
	}
}
