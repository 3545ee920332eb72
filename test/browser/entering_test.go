package browser

import (
	"context"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// composes has an input method compose a text in the field that has the focus.
func (p *tab) composes(text string) {
	p.t.Helper()
	end := int64(len([]rune(text)))
	p.do(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		_, err := cdp.Call(ctx, s, input.ImeSetComposition, input.ImeSetCompositionParams{Text: text, SelectionStart: end, SelectionEnd: end})
		return err
	}))
}

// commits ends a composition with a text.
func (p *tab) commits(text string) {
	p.t.Helper()
	p.do(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		_, err := cdp.Call(ctx, s, input.InsertText, input.InsertTextParams{Text: text})
		return err
	}))
}

// offers waits until exactly these are offered above the field, "" for none.
func (p *tab) offers(words string) {
	p.t.Helper()
	p.until("the suggestions "+words, `[...document.querySelectorAll("#options:not([hidden]) .option-words")].map((e) => e.textContent).join(" ") === `+quote(words))
}

// undoes reverts the last change of the field, as Ctrl+Z does.
func (p *tab) undoes() {
	p.t.Helper()
	p.does(p.undo)
}

// undoesTo reverts changes until the field holds a text.
func (p *tab) undoesTo(text string) {
	p.t.Helper()
	holds := `document.querySelector("#say").value === ` + quote(text)
	for range 20 { // more than there are changes
		if ask[bool](p, holds) {
			return
		}
		p.undoes()
	}
	p.field(text)
}

// The field can be used before the page's script has loaded. The script emptied it, or
// replaced the text by an old draft.
func TestWhatIsTypedWhileThePageLoadsStays(t *testing.T) {
	t.Parallel()
	typedWhileItLoads(t, newTab)
}

func typedWhileItLoads(t *testing.T, newTab opener) {
	s := newStage(t)
	p := newTab(t)
	for _, c := range []struct{ begun, field string }{
		{"", "typed early, and late"},
		{"an old draft", "an old draft\ntyped early, and late"},
	} {
		s.late = make(chan struct{})
		send := sync.OnceFunc(func() { close(s.late) })
		defer send()
		if c.begun != "" {
			send()
			p.goTo(s.URL + "/r/lobby")
			p.online()
			p.run(`document.querySelector("#say").select(); document.execCommand("insertText", false, ` + quote(c.begun) + `)`)
			s.late = make(chan struct{})
			send = sync.OnceFunc(func() { close(s.late) })
			defer send()
		}
		p.run(`void setTimeout(() => location.assign(` + quote(s.URL+"/r/lobby?"+c.begun[:min(2, len(c.begun))]) + `))`)
		p.until("the field", `document.readyState !== "complete" && document.querySelector("#say") && !document.querySelector("#app.online")`)
		p.focuses("#say")
		p.types("typed early")
		send()
		p.online()
		p.types(", and late")
		p.field(c.field)
		p.run(`document.querySelector("#say").select(); document.execCommand("delete")`)
	}
	p.sound()
}

// Completion and the emoji list emptied the browser's undo stack.
func TestInsertionsCanBeUndone(t *testing.T) {
	t.Parallel()
	insertionsCanBeUndone(t, newTab)
}

func insertionsCanBeUndone(t *testing.T, newTab opener) {
	s := newStage(t)
	s.members = []person{{"u-2", "Bob Marsh"}}
	message := s.add(said{Room: "lobby", User: s.members[0], Text: "Shall we?"})
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.gets("Shall we?") // and with it the members, whose names are offered
	p.focuses("#say")
	p.types("words @bo")
	p.offers("@Bob Marsh")
	p.presses("Tab")
	p.field("words @Bob Marsh ")
	p.undoes()
	p.field("words @bo")
	p.undoesTo("")
	p.field("")
	p.types("well ")
	p.run(`document.querySelector("#pick").click()`)
	p.until("the emoji", `document.activeElement.id === "picker-search"`)
	p.types("rocket")
	p.presses("Enter")
	p.field("well 🚀")
	p.undoes()
	p.field("well ")
	p.pushesAtLast("reply")
	p.field("> @Bob Marsh #" + message.ID + ": Shall we?\nwell ")
	p.undoes()
	p.field("well ")
	p.undoesTo("")
	p.sound()
}

// A reply that was begun during an edit discarded the edit.
func TestAChangeThatIsLeftIsKept(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.add(said{Room: "lobby", User: s.me, Text: "one"})
	other := s.add(said{Room: "lobby", User: person{"u-2", "Bob"}, Text: "two"})
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.until("the messages", `document.querySelectorAll("#log .message").length === 2`)
	p.focuses("#say")
	p.presses("ArrowUp")
	p.field("one")
	p.types(" and more")
	p.pushesAtLast("reply")
	p.field("> @Bob #" + other.ID + ": two\n")
	p.run(`document.querySelector("#say").select(); document.execCommand("delete")`)
	p.presses("ArrowUp")
	p.field("one and more")
	p.presses("Escape")
	p.presses("ArrowUp")
	p.field("one")
	p.sound()
}

