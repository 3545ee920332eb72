//go:build unix

package node_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/test/socketio/clienttest"
)

// drive is a script that uses the example's page like a person, and reports to the test
// what the page shows.
const drive = `
const tell = () => fetch("/shown", { method: "POST", body: [...messages.children].map((m) => m.textContent).join("\n") });
new MutationObserver(tell).observe(messages, { childList: true });
socket.on("welcome", () => {
  socket.io.engine.once("upgrade", tell);
  input.value = "from the <b>browser</b>";
  form.requestSubmit();
});
const say = (text) => { input.value = text; form.requestSubmit(); };
socket.once("welcome", () => {
  say("ü".repeat(101));
  limit = Infinity;
  say("y".repeat(40_000));
  say("x".repeat(300));
  say("half " + "🙂".slice(0, 1));
  say("after all");
});
socket.on("welcome", () => limit = Infinity); // a client that ignores the limits
`

// browse opens a page in a headless browser, until the end of the test.
func browse(t *testing.T, url string) {
	t.Helper()
	path := chattest.NeedProgram(t, "chromium", "the tests with a browser are skipped")
	profile, err := os.MkdirTemp("", "chat-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir="+profile, "--remote-debugging-port=0", url)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it has many processes
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		_ = os.RemoveAll(profile)
	})
}

// The example's page, with the client's browser bundle, in a real browser: its origin is
// not the node's, and its user talks with a user of /ws on another node.
func TestTheExampleInABrowser(t *testing.T) {
	t.Parallel()
	bundle := filepath.Join(clienttest.Dir(t), "node_modules", "socket.io-client", "dist", "socket.io.min.js")
	const example = "../../examples/socketio"
	var mu sync.Mutex // guards shown
	shown := ""
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			http.ServeFile(w, r, filepath.Join(example, "index.html"))
		case "/socket.io.js":
			http.ServeFile(w, r, bundle)
		case "/chat.js":
			text, err := os.ReadFile(filepath.Join(example, "chat.js"))
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, string(text)+drive)
		case "/shown":
			text, _ := io.ReadAll(r.Body)
			mu.Lock()
			shown = string(text)
			mu.Unlock()
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(site.Close)
	shows := func(text string) bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Contains(shown, text)
	}
	b := redistest.Embedded(t)
	one, two := startNode(t, b.URL(), "--origin="+site.URL, "--text-limit=200"), startNode(t, b.URL())
	ann := chattest.Enter(t, two.url, "Ann", "lobby")
	browse(t, site.URL+"/?name=Bob&chat="+url.QueryEscape(one.url))
	if m := ann.Message("from the <b>browser</b>"); m.User.Name != "Bob" {
		t.Errorf("message: %s", m.Raw)
	}
	ann.Say("lobby", "from /ws", "1")
	chattest.Eventually(t, "the page to show both", func() bool {
		return shows("Bob: from the <b>browser</b>") && shows("Ann: from /ws")
	})
	// The client drops messages that no node accepts, and sends those after them: one
	// that is too long, one so long that it ends the connection, and a lone surrogate.
	ann.Message("half \ufffd")
	ann.Message("after all")
	chattest.Eventually(t, "the page to report the dropped messages", func() bool {
		return shows("Too long: 200 bytes at most.") && shows("This could not be sent: “yyyy") && shows("200 at most “xxx")
	})
	chattest.Eventually(t, "the upgrade", func() bool { return one.SocketIO().Engine.Upgraded >= 1 })
}
