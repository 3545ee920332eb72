package chattest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// builds are the programs that this test binary has built.
var builds struct {
	mu  sync.Mutex // guards the fields below
	dir string     // "" until the first build
	all map[string]*build
}

// build is one variant of the program.
type build struct {
	once sync.Once
	path string
	err  error // set by once
}

// Build builds the program and returns its path. The program has the race detector
// if the test has it. It is built once for all tests of a package, whose TestMain
// calls RemoveBuilds.
func Build(t testing.TB) string {
	t.Helper()
	return BuildOverlay(t, nil)
}

// BuildOverlay is Build with other contents of some source files, by their paths,
// which may be the standard library's ("go help build", -overlay).
func BuildOverlay(t testing.TB, files map[string]string) string {
	t.Helper()
	b, err := buildOf(files)
	if err != nil {
		t.Fatal(err)
	}
	b.once.Do(func() { b.err = b.run(files) })
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b.path
}

// buildOf returns the build with an overlay, which may not have run yet.
func buildOf(files map[string]string) (*build, error) {
	key := fmt.Sprint(files) // maps are printed in order
	builds.mu.Lock()
	defer builds.mu.Unlock()
	if builds.dir == "" {
		dir, err := os.MkdirTemp("", "chat-test-")
		if err != nil {
			return nil, err
		}
		builds.dir, builds.all = dir, make(map[string]*build)
	}
	if builds.all[key] == nil {
		dir := filepath.Join(builds.dir, strconv.Itoa(len(builds.all)))
		builds.all[key] = &build{path: filepath.Join(dir, "chat")}
	}
	return builds.all[key], nil
}

func (b *build) run(files map[string]string) error {
	dir := filepath.Dir(b.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	args := []string{"build", "-o", b.path}
	if Race {
		args = append(args, "-race")
	}
	if len(files) > 0 {
		overlay, err := writeOverlay(dir, files)
		if err != nil {
			return fmt.Errorf("write the overlay: %w", err)
		}
		args = append(args, "-overlay", overlay)
	}
	if out, err := exec.Command("go", append(args, "example.com/chat")...).CombinedOutput(); err != nil {
		return fmt.Errorf("build the program: %w: %s", err, out)
	}
	return nil
}

// writeOverlay writes the files and the overlay that names them, whose path it
// returns.
func writeOverlay(dir string, files map[string]string) (string, error) {
	replace := make(map[string]string)
	for i, path := range slices.Sorted(maps.Keys(files)) {
		replace[path] = filepath.Join(dir, strconv.Itoa(i)+".go")
		if err := os.WriteFile(replace[path], []byte(files[path]), 0o600); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}

// RemoveBuilds removes what Build has built. TestMain calls it after the tests.
func RemoveBuilds() {
	builds.mu.Lock()
	defer builds.mu.Unlock()
	if builds.dir != "" {
		_ = os.RemoveAll(builds.dir)
		builds.dir = ""
	}
}
