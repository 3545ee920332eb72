package browser

import (
	"strings"
	"testing"
	"time"
)

// moderates opens the menu about a person, in the list of people, and waits for it.
func (p *tab) moderates(name string) {
	p.t.Helper()
	button := `[aria-label=` + quote("Kick, ban or mute "+name) + `]`
	p.pushes(`document.querySelector(` + quote(button) + `)`)
	p.until("the menu about "+name, `document.querySelector("#desk")?.open && document.querySelector("#desk-title").textContent.startsWith(`+quote(name+" in #")+`)`)
}

// orders presses a button of the moderator's dialog, and waits for what came of it.
func (p *tab) acts(action, words string) {
	p.t.Helper()
	p.run(`document.querySelector("#desk [data-action=` + action + `]").click()`)
	p.until("the end of "+action, `!document.querySelector("#desk")`)
	p.noted(words)
}

// A moderator's menus, by keyboard, with others on another node.
func TestAModeratorsMenus(t *testing.T) {
	t.Parallel()
	c := start(t, "--nodes=2", "--jwt-secret="+jwtKey)
	mo := entersAs(t, c.url(1), "lobby", signed(t, "m", "Mo", true, time.Hour))
	ann := entersAs(t, c.url(2), "lobby", signed(t, "a", "Ann", false, time.Hour))
	ann.says("Something rude")
	mo.gets("Something rude")
	mo.sees("Ann")
	mo.run(rings)

	// At a person.
	mo.until("the button", `document.querySelector(".person-do")`)
	mo.focuses("#people-toggle")
	mo.tabTo(".person-do")
	mo.key("ArrowUp") // there is one only: nobody moderates oneself
	mo.holds(`[aria-label="Kick, ban or mute Ann"]`)
	mo.key("Enter")
	mo.holds("#desk-reason")
	mo.types("be kind")
	mo.tabTo("#desk-time")
	mo.run(`document.querySelector("#desk-time").value = "3600"`)
	mo.tabTo("#desk [data-action=mute]")
	mo.key("Enter")
	mo.noted("Muted Ann until")
	mo.holds(`[aria-label="Kick, ban or mute Ann"]`)
	ann.closed("You are muted")
	ann.bar(": be kind.")

	// At a message.
	mo.focuses("#say")
	mo.walkTo("Something rude")
	mo.key("Enter")
	mo.run(`document.querySelector(".actions [data-do=moderate]").focus()`)
	mo.key("Enter")
	mo.until("the menu", `document.querySelector("#desk-title")?.textContent === "Ann in #lobby"`)
	mo.presses("Escape")
	mo.until("its end", `!document.querySelector("#desk")`)
	mo.moderates("Ann")
	mo.acts("unmute", "No longer muted: Ann.")
	ann.writable()

	// At the room.
	mo.menu("#room-slow")
	mo.until("slow mode", `document.querySelector("#desk-pause")?.value === "30" && document.querySelector("#desk [data-action=off]").hidden`)
	mo.holds("#desk-pause")
	mo.types("5") // in place of the 30
	mo.key("Enter")
	mo.noted("one message in 5 s")
	ann.says("First")
	ann.closed("Slow mode: please wait")
	mo.menu("#room-slow")
	mo.until("its pause", `document.querySelector("#desk-pause")?.value === "5"`)
	mo.acts("off", "Slow mode is off.")
	ann.writable()
	mo.menu("#room-lock")
	mo.noted("Locked.")
	ann.closed("This room is locked")
	mo.until("the other choice", `document.querySelector("#room-lock").textContent === "Unlock this room"`)
	mo.reload()
	mo.online()
	mo.until("the other choice again", `document.querySelector("#room-lock")?.textContent === "Unlock this room"`)
	mo.menu("#room-lock")
	mo.noted("Everyone can write here.")
	ann.writable()

	mo.sees("Ann")
	mo.moderates("Ann")
	mo.acts("kick", "Kicked Ann.")
	ann.until("the kick", `/Mo removed you/.test(document.querySelector("#bar-words").textContent)`)
	for _, p := range []*tab{mo, ann} {
		p.sound()
	}
}

// A ban from the menu of a message, whose author may be offline, and its end.
func TestAModeratorBansFromAMessage(t *testing.T) {
	t.Parallel()
	node := start(t, "--jwt-secret="+jwtKey).url(1)
	mo := entersAs(t, node, "lobby", signed(t, "m", "Mo", true, time.Hour))
	ann := entersAs(t, node, "lobby", signed(t, "a", "Ann", false, time.Hour))
	ann.says("Something rude")
	mo.gets("Something rude")
	about := func() {
		t.Helper()
		mo.pushesAtLast("moderate")
		mo.until("the menu", `document.querySelector("#desk")?.open`)
	}
	about()
	mo.acts("ban", "Banned Ann until")
	ann.until("the ban", `/Mo banned you until/.test(document.querySelector("#bar-words").textContent)`)
	about()
	mo.acts("unban", "No longer banned: Ann.")
	ann.run(`document.querySelector("#bar-action").click()`)
	ann.until("her return", `document.querySelector("#app.online")`)
	mo.sound()
}

