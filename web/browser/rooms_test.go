package browser

import (
	"fmt"
	"testing"
)

// visits opens rooms one after the other, so that they are of one's list.
func (p *tab) visits(s *stage, rooms ...string) {
	p.t.Helper()
	for _, room := range rooms {
		p.goTo(s.URL + "/r/" + room)
		p.online()
		p.until("room "+room, `document.querySelector("#log .message") || !document.querySelector("#empty").hidden`)
	}
}

// row is a room's link in the list, as JavaScript.
func row(room string) string {
	return `document.querySelector('#rooms a[href="/r/` + room + `"]')`
}

// title waits for the page's title.
func (p *tab) title(want string) {
	p.t.Helper()
	p.until("the title "+want, "document.title === "+quote(want))
}

// What one is named in stands out from what is merely new: in the list, in the
// title, in the icon, and where the list is away.
func TestMentionsAreCountedApart(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bob := person{"u-bob", "Bob"}
	p := newTab(t)
	p.visits(s, "garden", "hardware", "lobby")
	p.title("#lobby")
	const icon = `document.querySelector("link[rel=icon]").href`
	plain := ask[string](p, icon)
	for i := range 3 {
		s.add(said{Room: "hardware", User: bob, Text: fmt.Sprintf("Cable %d", i)})
	}
	p.title("(3) #lobby")
	p.until("the count", row("hardware")+`.querySelector(".room-unread:not(.named)").textContent === "3"`)
	p.until("the dot", `document.querySelector("#rooms-dot:not([hidden]):not(.named)")`)
	dotted := ask[string](p, icon)
	s.add(said{Room: "hardware", User: bob, Text: "@Ann and @ann, look"})
	s.add(said{Room: "garden", User: bob, Text: "is @Ann here?"})
	s.add(said{Room: "garden", User: bob, Text: "@Anna is"})
	p.title("(@2) #lobby")
	p.until("the mentions", row("hardware")+`.querySelector(".room-unread.named").textContent === "@1"`)
	p.until("the mentions in words", row("garden")+`.textContent.includes("2 unread, 1 of them names you")`)
	p.until("the warm dot", `document.querySelector("#rooms-dot.named:not([hidden])")`)
	named := ask[string](p, icon)
	if plain == dotted || dotted == named || plain == named {
		t.Errorf("the icons are %q, %q and %q", plain, dotted, named)
	}
	p.run(row("hardware") + ".click()")
	p.title("(@1) #hardware")
	p.run(row("garden") + ".click()")
	p.title("#garden")
	if got := ask[string](p, icon); got != plain {
		t.Errorf("all is read, and the icon is %q", got)
	}
	p.sound()
}

// A reload with more unread than what is loaded says no number as if it were all.
func TestACountIsNoGuess(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bob := person{"u-bob", "Bob"}
	s.add(said{Room: "hardware", User: bob, Text: "first"})
	p := newTab(t)
	p.visits(s, "hardware", "lobby")
	p.goTo("about:blank")
	for i := range 60 {
		s.add(said{Room: "hardware", User: bob, Text: fmt.Sprintf("Cable %d", i)})
	}
	p.goTo(s.URL + "/r/lobby")
	p.title("(50+) #lobby")
	p.until("the count", row("hardware")+`.querySelector(".room-unread").textContent === "50+"`)
	p.sound()
}
