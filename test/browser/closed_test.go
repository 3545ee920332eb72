package browser

import (
	"strings"
	"testing"
	"time"
)

// closed waits until the field accepts no text, and shows it to all users.
func (p *tab) closed(placeholder string) {
	p.t.Helper()
	p.until("the field to be closed: "+placeholder, `(() => {
		const say = document.querySelector("#say");
		return say.readOnly && say.placeholder === `+quote(placeholder)+` && document.querySelector("#send").disabled &&
			say.getAttribute("aria-describedby").includes("bar-words") && document.querySelector("#bar").getClientRects().length > 0;
	})()`)
}

// writable waits until the field accepts text.
func (p *tab) writable() {
	p.t.Helper()
	p.until("the field to be open", `!document.querySelector("#say").readOnly && document.querySelector("#say").placeholder.startsWith("Write to #")`)
}

// sees waits until a user is in the list of those who are online.
func (p *tab) sees(name string) {
	p.t.Helper()
	p.until(name, `[...document.querySelectorAll("#people-list .person-name")].some((e) => e.textContent === `+quote(name)+`)`)
}

// The field is closed for as long as a moderator decided: at once, after a reload, at
// another node, and for users who join later. The text in it stays.
func TestTheFieldIsClosedWithItsReasonAndOpensByItself(t *testing.T) {
	t.Parallel()
	c := start(t, "--nodes=2", "--jwt-secret="+jwtKey)
	mo := entersAs(t, c.url(1), "lobby", signed(t, "m", "Mo", true, time.Hour))
	as := "#token=" + signed(t, "a", "Ann", false, time.Hour)
	ann := entersAs(t, c.url(2), "lobby", signed(t, "a", "Ann", false, time.Hour))
	mo.sees("Ann")
	ann.focuses("#say")
	ann.types("A draft")
	mo.says("/mute @Ann 1h be kind")
	ann.closed("You are muted")
	ann.bar("Mo muted you until")
	ann.types(" that goes on") // the keyboard has no effect now
	ann.presses("Enter")
	ann.field("A draft")
	ann.reload()
	ann.online()
	ann.closed("You are muted")
	ann.bar("be kind.")
	ann.field("A draft")
	ann.goTo(c.url(1) + "/r/lobby" + as)
	ann.online()
	ann.closed("You are muted")
	mo.sees("Ann")
	mo.says("/unmute Ann")
	ann.writable()

	mo.says("/lock exam")
	ann.closed("This room is locked")
	mo.says("still here") // it does not bind moderators
	ann.gets("still here")
	bob := entersAs(t, c.url(2), "lobby", signed(t, "b", "Bob", false, time.Hour))
	bob.closed("This room is locked")
	bob.bar("Mo locked this room: exam. Only moderators can write.")
	bob.goTo(c.url(2) + "/r/attic")
	bob.online()
	bob.writable()
	mo.says("/unlock")
	ann.writable()

	mo.says("/mute @Ann 3s")
	ann.closed("You are muted")
	ann.writable()
	ann.run(`document.querySelector("#say").value = ""; document.querySelector("#say").dispatchEvent(new InputEvent("input"))`)

	mo.says("/slow 4s")
	bob.goTo(c.url(2) + "/r/lobby")
	bob.online()
	bob.writable()
	bob.says("First")
	bob.closed("Slow mode: please wait")
	bob.until("the countdown", `/You can write again in \d s/.test(document.querySelector("#bar-next").textContent)`)
	bob.focuses("#say")
	bob.presses("ArrowUp") // changes are not slowed
	bob.field("First")
	bob.types(", changed")
	bob.presses("Enter")
	mo.until("the change", `[...document.querySelectorAll("#log .text")].some((e) => e.textContent.startsWith("First, changed"))`)
	bob.writable()
	bob.says("Second")
	mo.gets("Second")
	for _, p := range []*tab{mo, ann, bob} {
		p.sound()
	}
}

// A ban outlives a reload: the field is closed, with the reason and the end, what was begun
// stays, and the page returns by itself when the ban is lifted.
func TestABannedUserFindsTheFieldClosedAndReturnsByThemselves(t *testing.T) {
	t.Parallel()
	node := start(t, "--jwt-secret="+jwtKey).url(1)
	mo := entersAs(t, node, "lobby", signed(t, "m", "Mo", true, time.Hour))
	ann := entersAs(t, node, "lobby", signed(t, "a", "Ann", false, time.Hour))
	mo.sees("Ann")
	ann.focuses("#say")
	ann.types("let me in")
	mo.says("/ban @Ann 1h rude")
	ann.bar("Mo banned you until")
	ann.closed("You can't write here")
	ann.reload()
	ann.online()
	ann.closed("You can't write here")
	ann.bar("You are banned here: rude. That holds until")
	ann.focuses("#say")
	ann.types(", please")
	ann.presses("Enter")
	ann.field("let me in")
	mo.says("/unban a")
	ann.writable()
	ann.presses("Enter")
	mo.gets("let me in")

	// Without a reload too.
	mo.says("/ban @Ann")
	ann.bar("Mo banned you")
	mo.says("/unban a")
	ann.writable()
	ann.says("I am back")
	mo.gets("I am back")
	for _, p := range []*tab{mo, ann} {
		p.sound()
	}
}

// A locked room offers nothing that it refuses, and keeps what an input method composed
// when the lock arrived. A command sends no typing.
func TestALockedRoomOffersWhatItAccepts(t *testing.T) {
	t.Parallel()
	node := start(t, "--jwt-secret="+jwtKey).url(1)
	mo := entersAs(t, node, "lobby", signed(t, "m", "Mo", true, time.Hour))
	ann := entersAs(t, node, "lobby", signed(t, "a", "Ann", false, time.Hour))
	ann.says("One")
	mo.gets("One")
	offered := `[...document.querySelectorAll(".actions button")].filter((e) => e.checkVisibility()).map((e) => e.dataset.do ?? e.dataset.emoji).join()`
	ann.opensLast()
	before := ask[string](ann, offered)
	for _, one := range []string{"react", "reply", "edit", "remove", "👍"} {
		if !strings.Contains(before, one) {
			t.Errorf("an open room offers %s, without %s", before, one)
		}
	}
	ann.does(ann.activate)
	ann.focuses("#say")
	ann.composes("に")
	mo.says("/lock")
	ann.bar("Mo locked this room")
	ann.commits("日本")
	ann.closed("This room is locked")
	ann.field("日本")
	ann.opensLast()
	after := ask[string](ann, offered)
	for _, one := range []string{"react", "reply", "edit", "👍"} {
		if strings.Contains(after, one) {
			t.Errorf("a locked room offers %s", after)
		}
	}
	if !strings.Contains(after, "remove") {
		t.Errorf("a locked room offers %s, but accepts deletions", after)
	}

	mo.says("/unlock")
	ann.writable() // what was sent before has come
	if got := ask[string](ann, `document.querySelector("#typing").textContent`); got != "" {
		t.Errorf("a command shows as %q", got)
	}
	mo.focuses("#say")
	mo.types("//unlock")
	ann.until("typing of a text", `document.querySelector("#typing").textContent.startsWith("\u2068Mo\u2069 is typing") || document.querySelector("#typing").textContent.startsWith("Mo is typing")`)
	for _, p := range []*tab{mo, ann} {
		p.sound()
	}
}
