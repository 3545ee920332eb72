// Package browser tests the pages as people use them: in Debian's Chromium and Firefox,
// against the built program. It holds only tests.
package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"example.com/chat/internal/chattest"
)

// atOnce is how many tests run at once. With more, a small machine is too slow for the
// timings of the pages.
const atOnce = 2

// lan is a host of a LAN, known to the browser alone. Without TLS a browser does not
// trust it like the loopback, and withholds some APIs from its pages.
const lan = "chat.lan"

// stepWithin bounds a single step in the browser.
const stepWithin = 20 * time.Second

// shared is what all tests share; it ends with the process.
var shared struct {
	dir string // of the browser's profile

	browser sync.Once // guards the fields below
	ctx     context.Context
	stop    func()
	err     error
}

func TestMain(m *testing.M) {
	chattest.RunAtOnce(atOnce)
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "chat-browser-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	defer chattest.RemoveBuilds()
	shared.dir = dir
	defer stopFoxes()
	defer func() {
		if shared.stop != nil {
			shared.stop()
		}
	}()
	return m.Run()
}

// chromium is the browser's path.
func chromium(t *testing.T) string {
	t.Helper()
	return chattest.NeedProgram(t, "chromium", "tests of the pages in a browser are skipped")
}

// anyBrowser skips the test if no browser is installed.
func anyBrowser(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("firefox-esr"); err != nil {
		chromium(t)
	}
}

// theBrowser returns the one browser of all tests.
func theBrowser(t *testing.T) context.Context {
	t.Helper()
	path := chromium(t)
	shared.browser.Do(func() {
		opts := append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
			chromedp.Flag("disable-component-update", true),
			chromedp.Flag("force-device-scale-factor", "1"),
			// To a browser a name in a LAN is no secure context.
			chromedp.Flag("host-resolver-rules", "MAP "+lan+" 127.0.0.1"),
			// Exact sizes of the heap, and a collector that a test can call.
			chromedp.Flag("enable-precise-memory-info", true),
			chromedp.UserDataDir(filepath.Join(shared.dir, "profile")))
		alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
		ctx, cancel := chromedp.NewContext(alloc)
		shared.ctx, shared.stop = ctx, func() {
			_ = chromedp.Cancel(ctx) // waits for its many processes
			cancel()
			stop()
		}
		shared.err = chromedp.Do(ctx)
	})
	if shared.err != nil {
		t.Fatalf("start chromium: %v", shared.err)
	}
	return shared.ctx
}

// tab is one page of one person. It shares nothing with the tabs of other tests.
type tab struct {
	t   *testing.T
	ctx context.Context // ends with the tab; in Chromium also its target
	engine
}

// watch runs in every page before its own scripts. It records what must never happen: a
// violation of the policy, an error of a script.
const watch = `(() => {
	const seen = [];
	Object.defineProperty(globalThis, "__wrong", {value: seen});
	addEventListener("securitypolicyviolation", (e) => seen.push("policy: " + e.violatedDirective + " " + e.blockedURI + " " + e.sample));
	addEventListener("error", (e) => seen.push("error: " + (e.message ?? "of " + e.target?.src)), true);
	addEventListener("unhandledrejection", (e) => seen.push("rejection: " + (e.reason?.stack ?? e.reason)));
})()`

// newTab opens an empty tab in a profile of its own, which ends with the test.
func newTab(t *testing.T) *tab {
	t.Helper()
	return beginTab(t, theBrowser(t), chromedp.WithNewBrowserContext())
}

// another opens a second tab of the same person: with the same storage.
func (p *tab) another() *tab {
	p.t.Helper()
	return p.engine.another(p.t)
}

func beginTab(t *testing.T, parent context.Context, opts ...chromedp.ContextOption) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, opts...)
	t.Cleanup(cancel)
	p := &tab{t, ctx, chromiumTab{ctx}}
	// The first call makes the tab, and its context must have no end.
	if err := chromedp.Do(ctx, func(ctx context.Context, s *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, s, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watch})
		if err == nil {
			// Each tab behaves as if it had the focus.
			_, err = cdp.Call(ctx, s, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
		}
		return chromedp.Void{}, err
	}); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	p.size(1440, 900)
	return p
}

// opener opens an empty tab in some browser, of a person who has not been here before.
type opener func(*testing.T) *tab

// open opens a page in a new tab, as a person who has not been here before.
func open(t *testing.T, url string) *tab {
	t.Helper()
	return opener(newTab).at(t, url)
}

// at opens a page in a new tab.
func (newTab opener) at(t *testing.T, url string) *tab {
	t.Helper()
	p := newTab(t)
	p.goTo(url)
	return p
}

// crashes ends the tab's process, as a fault of the browser would.
func (p *tab) crashes() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, time.Second)
	defer cancel()
	// No process remains that could answer.
	_, _ = chromedp.Run(ctx, func(ctx context.Context, s *chromedp.Target) (cdp.Empty, error) {
		return cdp.Call(ctx, s, page.Crash, cdp.Empty{})
	})
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[int]("1")); err == nil {
		p.t.Fatal("the tab did not crash")
	}
}

// do executes steps of Chromium's protocol, and fails the test if one fails.
func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	p.does(func(ctx context.Context) error { return chromedp.Do(ctx, steps...) })
}

// does executes one step, and fails the test if it fails.
func (p *tab) does(step func(context.Context) error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepWithin)
	defer cancel()
	if err := step(ctx); err != nil {
		p.t.Fatal(err)
	}
}

