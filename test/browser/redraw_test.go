package browser

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/chromedp/cdproto/input"
)

// mouse dispatches one event of the mouse, with its left button.
func (p *tab) mouse(kind input.DispatchMouseEventType, at [2]float64) {
	p.t.Helper()
	p.does(func(ctx context.Context) error { return p.engine.mouse(ctx, kind, at) })
}

// middle returns the middle of an element in pixels of the page. It waits until the element has
// stood in one place for two frames: input at a place that was measured earlier would miss it.
func (p *tab) middle(element string) [2]float64 {
	p.t.Helper()
	at := ask[[]float64](p, fmt.Sprintf(`(async () => {
		const frame = () => new Promise((next) => { requestAnimationFrame(next); setTimeout(next, 200); }); // a hidden tab has no frames
		let [was, still] = ["", 0];
		for (let looks = 0; looks < 200; looks++) {
			const {x, y, width, height} = (%s).getBoundingClientRect();
			const is = [x, y, width, height].join();
			still = is === was ? still + 1 : 0;
			if (still === 2) return [x + width / 2, y + height / 2];
			was = is;
			await frame();
		}
		throw Error("the element never stands still");
	})()`, element))
	return [2]float64{at[0], at[1]}
}

// textOf is the text of the message with this id, as a script.
func textOf(id string) string { return `document.querySelector('#log [data-key="` + id + `"] .text')` }

// events are what other users do in the room while a message stays as it is: each is
// followed until it is drawn.
func events(s *stage, p *tab, target string) map[string]func() {
	bob, cleo := s.members[0], s.members[1]
	n := 0
	say := func(user person) func() {
		return func() {
			n++
			text := fmt.Sprintf("Event %d", n)
			s.add(said{Room: "lobby", User: user, Text: text})
			p.gets(text)
		}
	}
	react := func(emoji string) func() {
		return func() {
			s.add(said{Room: "lobby", User: cleo, Kind: "react", Target: target, Emoji: emoji, On: true})
			p.until("the reaction "+emoji, `document.querySelector('#log [data-key="`+target+`"] [data-emoji="`+emoji+`"]')`)
		}
	}
	return map[string]func(){"another speaks": say(cleo), "the author speaks again": say(bob), "a reaction": react("🎉"), "another reaction": react("👍")}
}

// unmoving opens a tab in which nothing moves by itself.
func unmoving(t *testing.T) *tab {
	t.Helper()
	p := newTab(t)
	p.prefers(false)
	return p
}

func redrawStage(t *testing.T, newTab opener, text string) (*stage, *tab, string) {
	t.Helper()
	s := newStage(t)
	s.members = []person{{"u-2", "Bob"}, {"u-3", "Cleo"}}
	e := s.add(said{Room: "lobby", User: s.members[0], Text: text})
	p := newTab.at(t, s.URL+"/r/lobby")
	p.online()
	p.until("the message", textOf(e.ID))
	return s, p, e.ID
}

func TestARedrawKeepsTheSelection(t *testing.T) {
	t.Parallel()
	redrawKeepsSelection(t, unmoving)
}

func redrawKeepsSelection(t *testing.T, newTab opener) {
	s, p, id := redrawStage(t, newTab, "select these words")
	p.run(`document.activeElement.blur(); getSelection().selectAllChildren(` + textOf(id) + `)`)
	for name, happens := range events(s, p, id) {
		happens()
		if got := ask[string](p, "getSelection().toString()"); got != "select these words" {
			t.Errorf("after %s: the selection is %q", name, got)
		}
	}
	// Its row stays in the document while others scroll it out of view.
	for i := range 60 {
		s.add(said{Room: "lobby", User: s.members[1], Text: fmt.Sprintf("More %d", i)})
	}
	p.gets("More 59")
	if got := ask[string](p, "getSelection().toString()"); got != "select these words" {
		t.Errorf("after many messages: the selection is %q", got)
	}
	p.sound()
}

func TestARedrawKeepsADragOverText(t *testing.T) {
	t.Parallel()
	redrawKeepsDrag(t, unmoving)
}

