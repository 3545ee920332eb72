package browser

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// rings notes how forms look without the focus, and rest tells what is wrong with
// where it is; "" for nothing. Either it has a ring, or the form around it another edge.
const rings = `(() => {
	const active = document.activeElement;
	active.blur();
	const edges = new Map([...document.forms].map((form) => [form, getComputedStyle(form).borderColor + getComputedStyle(form).boxShadow]));
	active.focus();
	globalThis.__focus = () => {
		const e = document.activeElement;
		if (!e || e === document.body) return "nothing has the focus";
		const words = e.outerHTML.slice(0, 120);
		const box = e.getBoundingClientRect();
		if (box.width < 1 || box.height < 1 || box.bottom < 1 || box.right < 1 || box.top > innerHeight - 1 || box.left > innerWidth - 1) return "it is out of view: " + words;
		const {outlineStyle, outlineWidth} = getComputedStyle(e);
		if (outlineStyle !== "none" && parseFloat(outlineWidth) >= 1.5) return "";
		const form = e.closest("form");
		if (form && edges.get(form) !== getComputedStyle(form).borderColor + getComputedStyle(form).boxShadow) return "";
		return "it has no ring: " + words;
	};
})()`

// key presses a key, and looks where the focus is then.
func (p *tab) key(name string, held ...chromedp.Modifier) {
	p.t.Helper()
	p.presses(name, held...)
	p.focusSeen("after " + name)
}

// focusSeen waits for a moment's drawing to be done.
func (p *tab) focusSeen(when string) {
	p.t.Helper()
	if wrong := ask[string](p, "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(__focus()))))"); wrong != "" {
		p.t.Errorf("%s the focus is not seen: %s", when, wrong)
	}
}

// tabTo presses Tab until the focus is on what a selector finds, as people do who
// look for it.
func (p *tab) tabTo(selector string, held ...chromedp.Modifier) {
	p.t.Helper()
	for range 60 {
		p.presses("Tab", held...)
		if ask[bool](p, "document.activeElement === document.body") {
			continue // between the last and the first: the browser's own
		}
		p.focusSeen("after Tab")
		if ask[bool](p, "document.activeElement.matches("+quote(selector)+")") {
			return
		}
	}
	p.t.Fatalf("60 times Tab don't lead to %s; the focus is on %s", selector, ask[string](p, "document.activeElement.outerHTML.slice(0, 200)"))
}

// holds waits until the focus is on what a selector finds.
func (p *tab) holds(selector string) {
	p.t.Helper()
	p.until("the focus on "+selector, "document.activeElement.matches("+quote(selector)+")")
	p.focusSeen("on " + selector)
}

// walkTo goes from the field among the messages, and by the arrows to the newest,
// which has this text. Links and buttons within messages lie on the way.
func (p *tab) walkTo(text string) {
	p.t.Helper()
	p.tabTo("#scroll, #log .message", chromedp.ModifierShift)
	p.key("ArrowUp")
	for range 200 {
		if ask[bool](p, `document.activeElement.querySelector(":scope > .text")?.textContent === `+quote(text)) {
			return
		}
		p.key("ArrowDown")
	}
	p.t.Fatalf("the arrows don't lead to %q", text)
}

// Every step works without a mouse, and shows where the focus is.
func TestAllOfItByKeyboardAlone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	talk(s, leftToRight, 120)
	for i := range 3 {
		s.add(said{Room: "hardware", User: s.members[0], Text: fmt.Sprintf("Cable %d", i), Time: time.Now().UnixMilli()})
	}
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.until("the room", `document.querySelector("#log .message")`)
	p.run(rings)
	p.holds("#say")

	// Write, on two lines.
	p.types("First")
	p.key("Enter", chromedp.ModifierShift)
	p.types("second")
	p.key("Enter")
	p.gets("First\nsecond")
	p.holds("#say")

	// Up to the messages: to the one that was just sent, and to others, each in view.
	p.walkTo("First\nsecond")
	for range 30 {
		p.key("ArrowUp")
	}
	p.until("an older message to have the focus", `document.activeElement.matches("#log .message") && document.activeElement.querySelector(".text").textContent !== "First\nsecond"`)
	key := ask[string](p, "document.activeElement.dataset.key")

	// React to it; what one looked at keeps the focus.
	p.key("Enter")
	p.holds(".actions button")
	p.key("ArrowRight")
	p.holds(".actions button")
	p.key("Enter")
	p.until("the reaction", `document.querySelector('[data-key="`+key+`"] .reaction[aria-pressed=true]')`)
	p.holds(`[data-key="` + key + `"], [data-key="` + key + `"] *`)

	// Back to the end, and to the field.
	p.key("Escape")
	p.holds("#say, [data-key=" + quote(key) + "]")
	p.key("Escape")
	p.holds("#say")

	// Delete one's own message; it is asked for once.
	p.walkTo("First\nsecond")
	p.key("Enter")
	p.holds(".actions button")
	for range 12 {
		if ask[bool](p, `document.activeElement.dataset.do === "remove"`) {
			break
		}
		p.key("ArrowRight")
	}
	p.holds(".actions [data-do=remove]")
	p.key("Enter")
	p.holds(".ask [data-do=keep]")
	p.tabTo(".ask [data-do=remove]", chromedp.ModifierShift)
	p.key("Enter")
	p.until("the message to be gone", `![...document.querySelectorAll("#log .message:not(.waiting) .text")].some((e) => e.textContent === "First\nsecond")`)
	p.focusSeen("when the message is gone")

	// Another name.
	p.focuses("#say") // wherever the deletion left one, from here on it goes by Tab
	p.tabTo("#me-change")
	p.key("Enter")
	p.holds("#me-field")
	p.types("Anna")
	p.key("Enter")
	p.until("the name", `document.querySelector("#me-name").textContent === "Anna"`)
	p.holds("#say")

	// Another room, by the list and by its name.
	p.tabTo("#rooms-other a, #rooms-own a:not([aria-current])")
	p.key("Enter")
	p.until("the other room", `document.querySelector("#room-name").textContent === "hardware"`)
	p.gets("Cable 2")
	p.tabTo("#open-room-name")
	p.types("garden")
	p.key("Enter")
	p.until("the room that was named", `document.querySelector("#room-name").textContent === "garden"`)

	// The other nodes.
	p.tabTo("#pill summary")
	p.key("Enter")
	p.tabTo("#pill a")
	p.key("Escape")
	p.holds("#pill summary")
	p.sound()
}
