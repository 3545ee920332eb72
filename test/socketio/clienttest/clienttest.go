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

// Dir returns the folder in which the client is installed: its browser bundles are
// in node_modules/socket.io-client/dist. Without it the test is skipped, or with CI=true
// fails.
func Dir(t testing.TB) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(here), "..", "testdata")
	_, err := os.Stat(filepath.Join(dir, "node_modules", "socket.io-client"))
	chattest.Need(t, err, "socket.io-client is not installed: run npm ci in test/socketio/testdata")
	return dir
}

// Node returns the path of Node.js, and skips the test if it is not installed.
func Node(t testing.TB) string {
	t.Helper()
	return chattest.NeedProgram(t, "node", "the tests with the official client are skipped")
}

// patience is how long a script may take.
const patience = 2 * time.Minute

// Run runs a script of the folder in Node.js, with arguments. If the script fails, so does
// the test, with the script's output. The script ends with the test.
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
