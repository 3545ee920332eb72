package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"example.com/chat/internal/chattest"
)

// firefox is a running Firefox, driven by WebDriver BiDi. It is safe for concurrent use.
type firefox struct {
	*bidi
	stop func() // kills its processes and waits for the first of them
}

// foxes are the browsers of all tests, by the name of their profile; they end with the process.
var foxes struct {
	mu   sync.Mutex // guards the field below
	open map[string]*firefox
}

// stopFoxes ends every Firefox that was started.
func stopFoxes() {
	foxes.mu.Lock()
	defer foxes.mu.Unlock()
	for _, f := range foxes.open {
		f.stop()
	}
	foxes.open = nil
}

// theFirefox returns the one Firefox with a profile, and starts it with the given lines of
// its preferences when it is the first time.
func theFirefox(t *testing.T, profile string, prefs ...string) *firefox {
	t.Helper()
	path := chattest.NeedProgram(t, "firefox-esr", "tests of the pages in Firefox are skipped")
	foxes.mu.Lock()
	defer foxes.mu.Unlock()
	if f := foxes.open[profile]; f != nil {
		return f
	}
	f, err := startFirefox(path, filepath.Join(shared.dir, profile), prefs)
	if err != nil {
		t.Fatalf("start firefox: %v", err)
	}
	if foxes.open == nil {
		foxes.open = make(map[string]*firefox)
	}
	foxes.open[profile] = f
	return f
}

// startFirefox starts a Firefox without windows on the screen, and connects to it.
func startFirefox(path, profile string, prefs []string) (*firefox, error) {
	if err := os.Mkdir(profile, 0o700); err != nil {
		return nil, err
	}
	prefs = append(prefs,
		// The host of a LAN is an address of this machine.
		fmt.Sprintf(`user_pref("network.dns.localDomains", %q);`, lan),
		// Each tab can have the focus, whichever window is in front.
		`user_pref("focusmanager.testmode", true);`,
		`user_pref("ui.prefersReducedMotion", 1);`,
		// Each new window would load the start page, and keep processes ready for more.
		`user_pref("browser.startup.page", 0);`,
		`user_pref("browser.newtabpage.enabled", false);`,
		`user_pref("dom.ipc.processPrelaunch.enabled", false);`)
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(strings.Join(prefs, "\n")), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(path, "--headless", "--no-remote", "--remote-debugging-port=0", "--profile", profile)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it has many processes
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	f := &firefox{stop: sync.OnceFunc(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})}
	found := make(chan string, 1)
	go func() { // ends with the process, or when it has closed the pipe
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if endpoint, ok := strings.CutPrefix(lines.Text(), "WebDriver BiDi listening on "); ok {
				found <- endpoint // printed once
			}
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), stepWithin)
	defer cancel()
	select {
	case endpoint := <-found:
		f.bidi, err = dialBidi(ctx, endpoint)
	case <-ctx.Done():
		err = fmt.Errorf("no endpoint: %w", ctx.Err())
	}
	if err != nil {
		f.stop()
		return nil, err
	}
	return f, nil
}

// foxTab drives a tab of Firefox.
type foxTab struct {
	*firefox
	user string // the user context: tabs of one share their storage
	id   string // the browsing context
}

// newFoxTab opens an empty tab of a person who has not been here before, which ends with the test.
func newFoxTab(t *testing.T) *tab {
	t.Helper()
	return theFirefox(t, "firefox").newTab(t)
}

func (f *firefox) newTab(t *testing.T) *tab {
	t.Helper()
	var created struct {
		User string `json:"userContext"`
	}
	f.must(t, "browser.createUserContext", object{}, &created)
	t.Cleanup(func() { f.must(t, "browser.removeUserContext", object{"userContext": created.User}, nil) })
	f.must(t, "script.addPreloadScript", object{"functionDeclaration": "() => {" + watch + "; document.hasFocus = () => true; }", "userContexts": []string{created.User}}, nil)
	return f.tabOf(t, created.User)
}

// tabOf opens a window with one tab: tabs of one window hide each other.
func (f *firefox) tabOf(t *testing.T, user string) *tab {
	t.Helper()
	var created struct {
		ID string `json:"context"`
	}
	f.must(t, "browsingContext.create", object{"type": "window", "userContext": user}, &created)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	p := &tab{t, ctx, &foxTab{f, user, created.ID}}
	p.size(1440, 900)
	return p
}