// Others neither see nor load what moderators have, and are told so by the command.
func TestOthersSeeNoModeration(t *testing.T) {
	t.Parallel()
	node := start(t, "--jwt-secret="+jwtKey).url(1)
	mo := entersAs(t, node, "lobby", signed(t, "m", "Mo", true, time.Hour))
	ann := entersAs(t, node, "lobby", signed(t, "a", "Ann", false, time.Hour))
	mo.says("Hello")
	ann.gets("Hello")
	ann.opensLast()
	for _, command := range []string{"/kick @Mo", "/lock", "/slow 30"} {
		ann.says(command)
		ann.noted("Only moderators do that.")
		ann.field(command)
		ann.run(`document.querySelector("#say").value = ""`)
	}
	ann.says("/help")
	ann.until("the help", `document.querySelector("#help")?.open`)
	for what, script := range map[string]string{
		"in the page":           `[...document.querySelectorAll(".person-do, #room-slow, #room-lock, [data-do=moderate]")].filter((e) => e.checkVisibility()).map((e) => e.outerHTML)`,
		"in the help":           `[...document.querySelectorAll("#help-commands dt, #help-commands dd")].filter((e) => e.checkVisibility() && /moderat/.test(e.textContent)).map((e) => e.textContent)`,
		"among what was loaded": `performance.getEntriesByType("resource").map(({name}) => name).filter((name) => /desk-/.test(name))`,
	} {
		if got := ask[[]string](ann, script); len(got) > 0 {
			t.Errorf("%s: %s", what, strings.Join(got, "\n"))
		}
	}
	// Errors of commands say what to do, and leave what was written.
	for command, words := range map[string]string{
		"/mute Annabel": "Nobody here has that name.", "/slow soon": "Write a time after /slow, as 30s or 5m, or off.",
		"/kick": "Write a name after /kick.", "/slow 999999d": "A time can be ten years at most.", "/mute @Ann 30": `"30" is no time:`, "/ban @Mo": "You can't ban yourself.",
	} {
		mo.says(command)
		mo.noted(words)
		mo.field(command)
		mo.run(`document.querySelector("#say").value = ""`)
	}
	ann.sound()
	mo.sound()
}

// Under a finger the menus are large enough, and at 320 pixels with letters of twice the
// size nothing is cut off.
func TestAModeratorsMenusFit(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	talk(s, leftToRight, 4)
	p := newTab(t)
	p.touches()
	p.goTo(s.URL + "/r/lobby#token=" + signed(t, "m", "Mo", true, time.Hour))
	p.online()
	p.until("the menus", `document.querySelector(".person-do") && document.querySelector("#log .row:last-child .message .text")`)
	fits := func(where string) {
		t.Helper()
		for _, one := range ask[[]string](p, small) {
			t.Errorf("%s: too small for a finger: %s", where, one)
		}
	}
	p.finger(true, "#log .row:last-child .message .text")
	p.until("the sheet", `document.querySelector(".actions.sheet")`)
	p.finger(false, "#log .row:last-child .message .text")
	fits("the sheet")
	p.taps(".sheet [data-do=moderate]")
	p.until("the menu", `document.querySelector("#desk")?.open`)
	fits("the menu")
	p.taps("#desk [data-shut]")
	p.taps("#people-toggle")
	p.until("the people", `document.querySelector(".person-do").checkVisibility()`)
	fits("the people")
	p.run(`document.querySelector("#people .side-close").click()`)

	p.size(320, 568)
	for _, open := range []string{`document.querySelector(".person-do").click()`, `document.querySelector("#room-slow").click()`} {
		p.run(open)
		p.until("the dialog", `document.querySelector("#desk")?.open`)
		p.run(lettersNoted)
		p.run(`document.documentElement.style.fontSize = "200%"`)
		for _, one := range ask[[]string](p, ungrown) {
			t.Errorf("it did not grow: %s", one)
		}
		for _, wide := range ask[[]string](p, `[...document.querySelectorAll("#desk, #desk *")].filter((e) =>
			e.getBoundingClientRect().right > innerWidth || e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && !e.matches("svg, svg *, input")).map((e) => e.outerHTML.slice(0, 120))`) {
			t.Errorf("wider than its place: %s", wide)
		}
		p.run(`document.querySelector("#desk [data-shut]").click(); document.documentElement.style.fontSize = ""`)
	}
	p.sound()
}