func TestAnotherTabChangesNoDraft(t *testing.T) {
	t.Parallel()
	draftsOfTwoTabs(t, newTab)
}

func draftsOfTwoTabs(t *testing.T, newTab opener) {
	s := newStage(t)
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.focuses("#say")
	p.types("a long draft of this tab")
	other := p.another()
	other.goTo(s.URL + "/r/lobby")
	other.online()
	other.field("")
	other.says("short")
	other.gets("short")
	p.reload()
	p.online()
	p.field("a long draft of this tab")
	p.sound()
	other.sound()
}

// While an input method composed, nothing was offered, and nothing after it: Chromium
// sends no "input" event at the end of a composition.
func TestWhatIsComposedIsCompleted(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.members = []person{{"u-2", "김철수"}, {"u-3", "佐藤"}, {"u-4", "Zoe"}}
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.sees("Zoe")
	p.focuses("#say")
	p.types("@")
	p.offers("@김철수 @佐藤 @Zoe")
	for _, composed := range []string{"ㄱ", "기", "김"} {
		p.composes(composed)
		p.offers("@김철수")
	}
	p.presses("ArrowDown") // of the input method's list
	p.commits("김")
	p.offers("@김철수")
	p.presses("Tab")
	p.field("@김철수 ")
	p.types("お願いします@")
	p.composes("佐")
	p.offers("@佐藤")
	p.commits("佐")
	p.offers("@佐藤")
	p.presses("Enter")
	p.field("@김철수 お願いします@佐藤 ")
	p.sound()
}

// A key for the input method reached the page: Escape closed the form in which the name
// was composed.
func TestKeysOfACompositionAreTheInputMethods(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := newTab(t)
	p.size(390, 844)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	key := func(selector, name string) {
		t.Helper()
		p.run(`document.querySelector(` + quote(selector) + `).dispatchEvent(new KeyboardEvent("keydown", {key: ` + quote(name) + `, isComposing: true, keyCode: 229, bubbles: true, cancelable: true}))`)
	}
	p.run(`document.querySelector("#me-change").click()`)
	p.until("the field for the name", `document.activeElement.id === "me-field"`)
	key("#me-field", "Escape")
	if !ask[bool](p, `document.activeElement.id === "me-field"`) {
		t.Error("Escape of a composition closed the form of the name")
	}
	p.presses("Escape")
	p.until("the form to be closed", `document.activeElement.id === "say"`)
	p.run(`document.querySelector("#rooms-toggle").click()`)
	p.until("the rooms", `document.querySelector("#rooms-toggle").ariaExpanded === "true"`)
	key("#open-room-name", "Escape")
	if !ask[bool](p, `document.querySelector("#rooms-toggle").ariaExpanded === "true"`) {
		t.Error("Escape of a composition closed the sheet of the rooms")
	}
	p.run(`document.querySelector("#go-room").click()`)
	p.until("the rooms to go to", `document.querySelector("#switcher[open]")`)
	for _, name := range []string{"Enter", "ArrowDown", "Escape"} {
		key("#switcher-field", name)
	}
	if !ask[bool](p, `document.querySelector("#switcher[open]") && document.querySelector("#room-name").textContent === "lobby"`) {
		t.Error("a key of a composition chose a room")
	}
	p.sound()
}

func TestControlCharactersAreRemovedInWords(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.focuses("#say")
	p.run(`document.execCommand("insertText", false, "one\u0002\u000btwo\u001b\u007f")`)
	p.field("one\ntwo")
	p.noted("Removed 3 control characters.")
	p.presses("Enter")
	p.gets("one\ntwo")
	p.run(`document.execCommand("insertText", false, "\u200b")`)
	if !ask[bool](p, `document.querySelector("#send").disabled`) {
		t.Error("a text that nobody sees can be sent")
	}
	p.sound()
}

// With a touch keyboard there was no way to start a second line.
func TestEnterBreaksALineOnATouchScreen(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := newTab(t)
	p.touches()
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.focuses("#say")
	if hint := ask[string](p, `document.querySelector("#say").enterKeyHint`); hint != "enter" {
		t.Errorf("the key says %q", hint)
	}
	p.types("one")
	p.presses("Enter")
	p.types("two")
	p.field("one\ntwo")
	p.taps("#send")
	p.gets("one\ntwo")
	p.field("")
	p.sound()
}
