package browser

import (
	"fmt"
	"testing"
)

const inView = `((e) => {
	if (!e) return false;
	const [box, frame] = [e.getBoundingClientRect(), document.querySelector("#scroll").getBoundingClientRect()];
	return box.top >= frame.top && box.bottom <= frame.bottom;
})`

const theLine = `document.querySelector("#log .line-new")`

// readUpTo is the last message of a room that is read, as it is kept.
func readUpTo(p *tab, room string) string {
	p.t.Helper()
	return ask[string](p, `new Map(JSON.parse(localStorage.getItem("chat.read"))).get(`+quote(room)+`) ?? ""`)
}

// Who opens a room with more unread messages than fit is led to the first of them, and
// has read what was in view.
func TestManyUnreadMessagesAreOpenedAtTheFirst(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bob := person{"u-2", "Bob"}
	p := newTab(t)
	p.visits(s, "garden", "lobby")
	var last said
	for i := range 60 {
		last = s.add(said{Room: "garden", User: bob, Text: fmt.Sprintf("News %d", i+1)})
	}
	p.title("(60) #lobby")
	p.run(row("garden") + ".click()")
	p.until("the line in view", inView+`(`+theLine+`)`)
	p.until("some of it to be read", `/^[1-5]\d new$/.test(document.querySelector("#jump-words").textContent) && !document.querySelector("#jump").hidden`)
	if !ask[bool](p, inView+`(`+theLine+`) && [...document.querySelectorAll("#log .message .text")].some((e) => e.textContent === "News 1" && `+inView+`(e))`) {
		t.Error("the first unread message is not in view")
	}
	p.until("the position to be kept", `new Map(JSON.parse(localStorage.getItem("chat.read"))).get("garden")`)
	if readUpTo(p, "garden") == last.ID {
		t.Error("what was not seen is read")
	}
	unread := `parseInt(document.querySelector("#jump-words").textContent)`
	before := ask[int](p, unread)
	p.wheels(300)
	p.until("more to be read", unread+` < `+fmt.Sprint(before))
	p.run(`document.querySelector("#jump").click()`)
	p.gets("News 60")
	p.title("#garden")
	p.until("all to be read", `new Map(JSON.parse(localStorage.getItem("chat.read"))).get("garden") === `+quote(last.ID))
	p.sound()
}

// The same after a reload, where most of what is unread was not loaded with the room.
func TestMoreUnreadThanAJoinBringsIsOpenedAtTheFirst(t *testing.T) {
	t.Parallel()
	s := filled(t, 300)
	p := newTab(t)
	p.goTo(s.URL + "/manifest.webmanifest")
	p.run(fmt.Sprintf(`localStorage.setItem("chat.read", JSON.stringify([["lobby", %q]]))`, s.logs["lobby"][99].ID))
	p.goTo(s.URL + "/r/lobby")
	p.until("the line above message 101", inView+`(`+theLine+`) && `+theLine+`.parentElement.querySelector(".text").textContent === "Message 101"`)
	p.sound()
}

func TestAVisibleWindowWithoutFocusIsUnreadUntilItHasIt(t *testing.T) {
	t.Parallel()
	s := filled(t, 5)
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.gets("Message 5")
	p.run(`globalThis.__hasFocus = false; document.hasFocus = () => __hasFocus; dispatchEvent(new Event("blur"))`)
	s.add(said{Room: "lobby", User: s.members[0], Text: "Are you there?"})
	e := s.add(said{Room: "lobby", User: s.members[0], Text: "@Ann?"})
	p.gets("@Ann?")
	p.title("(@1) #lobby")
	if got := readUpTo(p, "lobby"); got == e.ID {
		t.Error("it is read without focus")
	}
	p.run(`__hasFocus = true; dispatchEvent(new Event("focus"))`)
	p.title("#lobby")
	p.until("the line", theLine+`?.parentElement.querySelector(".text").textContent === "Are you there?"`)
	// One's own answer ends it.
	p.says("I am")
	p.gets("I am")
	p.until("the line to be gone", `!`+theLine)
	s.add(said{Room: "lobby", User: s.members[0], Text: "Good"})
	p.gets("Good")
	if ask[bool](p, `!!`+theLine) {
		t.Error("the line is back")
	}
	p.sound()
}

// Unread messages that a join does not bring count all the same, mentions among them, and stay
// unread over a reload until they were seen.
func TestUnreadMessagesBeyondAJoinStayUnreadUntilSeen(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bob := person{"u-2", "Bob"}
	p := newTab(t)
	p.visits(s, "garden", "lobby")
	for i := range 90 {
		text := fmt.Sprintf("News %d", i+1)
		if i == 60 {
			text += " @Ann"
		}
		s.add(said{Room: "garden", User: bob, Text: text})
	}
	p.title("(@1) #lobby")
	p.reload()
	p.online()
	p.title("(@1) #lobby")
	p.run(row("garden") + ".click()")
	first := `parseInt(` + theLine + `.parentElement.querySelector(".text").textContent.slice(5))`
	unread := `parseInt(document.querySelector("#jump-words").textContent)`
	p.until("the line above the first", inView+`(`+theLine+`) && `+first+` === 1`)
	p.until("some of it to be read, no more than is in view", `/^[67]\d new$/.test(document.querySelector("#jump-words").textContent)`)
	p.until("the position to be kept", `new Map(JSON.parse(localStorage.getItem("chat.read"))).get("garden")`)
	p.reload()
	p.online()
	p.until("the line above the first that was not seen", inView+`(`+theLine+`) && `+first+` > 5 && `+first+` < 31`)
	p.until("a count of what is below", unread+` > 25 && `+unread+` <= 91 - `+first)
	p.title("(@1) #garden")
	p.sound()
}
