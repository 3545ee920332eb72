package chattest

import (
	"os"
	"os/exec"
	"testing"
)

// NeedProgram returns the path of a program that is not part of Go. If it is not
// installed, NeedProgram skips the test, or fails it under CI=true. without
// completes the message: which tests are skipped.
func NeedProgram(t testing.TB, name, without string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	Need(t, err, name+" is not installed: "+without)
	return path
}

// Need skips the test if err, the reason why something that the test needs is missing, is
// not nil. Under CI=true it fails the test instead. what is the message.
func Need(t testing.TB, err error, what string) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("%s (%v), and CI=true requires it", what, err)
	default:
		t.Skip(what)
	}
}
