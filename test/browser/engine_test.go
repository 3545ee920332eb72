package browser

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// engine drives one tab of a browser. Tests that use a tab only through it run in every
// browser. Each call ends with its context.
type engine interface {
	// another opens a second tab of the same person, which ends with the test.
	another(t *testing.T) *tab
	// evaluate runs a script, awaits the promise that it may return, and returns the
	// value as JSON; nothing for undefined.
	evaluate(ctx context.Context, script string) (json.RawMessage, error)
	// navigate and reload return once the page's "load" event is over.
	navigate(ctx context.Context, url string) error
	reload(ctx context.Context) error
	// activate puts the tab in front, where an element that gets the focus gets its events.
	activate(ctx context.Context) error
	// resize sets the size of the page in CSS pixels.
	resize(ctx context.Context, width, height int64) error
	// types types on the keyboard, wherever the focus is.
	types(ctx context.Context, text string) error
	// press presses and releases one key of keys, or a letter, with modifiers held.
	press(ctx context.Context, key string, held ...chromedp.Modifier) error
	// mouse dispatches one event of the mouse with its left button.
	mouse(ctx context.Context, kind input.DispatchMouseEventType, at [2]float64) error
	// undo reverts the last change in the field that has the focus.
	undo(ctx context.Context) error
}

// chromiumTab drives a tab of Chromium. Its contexts are those of chromedp.
type chromiumTab struct {
	target context.Context // the tab's
}

func (c chromiumTab) another(t *testing.T) *tab { return beginTab(t, c.target) }

func (chromiumTab) evaluate(ctx context.Context, script string) (json.RawMessage, error) {
	yes := true
	return chromedp.Run(ctx, func(ctx context.Context, s *chromedp.Target) (json.RawMessage, error) {
		r, err := cdp.Call(ctx, s, runtime.Evaluate, runtime.EvaluateParams{Expression: script, ReturnByValue: &yes, AwaitPromise: &yes})
		switch {
		case err != nil:
			return nil, err
		case r.ExceptionDetails != nil:
			return nil, &chromedp.ExceptionError{ExceptionDetails: r.ExceptionDetails}
		case r.Result.UnserializableValue != "":
			return nil, errors.New(string(r.Result.UnserializableValue) + " is not in JSON")
		}
		return json.RawMessage(r.Result.Value), nil
	})
}

func (chromiumTab) navigate(ctx context.Context, url string) error {
	return chromedp.Do(ctx, chromedp.Navigate(url))
}

func (chromiumTab) reload(ctx context.Context) error { return chromedp.Do(ctx, chromedp.Reload()) }

// activate does nothing: the focus is emulated in each tab.
func (chromiumTab) activate(context.Context) error { return nil }

func (chromiumTab) resize(ctx context.Context, width, height int64) error {
	return chromedp.Do(ctx, chromedp.EmulateViewport(width, height))
}

func (chromiumTab) types(ctx context.Context, text string) error {
	return chromedp.Do(ctx, chromedp.KeyEvent(text))
}

// keys are the keys that write no letter: what they type, if anything, their numbers
// (https://www.w3.org/TR/uievents/#fixed-virtual-key-codes), and what WebDriver calls
// them (https://www.w3.org/TR/webdriver2/#keyboard-actions).
var keys = map[string]struct {
	text   string
	code   int64
	driver string
}{
	"Enter": {"\r", 13, "\uE007"}, "Tab": {"", 9, "\uE004"}, "Escape": {"", 27, "\uE00C"}, "Delete": {"", 46, "\uE017"},
	"ArrowUp": {"", 38, "\uE013"}, "ArrowDown": {"", 40, "\uE015"}, "ArrowLeft": {"", 37, "\uE012"}, "ArrowRight": {"", 39, "\uE014"},
	"Home": {"", 36, "\uE011"}, "End": {"", 35, "\uE010"}, "Backspace": {"", 8, "\uE003"}, "Space": {" ", 32, " "},
}

// press sends a letter with the press itself, as a keyboard does, so that a page can prevent it.
func (chromiumTab) press(ctx context.Context, key string, held ...chromedp.Modifier) error {
	known, ok := keys[key]
	code := key
	if !ok { // a letter, as of a shortcut
		known.code = int64(strings.ToUpper(key)[0])
		code = "Key" + strings.ToUpper(key)
	}
	event := input.DispatchKeyEventParams{Key: key, Code: code, WindowsVirtualKeyCode: known.code}
	for _, one := range held {
		event.Modifiers |= int64(one)
	}
	return chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		down, up := event, event
		down.Type, up.Type = input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp
		if known.text != "" {
			down.Type, down.Text = input.DispatchKeyEventTypeKeyDown, known.text
		}
		_, err := cdp.Call(ctx, s, input.DispatchKeyEvent, down)
		if err == nil {
			_, err = cdp.Call(ctx, s, input.DispatchKeyEvent, up)
		}
		return err
	}))
}

func (chromiumTab) mouse(ctx context.Context, kind input.DispatchMouseEventType, at [2]float64) error {
	params := input.DispatchMouseEventParams{Type: kind, X: at[0], Y: at[1], Button: input.MouseButtonLeft, ClickCount: 1}
	return chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		_, err := cdp.Call(ctx, s, input.DispatchMouseEvent, params)
		return err
	}))
}

// undo runs the command: to Chromium, Ctrl+Z of the protocol is a key without one.
func (c chromiumTab) undo(ctx context.Context) error {
	_, err := c.evaluate(ctx, `document.execCommand("undo")`)
	return err
}
