package browser

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// touches makes the page one of a telephone: a finger is all there is.
func (p *tab) touches() {
	p.t.Helper()
	points := int64(1)
	p.do(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		_, err := cdp.Call(ctx, s, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 390, Height: 844, DeviceScaleFactor: 1, Mobile: true})
		if err == nil {
			_, err = cdp.Call(ctx, s, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: true, MaxTouchPoints: points})
		}
		return err
	}))
}

// finger puts a finger on what a selector finds, or lifts it.
func (p *tab) finger(down bool, selector string) {
	p.t.Helper()
	at := p.middle("document.querySelector(" + quote(selector) + ")")
	p.do(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		event := input.DispatchTouchEventParams{Type: input.DispatchTouchEventTypeTouchEnd, TouchPoints: []*input.TouchPoint{}}
		if down {
			event.Type, event.TouchPoints = input.DispatchTouchEventTypeTouchStart, []*input.TouchPoint{{X: at[0], Y: at[1]}}
		}
		_, err := cdp.Call(ctx, s, input.DispatchTouchEvent, event)
		return err
	}))
}

func (p *tab) taps(selector string) {
	p.t.Helper()
	p.finger(true, selector)
	p.finger(false, selector)
}

// small lists what a finger would miss: buttons, links and fields that don't take
// a touch 21 pixels beside their middle. Links within a text are as high as its
// lines are, which WCAG 2.2 excepts (2.5.8, "inline").
const small = `[...document.querySelectorAll("button, a[href], input, textarea, summary")].filter((e) => e.checkVisibility() && !e.closest(".text, #bar, .me-is")).flatMap((e) => {
	const {left, top, width, height} = e.getBoundingClientRect();
	const [x, y] = [left + width / 2, top + height / 2];
	if (x < 0 || y < 0 || x > innerWidth || y > innerHeight) return [];
	const takes = (dx, dy) => { const hit = document.elementFromPoint(x + dx, y + dy); return hit && (hit === e || e.contains(hit) || hit.contains(e) && hit.matches("label, form")); };
	if (!takes(0, 0)) return []; // something lies over it
	return [[21, 0], [-21, 0], [0, 21], [0, -21]].filter(([dx, dy]) => !takes(dx, dy)).map(([dx, dy]) =>
		e.outerHTML.slice(0, 100) + ", " + Math.round(width) + "x" + Math.round(height) + ": at " + [dx, dy] + " there is " + document.elementFromPoint(x + dx, y + dy)?.outerHTML.slice(0, 100));
})`

