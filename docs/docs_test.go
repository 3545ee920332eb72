// Package docs checks the pages for people, and the bounds of the source.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pages returns the pages by their path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := make(map[string]string)
	for _, path := range append(paths, "../README.md", "../ARCHITECTURE.md", "../CONTRIBUTING.md", "../GUARANTEES.md") {
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) && path == "../CONTRIBUTING.md" {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		texts[path] = string(text)
	}
	return texts
}

// TestEveryPageSaysWhoItIsFor checks the first line below each title.
func TestEveryPageSaysWhoItIsFor(t *testing.T) {
	t.Parallel()
	for path, text := range pages(t) {
		title, rest, _ := strings.Cut(text, "\n")
		if !strings.HasPrefix(title, "# ") || !strings.HasPrefix(strings.TrimSpace(rest), "For ") {
			first, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
			t.Errorf("%s begins with %q", path, first)
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)#:]*)(#[^)]*)?\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors returns the anchors of a page's headings, as GitHub makes them.
func anchors(text string) map[string]bool {
	all := map[string]bool{"": true}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		name := dropped.ReplaceAllString(strings.ToLower(m[1]), "")
		all["#"+strings.ReplaceAll(name, " ", "-")] = true
	}
	return all
}

// TestLinksLeadSomewhere checks each link to a file or a heading of this repository.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for path, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to, target := path, text
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(path), m[1])
				if to == "../CONTRIBUTING.md" {
					continue
				}
				info, err := os.Stat(to)
				if err != nil {
					t.Errorf("%s leads to %s: %v", path, m[0], err)
					continue
				}
				if info.IsDir() || m[2] == "" {
					continue
				}
				page, err := os.ReadFile(to)
				if err != nil {
					t.Fatal(err)
				}
				target = string(page)
			}
			if !anchors(target)[m[2]] {
				t.Errorf("%s leads to %s, and %s has no such heading", path, m[0], to)
			}
		}
	}
}

// TestFilesThatAreNamedExist checks that each source file that a page names is in the
// repository, and that ARCHITECTURE.md names the folder of one whose name is in several.
func TestFilesThatAreNamedExist(t *testing.T) {
	t.Parallel()
	all := make(map[string]int) // how many files have a path, or an ending of one that begins at a folder
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		path = filepath.ToSlash(path)
		for rest, ok := path, true; ok; _, rest, ok = strings.Cut(rest, "/") {
			all[rest]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([A-Za-z0-9_./-]+\\.(?:go|lua|js|mjs|ts))`")
	for path, text := range pages(t) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			name := strings.TrimPrefix(m[1], "/")
			if all[name] == 0 {
				t.Errorf("%s names %s, which does not exist", path, m[1])
			}
			bare := strings.HasSuffix(name, ".go") && !strings.Contains(name, "/")
			if _, err := os.Stat("../" + name); path == "../ARCHITECTURE.md" && bare && err != nil && all[name] > 1 {
				t.Errorf("%s names %s, and %d files are called so", path, m[1], all[name])
			}
		}
	}
}

// TestTheTreeListsEveryPackage checks that the tree of ARCHITECTURE.md has a row for each
// folder of the repository, and each one of internal and test.
func TestTheTreeListsEveryPackage(t *testing.T) {
	t.Parallel()
	text := pages(t)["../ARCHITECTURE.md"]
	top, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range top {
		if name := f.Name(); f.IsDir() && name[0] != '.' && name != "internal" && name != "test" && !strings.Contains(text, "`"+name+"/`") {
			t.Errorf("ARCHITECTURE.md does not list %s/", name)
		}
	}
	for _, parent := range []string{"internal", "test"} {
		folders, err := os.ReadDir("../" + parent)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range folders {
			if f.IsDir() && !strings.Contains(text, "`"+parent+"/"+f.Name()) {
				t.Errorf("ARCHITECTURE.md does not list %s/%s", parent, f.Name())
			}
		}
	}
}
