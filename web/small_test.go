package web

import (
	"bytes"
	"compress/gzip"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What is sent of a script is one still, and exports and imports the same.
func TestScriptsAreStillScripts(t *testing.T) {
	t.Parallel()
	node, _ := exec.LookPath("node") // TestClientModule says what happens without it
	exports := regexp.MustCompile(`\bexport (?:async )?(?:class|function\*?|const|let) ([\w$]+)`)
	imports := regexp.MustCompile(`(?:from|import) ?"(\./[^"]+|\.\./[^"]+)"`)
	names := func(re *regexp.Regexp, text string) []string {
		var found []string
		for _, m := range re.FindAllStringSubmatch(text, -1) {
			found = append(found, m[1])
		}
		slices.Sort(found)
		return slices.Compact(found)
	}
	each(t, ".js", func(name, text string) {
		sent, err := small(name, []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(sent) >= len(text) {
			t.Errorf("%s is sent with %d bytes of %d", name, len(sent), len(text))
		}
		for what, re := range map[string]*regexp.Regexp{"exports": exports, "imports": imports} {
			code := regexp.MustCompile(`(?m)^\s*(//|/?\*).*$|import\("[^"]*"\)`).ReplaceAllString(text, "")
			if got, want := names(re, string(sent)), names(re, code); !slices.Equal(got, want) {
				t.Errorf("%s %s %v as it is sent, want %v", name, what, got, want)
			}
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

// Every style sheet is part of the one that is sent.
func TestStyleSheetsAreSentAsOne(t *testing.T) {
	t.Parallel()
	entries, err := files.ReadDir(sheetsDir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		found = append(found, strings.TrimSuffix(e.Name(), ".css"))
	}
	if got := slices.Sorted(slices.Values(sheets)); !slices.Equal(got, found) {
		t.Errorf("sent are %v, there are %v", got, found)
	}
	sent := string(read(t, get(t, "GET", "/"+sheetName).Body))
	for _, selector := range []string{".composer", ".row", ".message", "@media"} {
		if !strings.Contains(sent, selector) {
			t.Errorf("what is sent has nothing for %s", selector)
		}
	}
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
