// Package need is for tests that need more than Go: where it is not there they
// are skipped, with a line that says so; but CI=true insists on it.
package need

import (
	"os"
	"os/exec"
	"testing"
)

// Program finds a program that a test needs, and returns its path. Without says
// which tests are skipped where it is not installed.
func Program(t testing.TB, name, without string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	Nil(t, err, name+" is not installed: "+without)
	return path
}

// Nil skips the test, or fails it under CI=true, when there is an error, which
// comes of something that is missing.
func Nil(t testing.TB, err error, what string) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("%s (%v), and CI=true insists on it", what, err)
	default:
		t.Skip(what)
	}
}