func redrawKeepsDrag(t *testing.T, newTab opener) {
	s, p, id := redrawStage(t, newTab, "drag over these words until their end")
	at := p.middle(textOf(id))
	p.mouse(input.DispatchMouseEventTypeMousePressed, at)
	// As the drag has selected by now: events of the protocol press, but select nothing.
	p.run(`getSelection().setBaseAndExtent(` + textOf(id) + `.firstChild, 0, ` + textOf(id) + `.firstChild, 19)`)
	check := func(name string) {
		t.Helper()
		if got := ask[string](p, "getSelection().toString()"); got != "drag over these wor" {
			t.Errorf("after %s: the selection is %q", name, got)
		}
		if now := p.middle(textOf(id)); math.Abs(now[1]-at[1]) > 1 {
			t.Errorf("after %s: the text moved from %.1f to %.1f below the pointer", name, at[1], now[1])
		}
	}
	for name, happens := range events(s, p, id) {
		happens()
		check(name)
	}
	for i := range 60 {
		s.add(said{Room: "lobby", User: s.members[1], Text: fmt.Sprintf("More %d", i)})
	}
	p.until("what comes", `document.querySelector("#jump-words").textContent.includes("new")`)
	check("many messages")
	p.mouse(input.DispatchMouseEventTypeMouseReleased, at)
	p.gets("More 59") // the end is in view again
	p.sound()
}

func TestARedrawKeepsAPressOnALinkAndAReaction(t *testing.T) {
	t.Parallel()
	redrawKeepsPress(t, unmoving)
}

func redrawKeepsPress(t *testing.T, newTab opener) {
	s, p, id := redrawStage(t, newTab, "press https://example.com/ here")
	s.add(said{Room: "lobby", User: s.members[1], Kind: "react", Target: id, Emoji: "😀", On: true})
	reaction := `document.querySelector('#log [data-key="` + id + `"] [data-emoji="😀"]')`
	p.until("the reaction", reaction)
	p.run(`globalThis.__clicks = []; document.addEventListener("click", (e) => { __clicks.push(e.target.closest("a, button")?.className ?? ""); e.preventDefault(); }, true)`)
	clicks := 0
	for name, happens := range events(s, p, id) {
		for _, element := range []string{textOf(id) + `.querySelector("a")`, reaction} {
			at := p.middle(element)
			p.mouse(input.DispatchMouseEventTypeMousePressed, at)
			happens()
			p.mouse(input.DispatchMouseEventTypeMouseReleased, at)
			clicks++
			if got := ask[[]string](p, "__clicks"); len(got) != clicks {
				t.Fatalf("after %s: %d clicks: %q", name, len(got), got)
			}
		}
	}
	p.sound()
}

func TestARedrawKeepsFocusAndTheScrollingOfCode(t *testing.T) {
	t.Parallel()
	redrawKeepsFocus(t, unmoving)
}

func redrawKeepsFocus(t *testing.T, newTab opener) {
	long := ""
	for range 60 {
		long += "a_long_line_of_code "
	}
	s, p, id := redrawStage(t, newTab, "see https://example.com/\n```\n"+long+"\n```")
	p.run(textOf(id) + `.querySelector("a").focus(); globalThis.__focused = document.activeElement; ` + textOf(id) + `.querySelector("pre").scrollLeft = 500`)
	check := func(name string) {
		t.Helper()
		if !ask[bool](p, `document.activeElement === __focused && __focused.matches("a")`) {
			t.Errorf("after %s: the focus is on %s", name, ask[string](p, "document.activeElement.tagName"))
		}
		if got := ask[float64](p, textOf(id)+`.querySelector("pre").scrollLeft`); got != 500 {
			t.Errorf("after %s: the code is scrolled to %v", name, got)
		}
	}
	for name, happens := range events(s, p, id) {
		happens()
		check(name)
	}
	// A text that changes with the focus in it leaves the focus on its message.
	s.add(said{Room: "lobby", User: s.members[0], Kind: "edit", Target: id, Text: "nothing any more"})
	p.until("the edit", textOf(id)+`.textContent.startsWith("nothing")`)
	if !ask[bool](p, `document.activeElement.dataset.key === "`+id+`"`) {
		t.Errorf("after the edit the focus is on %s", ask[string](p, "document.activeElement.tagName"))
	}
	p.sound()
}

// A button of a reaction stays the button of its emoji when one before it goes.
func TestAReactionThatGoesTakesNoOtherFocus(t *testing.T) {
	t.Parallel()
	s, p, id := redrawStage(t, unmoving, "like this")
	for _, emoji := range []string{"😀", "🎉"} {
		s.add(said{Room: "lobby", User: s.members[1], Kind: "react", Target: id, Emoji: emoji, On: true})
	}
	p.until("both", `document.querySelectorAll("#log .reaction").length === 2`)
	p.run(`document.querySelector('[data-emoji="🎉"].reaction').focus()`)
	s.add(said{Room: "lobby", User: s.members[1], Kind: "react", Target: id, Emoji: "😀"})
	p.until("one to be gone", `document.querySelectorAll("#log .reaction").length === 1`)
	if got := ask[string](p, "document.activeElement.dataset.emoji"); got != "🎉" {
		t.Errorf("the focus is on %q", got)
	}
	p.sound()
}