// value evaluates a script, or a promise's, within a time.
func value[T any](p *tab, within time.Duration, script string) (v T, err error) {
	ctx, cancel := context.WithTimeout(p.ctx, within)
	defer cancel()
	text, err := p.evaluate(ctx, script)
	if err != nil {
		return v, err
	}
	if len(text) == 0 || string(text) == "null" {
		return v, errors.New("the script has no value")
	}
	return v, json.Unmarshal(text, &v)
}

// ask evaluates a script, or a promise's.
func ask[T any](p *tab, script string) T {
	p.t.Helper()
	v, err := value[T](p, stepWithin, script)
	if err != nil {
		p.t.Fatalf("%s: %v", script, err)
	}
	return v
}

// run evaluates a script for its effect.
func (p *tab) run(script string) {
	p.t.Helper()
	p.does(func(ctx context.Context) error {
		if _, err := p.evaluate(ctx, script); err != nil {
			return fmt.Errorf("%s: %w", script, err)
		}
		return nil
	})
}

// until waits until a condition in JavaScript holds. A page that is being replaced does
// not answer, and is asked again.
func (p *tab) until(what, condition string) {
	p.t.Helper()
	p.within(chattest.Patience, what, condition)
}

// within is until with a limit of its own.
func (p *tab) within(patience time.Duration, what, condition string) {
	p.t.Helper()
	var last error
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		ok, err := value[bool](p, stepWithin, "!!("+condition+")")
		if ok {
			return
		}
		last = err
		if errors.Is(err, context.Canceled) {
			break
		}
		time.Sleep(20 * time.Millisecond) // each evaluation costs both processes time
	}
	p.t.Fatalf("waited %s for %s (%v); the page shows:\n%s", patience, what, last, p.shown())
}

// shown is the page's text, for the message of a test that failed.
func (p *tab) shown() string {
	text, err := value[string](p, time.Second, "location.href + '\\n' + document.body.innerText + '\\n' + (globalThis.__wrong ?? []).join('\\n')")
	if err != nil {
		return err.Error()
	}
	return text
}

func (p *tab) goTo(url string) {
	p.t.Helper()
	p.does(func(ctx context.Context) error { return p.navigate(ctx, url) })
}

func (p *tab) reload() {
	p.t.Helper()
	p.does(p.engine.reload)
}

// size sets how large the page is, in pixels.
func (p *tab) size(width, height int64) {
	p.t.Helper()
	p.does(func(ctx context.Context) error { return p.resize(ctx, width, height) })
}

// types types on the keyboard, wherever the focus is.
func (p *tab) types(text string) {
	p.t.Helper()
	p.does(func(ctx context.Context) error { return p.engine.types(ctx, text) })
}

// presses presses one key by its name, with others held.
func (p *tab) presses(key string, held ...chromedp.Modifier) {
	p.t.Helper()
	p.does(func(ctx context.Context) error { return p.press(ctx, key, held...) })
}

// clicks presses the mouse at a place.
func (p *tab) clicks(at [2]float64) {
	p.t.Helper()
	for _, kind := range []input.DispatchMouseEventType{input.DispatchMouseEventTypeMousePressed, input.DispatchMouseEventTypeMouseReleased} {
		p.mouse(kind, at)
	}
}

// pushes waits for a button and clicks it in the same turn of the page's script: a redraw
// between the two would replace the button.
func (p *tab) pushes(button string) {
	p.t.Helper()
	p.until("the button "+button, `(() => { const button = `+button+`; button?.click(); return button; })()`)
}

// says writes a message by keyboard and sends it.
func (p *tab) says(text string) {
	p.t.Helper()
	p.focuses("#say")
	p.types(text)
	p.presses("Enter")
}

func (p *tab) focuses(selector string) {
	p.t.Helper()
	p.does(p.activate)
	p.run("document.querySelector(" + quote(selector) + ").focus()")
}

// online waits until the page is in its room.
func (p *tab) online() {
	p.t.Helper()
	p.until("the page to be online", `document.querySelector("#app.online") && document.querySelector("#me-name").textContent`)
}

// count counts the messages that are drawn with this very text.
func (p *tab) count(text string) int {
	p.t.Helper()
	return ask[int](p, countOf(text))
}

func countOf(text string) string {
	return `[...document.querySelectorAll("#log .message .text")].filter((e) => e.textContent === ` + quote(text) + `).length`
}

// gets waits until a message is drawn, accepted by a node, and there once.
func (p *tab) gets(text string) {
	p.t.Helper()
	p.until("the message "+text, `[...document.querySelectorAll("#log .message:not(.pending) .text")].some((e) => e.textContent === `+quote(text)+`)`)
	if n := p.count(text); n != 1 {
		p.t.Errorf("%q is there %d times", text, n)
	}
}

// waits waits until a message is drawn as one that is not in the log yet.
func (p *tab) waits(text string) {
	p.t.Helper()
	p.until("the pending message "+text, `[...document.querySelectorAll("#log .message.pending .text")].some((e) => e.textContent === `+quote(text)+`)`)
}

// bar waits until the bar above the field shows these words.
func (p *tab) bar(words string) {
	p.t.Helper()
	p.until("the bar to say "+words, `!document.querySelector("#bar").hidden && document.querySelector("#bar").textContent.includes(`+quote(words)+`)`)
}

// node returns the number of the node that the page shows.
func (p *tab) node() string {
	p.t.Helper()
	return ask[string](p, `document.querySelector("#pill-words").textContent`)
}

// sound fails the test if something happened that must never happen in a page.
func (p *tab) sound() {
	p.t.Helper()
	for _, wrong := range ask[[]string](p, "globalThis.__wrong") {
		p.t.Errorf("in the page: %s", wrong)
	}
}

// quote makes a text a JavaScript string.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == '\u2028' || r == '\u2029':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
