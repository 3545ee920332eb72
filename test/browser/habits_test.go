package browser

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// freezes stops a page as a browser does it with pages that nobody looks at, or lets it go on.
func (p *tab) freezes(on bool) {
	p.t.Helper()
	state := page.SetWebLifecycleStateStateActive
	if on {
		state = page.SetWebLifecycleStateStateFrozen
	}
	p.do(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		_, err := cdp.Call(ctx, s, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: state})
		return err
	}))
}

// A phone freezes pages in the background. Their connections may end meanwhile.
func TestAFrozenPageHasAllMessagesOnceWhenItGoesOn(t *testing.T) {
	t.Parallel()
	g := newGate(t, lan)
	direct := start(t, "--advertise="+g.URL, "--addr="+g.to).url(1)
	ann, bob := open(t, g.URL+"/r/lobby"), open(t, direct+"/r/lobby")
	ann.online()
	bob.online()
	bob.says("Before")
	ann.gets("Before")
	ann.freezes(true)
	for i := range 5 {
		if i == 3 {
			g.close() // the node has closed the connection
			g.open()
		}
		text := fmt.Sprintf("Meanwhile %d", i)
		bob.says(text)
		bob.gets(text)
	}
	ann.freezes(false)
	for i := range 5 {
		ann.gets(fmt.Sprintf("Meanwhile %d", i))
	}
	ann.says("And on")
	bob.gets("And on")
	ann.sound()
}

// Enter ends a composition and sends nothing; the button sends what is composed, once.
func TestWhatIsComposedIsSentOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := open(t, s.URL+"/r/lobby")
	p.online()
	p.focuses("#say")
	p.types("hi ")
	p.composes("안")
	p.run(`document.querySelector("#say").dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", isComposing: true, keyCode: 229, bubbles: true, cancelable: true}))`)
	p.field("hi 안")
	p.commits("안녕")
	p.presses("Enter")
	p.gets("hi 안녕")
	p.field("")
	p.composes("다시")
	p.clicks(p.middle(`document.querySelector("#send")`))
	p.gets("다시")
	p.field("")
	p.until("the field to keep the focus", `document.activeElement.id === "say"`)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.logs["lobby"]); n != 2 {
		t.Errorf("%d messages were sent, not 2: %v", n, s.logs["lobby"])
	}
	p.sound()
}

// A message that arrives while an emoji is chosen changes neither the search nor the
// target of the reaction.
func TestAnEmojiReachesItsMessageWhileOthersCome(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bob := person{"u-2", "Bob"}
	s.members = []person{bob}
	e := s.add(said{Room: "lobby", User: bob, Text: "React to this"})
	p := open(t, s.URL+"/r/lobby")
	p.online()
	p.gets("React to this")
	p.pushesAtLast("react")
	p.until("the picker", `document.activeElement.id === "picker-search"`)
	p.types("rock")
	s.add(said{Room: "lobby", User: bob, Text: "Not to this"})
	p.gets("Not to this")
	p.types("et")
	p.until("the letters and the emoji", `document.querySelector("#picker").open && document.querySelector("#picker-search").value === "rocket" && document.querySelector("#picker-grid button").textContent === "🚀"`)
	p.presses("Enter")
	p.until("the reaction", `document.querySelector('#log [data-key="`+e.ID+`"] [data-emoji="🚀"]')`)
	if n := ask[int](p, `document.querySelectorAll("#log .reaction").length`); n != 1 {
		t.Errorf("there are %d reactions", n)
	}
	p.sound()
}

// Answers refer to the numbers of a list as they were written.
func TestTheNumbersOfAListAreShownAsWritten(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	e := s.add(said{Room: "lobby", User: person{"u-2", "Bob"}, Text: "2. yes\n5. no\n\n10) ten\n20) twenty"})
	p := open(t, s.URL+"/r/lobby")
	p.online()
	p.until("the lists", textOf(e.ID)+`?.querySelectorAll("ol").length === 2`)
	if got := ask[string](p, `[...`+textOf(e.ID)+`.querySelectorAll("li")].map((e) => e.value + " " + e.textContent).join()`); got != "2 yes,5 no,10 ten,20 twenty" {
		t.Errorf("it shows %s", got)
	}
	p.sound()
}
