package program_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// chat runs the program to its end, and returns what it printed and its exit status.
func chat(t *testing.T, args ...string) (stdout string, status int, stderr string) {
	t.Helper()
	p := startProgram(t, nil, args...)
	_ = p.Stdin.Close()
	status = p.Wait()
	return p.Out(), status, p.Errs()
}

// Of twelve calls of a script with one name, five once failed: the name was still held
// for the last call.
func TestAScriptsNameIsFreeAtOnce(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	urls := []string{startNode(t, b.URL()).url, startNode(t, b.URL()).url}
	for i := range 12 {
		if _, status, stderr := chat(t, "send", "lobby", fmt.Sprint("build ", i), "--name=deploybot", "--url="+urls[i%2]); status != 0 {
			t.Errorf("call %d: status %d: %s", i, status, stderr)
		}
	}
}

func TestATokenFileKeepsTheUser(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	urls := []string{startNode(t, b.URL()).url, startNode(t, b.URL()).url}
	ann := chattest.Enter(t, urls[0], "Ann", "lobby")
	file := filepath.Join(t.TempDir(), "token")
	var calls sync.WaitGroup
	for i := range 6 { // at once, on two nodes, before the user exists
		calls.Go(func() {
			if _, status, stderr := chat(t, "send", "lobby", fmt.Sprint("build ", i), "--name=deploybot", "--token-file="+file, "--url="+urls[i%2]); status != 0 || stderr != "" {
				t.Errorf("call %d: status %d: %s", i, status, stderr)
			}
		})
	}
	calls.Wait()
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	// While one call prints the room, another sends.
	tail := startProgram(t, []string{"CHAT_TOKEN_FILE=" + file, "CHAT_URL=" + urls[1]}, "tail", "lobby")
	chattest.Eventually(t, "chat tail to print the messages", func() bool { return strings.Count(tail.Out(), "build") == 6 })
	if _, status, stderr := chat(t, "send", "lobby", "done", "--token-file="+file, "--url="+urls[0]); status != 0 {
		t.Errorf("status %d: %s", status, stderr)
	}
	chattest.Eventually(t, "the last message", func() bool { return strings.Contains(tail.Out(), "  deploybot  done\n") })
	tail.Signal(syscall.SIGINT)
	if status := tail.Wait(); status != 0 {
		t.Errorf("tail ended with %d", status)
	}
	ids := make(map[string]bool)
	for range 7 {
		ids[ann.Next("message").User.ID] = true
	}
	if len(ids) != 1 {
		t.Errorf("they were %d users", len(ids))
	}
}

// `chat tail lobby | head -1` once ran until another message came, and then died of a
// signal.
func TestTailEndsWithItsReader(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	ann := chattest.Enter(t, n.url, "Ann", "lobby")
	for i := range 3 {
		ann.Say("lobby", fmt.Sprint("line ", i), fmt.Sprint(i))
	}
	tail := exec.Command(chattest.Build(t), "tail", "lobby", "--url="+n.url)
	var stderr strings.Builder
	tail.Stderr = &stderr
	out, err := tail.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(chattest.Patience, func() { _ = tail.Process.Kill() })
	defer stuck.Stop()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasSuffix(line, "Ann  line 0\n") {
		t.Errorf("read %q, %v", line, err)
	}
	_ = out.Close()
	if err := tail.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("ended with %v: %s", err, stderr.String())
	}
}

func TestTailCanEndByItself(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--rate=0")
	ann := chattest.Enter(t, n.url, "Ann", "lobby")
	for i := range 60 {
		ann.Say("lobby", fmt.Sprint("line ", i), fmt.Sprint(i))
	}
	for _, test := range []struct {
		args  []string
		first string
		lines int
	}{
		{nil, "line 10", 50}, {[]string{"-n", "3"}, "line 57", 3}, {[]string{"--after=0-0"}, "line 0", 60}, {[]string{"--json", "-n", "1"}, "line 59", 1},
	} {
		out, status, stderr := chat(t, append([]string{"tail", "lobby", "--no-follow", "--url=" + n.url}, test.args...)...)
		if first, _, _ := strings.Cut(out, "\n"); status != 0 || stderr != "" || strings.Count(out, "\n") != test.lines || !strings.Contains(first, test.first) {
			t.Errorf("%q: status %d, %d lines, first %q; %s", test.args, status, strings.Count(out, "\n"), first, stderr)
		}
	}
	// A room without entries is printed at once too.
	if out, status, stderr := chat(t, "tail", "empty", "--no-follow", "--url="+n.url); status != 0 || out+stderr != "" {
		t.Errorf("status %d, printed %q %q", status, out, stderr)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	all, status, stderr := chat(t, "--help")
	if status != 0 || stderr != "" {
		t.Errorf("status %d: %s", status, stderr)
	}
	for _, command := range []string{"send", "tail", "bench", "verify", "help", "version"} {
		if !strings.Contains(all, "\n  chat "+command) {
			t.Errorf("chat --help does not list %s", command)
		}
		out, status, _ := chat(t, "help", command)
		if command == "help" {
			if out != all {
				t.Errorf("chat help help printed %q", out)
			}
			continue
		}
		if flag, _, _ := chat(t, command, "--help"); status != 0 || out != flag || !strings.HasPrefix(out, "chat "+command) {
			t.Errorf("chat help %s: status %d, printed %q", command, status, out)
		}
	}
	if out, status, _ := chat(t, "help"); status != 0 || out != all {
		t.Errorf("chat help: status %d, printed %q", status, out)
	}
	for _, args := range [][]string{{"help", "dance"}, {"help", "send", "tail"}} {
		if out, status, stderr := chat(t, args...); status != 2 || out != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: status %d, printed %q %q", args, status, out, stderr)
		}
	}
}