// On a phone everything can be reached by a finger.
func TestAFingerReachesEverything(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	talk(s, leftToRight, 20)
	s.add(said{Room: "lobby", User: s.members[0], Kind: "react", Target: s.logs["lobby"][19].ID, Emoji: "🎉", On: true})
	p := newTab(t)
	p.touches()
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.until("the room", `document.querySelector("#log .message")`)
	fits := func(where string) {
		t.Helper()
		for _, one := range ask[[]string](p, small) {
			t.Errorf("%s: too small for a finger: %s", where, one)
		}
	}
	fits("the conversation")
	p.taps("#pill summary")
	p.until("the nodes", `document.querySelector("#pill[open]")`)
	fits("the nodes")
	p.taps("#pill summary")
	p.taps("#rooms-toggle")
	p.until("the rooms", `document.querySelector("#rooms-own a").getBoundingClientRect().left >= 0 && document.querySelector("#rooms-toggle").ariaExpanded === "true"`)
	p.until("the sheet to stand", `document.getAnimations().length === 0`)
	fits("the rooms")
	for _, panel := range []struct{ opens, is string }{{"#go-room", "#switcher"}, {"#room-menu [data-search]", "#search"}} {
		if panel.is == "#search" {
			p.taps("#rooms [data-close]")
			p.until("the rooms to be away", `document.querySelector("#rooms-toggle").ariaExpanded === "false" && document.getAnimations().length === 0`)
			p.taps("#room-menu summary")
			p.until("the room's menu", `document.querySelector("#room-menu[open]")`)
			fits("the room's menu")
		}
		p.taps(panel.opens)
		p.until("the dialog", `document.querySelector("`+panel.is+`[open]")`)
		fits(panel.is)
		p.taps(panel.is + " [data-shut]")
		p.until("no dialog", `!document.querySelector("dialog[open]")`)
	}
	p.taps("#rooms-toggle")
	p.until("the rooms", `document.querySelector("#rooms-toggle").ariaExpanded === "true" && document.getAnimations().length === 0`)
	p.taps("#rooms-other a")
	p.until("the other room, without the sheet", `document.querySelector("#room-name").textContent === "hardware" && document.querySelector("#rooms-toggle").ariaExpanded === "false"`)
	p.run("history.back()")
	p.until("the first room", `document.querySelector("#room-name").textContent === "lobby" && document.querySelector("#log .message")`)
	p.taps("#people-toggle")
	p.until("the people", `document.querySelector("#people-toggle").ariaExpanded === "true"`)
	p.until("the sheet to stand", `document.getAnimations().length === 0`)
	fits("the people")
	p.taps("#people [data-close]")
	p.until("the people to be away", `document.querySelector("#people-toggle").ariaExpanded === "false"`)
	p.finger(true, "#log .row:last-child .text")
	p.until("the message's menu under a resting finger", `document.querySelector(".actions.sheet")`)
	p.finger(false, "#log .row:last-child .text")
	p.until("the menu to stand", `document.getAnimations().length === 0`)
	fits("a message's menu")
	p.taps(".actions.sheet [data-emoji]")
	p.until("the reaction", `[...document.querySelectorAll(".reaction[aria-pressed=true]")].length === 1`)
	if wide := ask[int](p, "document.documentElement.scrollWidth"); wide > 390 {
		t.Errorf("the page is %d pixels wide", wide)
	}
	p.sound()
}

// A notice under the field left so little room to the user's name that each letter stood in a
// line of its own.
func TestANoticeLeavesTheNameWhole(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Mod Möller-Langername", "guest-4711"} {
		for _, width := range []int64{360, 320} {
			t.Run(fmt.Sprintf("%s-%d", name, width), func(t *testing.T) {
				t.Parallel()
				s := newStage(t)
				s.me.Name = name
				p := newTab(t)
				p.size(width, 740)
				p.goTo(s.URL + "/r/lobby")
				p.online()
				p.until("the name", `document.querySelector("#me-name").textContent === `+quote(name))
				for _, text := range []string{strings.Repeat("x", 4500), "/muteeverybodywhosenameislongerthanthis now"} {
					p.focuses("#say")
					p.run(`document.querySelector("#say").select(); document.execCommand("insertText", false, ` + quote(text) + `)`)
					p.presses("Enter")
					p.until("the notice", `document.querySelector("#counter.over").checkVisibility()`)
					if broken := ask[[]string](p, `["#me-name", "#counter"].filter((one) => {
						const e = document.querySelector(one);
						const box = e.getBoundingClientRect();
						const lines = new Set([...e.getClientRects()].map(({top}) => Math.round(top))).size;
						const longest = Math.max(...e.textContent.split(/[\s-]/).map((word) => word.length));
						return box.left < 0 || box.right > innerWidth || box.width < longest * 4 || lines > 2 || box.height > 100;
					})`); len(broken) > 0 {
						t.Errorf("%.20q: crushed: %q", text, broken)
					}
				}
				p.picture(fmt.Sprintf("notice-%s-%d", name, width))
				p.sound()
			})
		}
	}
}

// Under 900 pixels there is no link to the help beside the field.
func TestHelpIsInTheRoomsMenu(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := newTab(t)
	p.touches()
	p.size(320, 568) // before the page is there: a tap goes where its target was measured
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.taps("#room-menu summary")
	p.until("the menu", `document.querySelector("#room-menu[open]")`)
	p.picture("help-in-menu")
	p.taps("#room-help")
	p.until("the help", `document.querySelector("#help")?.open && !document.querySelector("#room-menu").open`)
	p.picture("help")
	p.presses("Escape")
	p.until("no help", `!document.querySelector("#help").open`)
	p.sound()
}
