package browser

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// prefer emulates what the person prefers.
func prefer(p *tab, name, value string) {
	p.t.Helper()
	p.do(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		_, err := cdp.Call(ctx, s, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: name, Value: value}}})
		return err
	}))
}

// The first Tab of the page leads past rooms and messages.
func TestTheSkipLinkLeadsToTheField(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	talk(s, leftToRight, 4)
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.run(rings)
	p.run(`document.activeElement.blur()`)
	p.focuses("#skip")
	p.focusSeen("on the link")
	if got := ask[string](p, `document.querySelector("a, button, input, [tabindex]").id`); got != "skip" {
		t.Errorf("the first of all is %q", got)
	}
	p.presses("Enter")
	p.holds("#say")
	if got := ask[string](p, "location.pathname + location.hash"); got != "/r/lobby" {
		t.Errorf("the address is %s", got)
	}
	p.sound()
}

// A phone on its side, with its keyboard, leaves a page little height.
func TestALowPageStillShowsTheConversation(t *testing.T) {
	t.Parallel()
	s := filled(t, 20)
	p := newTab(t)
	p.size(320, 200)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.gets("Message 20")
	s.tell(map[string]any{"type": "typing", "room": "lobby", "user": s.members[0]})
	p.until("somebody to type", `document.querySelector("#typing").textContent`)
	if high := ask[float64](p, `document.querySelector("#scroll").clientHeight`); high < 80 {
		t.Errorf("%v pixels of 200 are left for the conversation", high)
	}
	p.focuses("#say")
	p.run(`document.execCommand("insertText", false, "/dance")`)
	p.presses("Enter")
	p.until("words about the command", `document.querySelector("#counter").getClientRects().length > 0 && document.querySelector("#counter").textContent.includes("no /dance")`)
	p.sound()
}

// Where the reader's own colours stand for all of the page's, what they told is
// there still.
func TestForcedColoursLoseNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bob := person{"u-bob", "Bob"}
	p := newTab(t)
	prefer(p, "forced-colors", "active")
	p.visits(s, "hardware", "lobby")
	s.add(said{Room: "lobby", User: bob, Text: "@Ann", Node: "n1"})
	p.gets("@Ann")
	s.add(said{Room: "hardware", User: bob, Text: "look"})
	p.title("(1) #lobby")
	for what, holds := range map[string]string{
		"forced colours":       `matchMedia("(forced-colors: active)").matches`,
		"the selected room":    `getComputedStyle(` + row("lobby") + `).outlineStyle === "solid" && getComputedStyle(` + row("hardware") + `).outlineStyle !== "solid"`,
		"an unread room":       `getComputedStyle(` + row("hardware") + `.querySelector(".room-title")).textDecorationLine === "underline"`,
		"a mention":            `getComputedStyle(document.querySelector("#log .mentions")).outlineStyle === "solid"`,
		"a node's line":        `getComputedStyle(document.querySelector("#log .message"), "::before").forcedColorAdjust === "none"`,
		"the field's focus":    `document.querySelector("#composer").contains(document.activeElement) && getComputedStyle(document.querySelector("#composer")).outlineStyle === "solid"`,
		"the edge of a dialog": `getComputedStyle(document.querySelector("#switcher")).borderTopWidth === "1px"`,
	} {
		if !ask[bool](p, holds) {
			t.Errorf("%s is not to be seen", what)
		}
	}
	p.sound()
}

// Where the browser keeps nothing the page says so, once something waits.
func TestWhatIsNotKeptIsSaid(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.mute = true
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.run(`Storage.prototype.setItem = () => { throw new Error("full"); }`)
	p.online()
	p.says("waits")
	p.bar("What you write is kept only while this page is open.")
	p.sound()
}

// In a page written from the right a room's name reads as it does elsewhere, and
// English sentences end where they end.
func TestNamesAndSentencesKeepTheirDirection(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := newTab(t)
	p.visits(s, "לובי", "lobby")
	p.run(`document.documentElement.dir = "rtl"`)
	p.until("both rooms", row("lobby")+` && document.querySelectorAll("#rooms-own a").length === 2`)
	const left = `(e) => { const r = document.createRange(); r.selectNodeContents(e); return r.getBoundingClientRect().left; }`
	for name, ltr := range map[string]bool{"lobby": true, "לובי": false} {
		at := ask[[]float64](p, `(() => {
			const label = [...document.querySelectorAll("#rooms-own .room-label")].find((e) => e.textContent === "#" + `+quote(name)+`);
			return [...label.querySelectorAll("span")].map(`+left+`);
		})()`)
		if len(at) != 2 || (at[0] < at[1]) != ltr {
			t.Errorf("%s: # is at %v, the name after it", name, at)
		}
	}
	if got := ask[[]string](p, `["#bar", "#me-is", "#typing"].map((one) => getComputedStyle(document.querySelector(one)).direction)`); got[0] != "ltr" || got[1] != "ltr" || got[2] != "ltr" {
		t.Errorf("English goes %v", got)
	}
	p.sound()
}