// must sends a command that must succeed.
func (f *firefox) must(t *testing.T, method string, params object, result any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stepWithin)
	defer cancel()
	if err := f.call(ctx, method, params, result); err != nil {
		t.Fatal(err)
	}
}

func (f *foxTab) another(t *testing.T) *tab { return f.tabOf(t, f.user) }

func (f *foxTab) evaluate(ctx context.Context, script string) (json.RawMessage, error) {
	var r struct {
		Result    remoteValue `json:"result"`
		Exception struct {
			Text string `json:"text"`
		} `json:"exceptionDetails"`
	}
	err := f.call(ctx, "script.evaluate", object{
		"expression": script, "target": object{"context": f.id}, "awaitPromise": true, "userActivation": true,
	}, &r)
	switch {
	case err != nil:
		return nil, err
	case r.Exception.Text != "":
		return nil, fmt.Errorf("exception: %s", r.Exception.Text)
	}
	return r.Result.plain()
}

func (f *foxTab) navigate(ctx context.Context, url string) error {
	return f.call(ctx, "browsingContext.navigate", object{"context": f.id, "url": url, "wait": "complete"}, nil)
}

func (f *foxTab) reload(ctx context.Context) error {
	return f.call(ctx, "browsingContext.reload", object{"context": f.id, "wait": "complete"}, nil)
}

// back goes one step back in the tab's history.
func (f *foxTab) back(ctx context.Context) error {
	return f.call(ctx, "browsingContext.traverseHistory", object{"context": f.id, "delta": -1}, nil)
}

// activate raises the tab's window: in others Firefox dispatches no "focusin".
func (f *foxTab) activate(ctx context.Context) error {
	return f.call(ctx, "browsingContext.activate", object{"context": f.id}, nil)
}

func (f *foxTab) resize(ctx context.Context, width, height int64) error {
	return f.call(ctx, "browsingContext.setViewport", object{"context": f.id, "viewport": object{"width": width, "height": height}}, nil)
}

// performs performs actions of one device.
func (f *foxTab) performs(ctx context.Context, device string, actions []object) error {
	return f.call(ctx, "input.performActions", object{"context": f.id, "actions": []object{{"type": device, "id": "the " + device, "actions": actions}}}, nil)
}

func (f *foxTab) types(ctx context.Context, text string) error {
	var actions []object
	for _, r := range text {
		actions = append(actions, object{"type": "keyDown", "value": string(r)}, object{"type": "keyUp", "value": string(r)})
	}
	return f.performs(ctx, "key", actions)
}

func (f *foxTab) press(ctx context.Context, key string, held ...chromedp.Modifier) error {
	if known, ok := keys[key]; ok {
		key = known.driver
	}
	down, up := []object{}, []object{}
	for _, one := range held {
		name := map[chromedp.Modifier]string{
			chromedp.ModifierShift: "\uE008", chromedp.ModifierCtrl: "\uE009", chromedp.ModifierAlt: "\uE00A", chromedp.ModifierMeta: "\uE03D",
		}[one]
		down = append(down, object{"type": "keyDown", "value": name})
		up = append(up, object{"type": "keyUp", "value": name})
	}
	down = append(down, object{"type": "keyDown", "value": key}, object{"type": "keyUp", "value": key})
	return f.performs(ctx, "key", append(down, up...))
}

func (f *foxTab) mouse(ctx context.Context, kind input.DispatchMouseEventType, at [2]float64) error {
	actions := []object{{"type": "pointerMove", "x": int(at[0]), "y": int(at[1])}}
	switch kind {
	case input.DispatchMouseEventTypeMousePressed:
		actions = append(actions, object{"type": "pointerDown", "button": 0})
	case input.DispatchMouseEventTypeMouseReleased:
		actions = append(actions, object{"type": "pointerUp", "button": 0})
	}
	return f.performs(ctx, "pointer", actions)
}

func (f *foxTab) undo(ctx context.Context) error {
	return f.press(ctx, "z", chromedp.ModifierCtrl)
}
