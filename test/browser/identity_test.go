package browser

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// beforeLoad runs a script in each document of the tab before the page's own.
func (p *tab) beforeLoad(script string) {
	p.t.Helper()
	p.do(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		_, err := cdp.Call(ctx, s, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return err
	}))
}

// blocked makes access to storage throw, as where cookies are blocked.
const blocked = `for (const name of ["localStorage", "sessionStorage"])
	Object.defineProperty(window, name, { get() { throw new DOMException("denied", "SecurityError"); } });`

// Blocked storage made the page a new guest at each reconnect.
func TestWithStorageBlockedOneStaysTheSameUser(t *testing.T) {
	t.Parallel()
	sameUserWithStorageBlocked(t, func(t *testing.T) *tab {
		p := newTab(t)
		p.beforeLoad(blocked)
		return p
	})
}

func sameUserWithStorageBlocked(t *testing.T, newTab opener) {
	c := start(t, "--nodes=2")
	one := c.url(1)
	bob, zoe := newTab.at(t, c.url(2)+"/r/lobby"), newTab.at(t, one+"/r/lobby")
	for _, p := range []*tab{bob, zoe} {
		if !ask[bool](p, `(() => { try { return !localStorage; } catch { return true; } })()`) {
			t.Fatal("the browser stores something")
		}
	}
	bob.online()
	zoe.online()
	zoe.says("/nick Zoe")
	zoe.until("the name", `document.querySelector("#me-name").textContent === "Zoe"`)
	zoe.says("Before")
	bob.gets("Before")
	c.killNode(one)
	zoe.says("After")
	bob.gets("After")
	zoe.gets("After")
	zoe.online()
	if got := ask[string](zoe, `document.querySelector("#me-name").textContent`); got != "Zoe" {
		t.Errorf("after its node died Zoe is %s", got)
	}
	bob.until("Zoe alone beside Bob", `document.querySelectorAll("#people-list > *").length === 2`)
	zoe.sound()
}

// Two tabs that were opened at once became two guests.
func TestTwoTabsOfAFirstVisitAreOneGuest(t *testing.T) {
	t.Parallel()
	twoTabsOfAFirstVisit(t, newTab)
}

func twoTabsOfAFirstVisit(t *testing.T, newTab opener) {
	c := start(t)
	secure := c.url(1)
	for name, at := range map[string]string{"with locks": secure, "without locks (plain http)": "http://" + lan + ":" + port(t, secure)} {
		t.Run(name, func(t *testing.T) {
			one := newTab(t)
			two := one.another()
			for _, p := range []*tab{one, two} {
				p.run(`setTimeout(() => location.assign("` + at + `/r/lobby"))`)
			}
			names := make([]string, 2)
			for i, p := range []*tab{one, two} {
				p.online()
				names[i] = ask[string](p, `document.querySelector("#me-name").textContent`)
			}
			if names[0] != names[1] {
				t.Errorf("the tabs are %q and %q", names[0], names[1])
			}
			one.sound()
		})
	}
}