// Lists that are drawn anew with what happens in the rooms keep the focus and a press.
func TestARedrawOfListsKeepsFocusAndPress(t *testing.T) {
	t.Parallel()
	s := newStageThatShows(t, "demo")
	s.members = []person{{"u-2", "Bob"}}
	s.nodes = []server{{"n2", "http://127.0.0.1:2"}}
	e := s.add(said{Room: "lobby", User: s.members[0], Text: "find me"})
	p := newTab(t)
	p.prefers(false)
	p.visits(s, "garden", "lobby")
	p.gets("find me")

	p.run(`document.querySelector("[data-search]").click()`)
	p.types("find")
	p.until("what is found", `document.querySelector("#search-list a")`)
	p.run(`globalThis.__kept = document.querySelector("#search-list a"); __kept.focus()`)
	s.add(said{Room: "lobby", User: s.members[0], Kind: "react", Target: e.ID, Emoji: "🎉", On: true})
	p.until("the reaction", `document.querySelector("#log .reaction")`)
	p.run(still)
	if !ask[bool](p, `document.activeElement === __kept`) {
		t.Error("a reaction takes the focus from what was found")
	}
	p.run(`document.querySelector("#search").close()`)

	p.run(`document.querySelector("#pill summary").click(); globalThis.__kept = [...document.querySelectorAll("#pill-nodes a")].at(-1); __kept.focus()`)
	s.tell(map[string]any{"type": "nodes", "nodes": []server{{s.id, s.URL}, {"n2", "http://127.0.0.1:2"}, {"n3", "http://127.0.0.1:3"}}})
	p.until("the third node", `document.querySelectorAll("#pill-nodes a").length === 3`)
	if !ask[bool](p, `document.activeElement === __kept`) {
		t.Error("a node that comes takes the focus from another")
	}
	p.run(`document.querySelector("#pill summary").click()`)

	p.run(`document.querySelector("#go-room").click()`)
	choice := `[...document.querySelectorAll("#switcher-list li")].find((e) => e.textContent.includes("garden"))`
	p.until("the choice", choice)
	at := p.middle(choice)
	p.mouse(input.DispatchMouseEventTypeMousePressed, at)
	s.add(said{Room: "garden", User: s.members[0], Text: "look"})
	p.until("the count", choice+`.querySelector(".room-unread").textContent === "1"`)
	p.mouse(input.DispatchMouseEventTypeMouseReleased, at)
	p.until("the room", `document.querySelector("#room-name").textContent === "garden"`)
	p.sound()
}

// A name that becomes known after a text was drawn may be what it mentions. Only the texts
// that mention it are drawn again.
func TestANameThatBecomesKnownIsDrawn(t *testing.T) {
	t.Parallel()
	s, p, id := redrawStage(t, unmoving, "@Ann Lee please look, @Bob")
	other := s.add(said{Room: "lobby", User: s.members[0], Text: "@Ann and @Cleo too"})
	p.until("the mentions", textOf(other.ID)+`?.querySelector(".mention")`)
	named := func(id string) string { return textOf(id) + `.closest(".message").classList.contains("mentions")` }
	if !ask[bool](p, named(id)+" && "+named(other.ID)) {
		t.Fatal("the shorter name is not highlighted while no longer one is known")
	}
	p.run(`globalThis.__kept = ` + textOf(other.ID) + `.firstChild; getSelection().selectAllChildren(` + textOf(other.ID) + `)`)
	s.tell(map[string]any{"type": "presence", "room": "lobby", "joined": []person{{"u-4", "Ann Lee"}}, "left": []person{}, "count": 4})
	p.until("the longer name", textOf(id)+`.querySelector(".mention").textContent === "@Ann Lee"`)
	if ask[bool](p, named(id)) {
		t.Error("a mention of a longer name is highlighted for the shorter one")
	}
	if !ask[bool](p, named(other.ID)+` && __kept.isConnected && getSelection().toString() === "@Ann and @Cleo too"`) {
		t.Error("a text that mentions others was drawn again")
	}
	p.sound()
}
