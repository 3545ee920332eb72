// Package clienttest runs scripts with the official client, socket.io-client from
// npm, which is installed by "npm ci" in test/socketio/testdata.
package clienttest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
)

// Dir returns the folder that the client is installed in: its browser bundles lie
// in node_modules/socket.io-client/dist. Where it is not there the test is
// skipped, but not under CI=true, which insists on it.
func Dir(t testing.TB) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(here), "..", "testdata")
	_, err := os.Stat(filepath.Join(dir, "node_modules", "socket.io-client"))
	chattest.Need(t, err, "socket.io-client is not installed: run npm ci in test/socketio/testdata")
	return dir
}

// Node returns the path of Node.js, and skips the test where it is not installed.
func Node(t testing.TB) string {
	t.Helper()
	return chattest.NeedProgram(t, "node", "the tests with the official client are skipped")
}

// patience is how long a script may take.
const patience = 2 * time.Minute

// Run runs a script of the folder under Node, with arguments, and fails the test
// with what the script prints when that fails. The script ends with the test.
func Run(t testing.TB, script string, args ...string) {
	t.Helper()
	dir := Dir(t)
	node := Node(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, append([]string{script}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	t.Logf("%s", out)
}
