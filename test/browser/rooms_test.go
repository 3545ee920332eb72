package browser

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

// visits opens rooms one after the other, so that they are of one's list.
func (p *tab) visits(s *stage, rooms ...string) {
	p.t.Helper()
	for _, room := range rooms {
		p.goTo(s.URL + "/r/" + room)
		p.online()
		p.until("room "+room, `(document.querySelector("#log .message") || !document.querySelector("#empty").hidden) && document.querySelector("#rooms-own [aria-current] .room-title")?.textContent === `+quote(room))
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

// A reload with more unread than a join brings counts all: it loads what is missing, and
// until then says "50+".
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
	p.title("(60) #lobby")
	p.until("the count", row("hardware")+`.querySelector(".room-unread").textContent === "60"`)
	p.sound()
}

// The heading once got its name only with the list of rooms, and moved the room's menu away from
// under the finger of a user who was about to tap it.
func TestTheHeadingChangesWithTheRoom(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := newTab(t)
	p.beforeLoad(`addEventListener("DOMContentLoaded", () => {
		globalThis.__headings = [];
		new MutationObserver(() => globalThis.__headings.push(document.querySelector("#room-name").textContent))
			.observe(document.querySelector("#app"), {attributes: true, attributeFilter: ["class"]});
	})`)
	p.visits(s, "hardware", "lobby")
	if headings := ask[[]string](p, "globalThis.__headings"); len(headings) == 0 || headings[0] != "lobby" {
		t.Errorf("when the page is online its heading is %q", headings)
	}
	if heading := ask[string](p, `(`+row("hardware")+`.click(), document.querySelector("#room-name").textContent)`); heading != "hardware" {
		t.Errorf("right after the change of rooms the heading is %q", heading)
	}
	p.sound()
}

// menu chooses something of the menu at the room's name, by keyboard.
func (p *tab) menu(choice string) {
	p.t.Helper()
	p.focuses("#room-menu summary")
	p.presses("Enter")
	p.until("the menu", `document.querySelector("#room-menu[open]") && document.querySelector("`+choice+`").checkVisibility()`)
	for range 10 {
		p.presses("Tab")
		if ask[bool](p, `document.activeElement.matches("`+choice+`")`) {
			p.presses("Enter")
			return
		}
	}
	p.t.Fatalf("Tab doesn't lead to %s", choice)
}

// A muted room keeps quiet, but where one is named; in all tabs.
func TestMutedRoomsKeepQuiet(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bob := person{"u-bob", "Bob"}
	p := newTab(t)
	p.visits(s, "lobby", "hardware")
	p.menu("#room-mute")
	p.until("the room to be mute", row("hardware")+`.matches(".muted")`)
	p.until("the focus where the menu was opened", `!document.querySelector("#room-menu[open]") && document.activeElement.matches("#room-menu summary")`)
	p.run(row("lobby") + ".click()")
	p.title("#lobby")
	second := p.another()
	second.goTo(s.URL + "/r/lobby")
	second.online()
	second.until("the room to be mute there", row("hardware")+`.matches(".muted")`)
	s.add(said{Room: "hardware", User: bob, Text: "quiet"})
	s.add(said{Room: "lobby", User: bob, Text: "loud"})
	for _, one := range []*tab{p, second} {
		one.gets("loud") // and so the quiet one came before
		one.title("#lobby")
		one.until("no count", row("hardware")+`.querySelector(".room-unread").hidden`)
	}
	s.add(said{Room: "hardware", User: bob, Text: "@Ann"})
	p.title("(@1) #lobby")
	second.run(row("hardware") + ".click()")
	second.until("the room", `document.querySelector("#room-name").textContent === "hardware"`)
	second.menu("#room-mute")
	p.until("the room to be loud again", row("hardware")+`.matches(":not(.muted)")`)
	p.sound()
	second.sound()
}

// Whoever leaves a room is in another one, and the address and Back know it.
func TestLeavingARoom(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bob := person{"u-bob", "Bob"}
	p := newTab(t)
	p.visits(s, "lobby")
	p.until("the menu not to offer it in the lobby alone", `document.querySelector("#room-leave").hidden`)
	p.visits(s, "garden", "hardware")
	p.run(row("lobby") + ".click()")
	p.until("the lobby", `document.querySelector("#room-name").textContent === "lobby"`)
	p.run(row("hardware") + ".click()")
	p.until("the room", `document.querySelector("#room-name").textContent === "hardware"`)
	second := p.another()
	second.goTo(s.URL + "/r/lobby")
	second.online()
	second.until("the list there", row("hardware"))
	p.menu("#room-leave")
	p.until("the room before it", `location.pathname === "/r/lobby" && document.querySelector("#room-name").textContent === "lobby"`)
	p.until("the field to have the focus", `document.activeElement.id === "say"`)
	p.until("the room to be out of the list", `!`+row("hardware"))
	second.until("it to be out of the other tab's too", `!`+row("hardware"))
	s.add(said{Room: "hardware", User: bob, Text: "@Ann are you there?"})
	s.add(said{Room: "lobby", User: bob, Text: "after it"})
	p.gets("after it")
	p.title("#lobby")
	p.reload()
	p.online()
	p.until("the list", row("garden"))
	if ask[bool](p, "!!"+row("hardware")) {
		t.Error("the room that was left is in the list again")
	}
	p.sound()
}

// room waits until a room is the one that is looked at, with the cursor in its field.
func (p *tab) room(name string) {
	p.t.Helper()
	p.until("the room "+name, `document.querySelector("#room-name").textContent === `+quote(name)+` && location.pathname === "/r/" + `+quote(name))
	p.until("the field to have the focus", `document.activeElement.id === "say"`)
}

// chosen waits until an option of the switcher is the one that Enter takes.
func (p *tab) chosen(words string) {
	p.t.Helper()
	p.until("the choice "+words, `document.getElementById(document.querySelector("#switcher-field").getAttribute("aria-activedescendant") ?? "")?.textContent.startsWith(`+quote(words)+`)`)
}

func TestGoingToRoomsByKeyboard(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bob := person{"u-bob", "Bob"}
	s.rooms = []map[string]any{{"room": "lobby", "count": 1}, {"room": "random", "count": 7}}
	p := newTab(t)
	p.visits(s, "garden", "hardware", "lobby")
	p.until("the list of rooms", row("random"))
	s.add(said{Room: "garden", User: bob, Text: "look"})
	p.title("(1) #lobby")
	p.focuses("#say")
	p.types("begun")

	// Where something is unread, first; then as they were visited.
	p.presses("k", chromedp.ModifierCtrl)
	p.chosen("#garden")
	p.presses("ArrowDown")
	p.chosen("#hardware")
	p.presses("ArrowUp")
	p.presses("ArrowUp")
	p.chosen("#random")
	p.presses("Escape")
	p.until("no dialog", `!document.querySelector("dialog[open]") && document.activeElement.id === "say"`)
	if got := ask[string](p, `document.querySelector("#say").value`); got != "begun" {
		t.Errorf("the field holds %q", got)
	}
	p.presses("k", chromedp.ModifierCtrl)
	p.types("hard")
	p.chosen("#hardware")
	p.presses("Enter")
	p.room("hardware")
	p.presses("k", chromedp.ModifierCtrl)
	p.types("attic")
	p.chosen("Open#attic")
	p.presses("Enter")
	p.room("attic")

	// Without it: the next, the one before, the next unread.
	p.presses("ArrowDown", chromedp.ModifierAlt)
	p.room("garden")
	p.presses("ArrowUp", chromedp.ModifierAlt)
	p.room("attic")
	p.presses("ArrowUp", chromedp.ModifierAlt)
	p.room("lobby")
	s.add(said{Room: "garden", User: bob, Text: "look again"})
	p.title("(1) #lobby")
	p.presses("ArrowUp", chromedp.ModifierAlt, chromedp.ModifierShift)
	p.room("garden")
	p.presses("ArrowUp", chromedp.ModifierAlt, chromedp.ModifierShift)
	p.presses("ArrowDown", chromedp.ModifierAlt)
	p.room("hardware") // with nothing unread, the key before did nothing

	// By mouse too.
	p.run(`document.querySelector("#go-room").click()`)
	p.chosen("#garden")
	p.run(`[...document.querySelectorAll("#switcher-list li")].find((e) => e.textContent.startsWith("#lobby")).click()`)
	p.room("lobby")
	p.sound()
}

// Rooms that nobody is in are listed, and found however many there are.
func TestRoomsWithoutAnybodyInThemAreFound(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.rooms = []map[string]any{{"room": "lobby", "count": 1, "last": 2}, {"room": "quiet", "count": 0, "last": 1}}
	for i := range 300 {
		s.others = append(s.others, map[string]any{"room": fmt.Sprintf("attic-%d", i), "count": 0, "last": 1})
	}
	p := newTab(t)
	p.visits(s, "lobby")
	p.until("the room nobody is in", row("quiet")+`?.querySelector(".room-count").textContent === ""`)
	if ask[bool](p, `document.querySelector("#rooms-other-label").hidden || !!`+row("attic-299")) {
		t.Error("the list has no title, or all rooms were asked for at once")
	}
	p.presses("k", chromedp.ModifierCtrl)
	p.types("attic-299")
	p.chosen("#attic-299")
	p.presses("Enter")
	p.room("attic-299")
	p.sound()
}

// found waits until the search lists these many messages.
func (p *tab) found(n int) {
	p.t.Helper()
	p.until(fmt.Sprintf("%d found", n), fmt.Sprintf(`document.querySelectorAll("#search-list li").length === %d`, n))
}

// The search finds at once in what is loaded, further back when asked, and leads
// to what it found.
func TestSearchFurtherBack(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bob := person{"u-bob", "Bob"}
	for i := range 900 {
		text := fmt.Sprintf("line %d", i)
		switch i {
		case 100:
			text = "the oldest Naïve one"
		case 870:
			text = "a <b>naive</b> one"
		case 871:
			text = "deleted naive one"
		}
		s.add(said{Room: "lobby", User: bob, Text: text})
	}
	s.add(said{Room: "lobby", User: bob, Kind: "delete", Target: s.logs["lobby"][871].ID})
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.gets("line 899")
	p.presses("f", chromedp.ModifierCtrl, chromedp.ModifierShift)
	p.until("the search", `document.activeElement.id === "search-field"`)
	p.types("NAIVE")
	p.found(1)
	if got := ask[string](p, `document.querySelector("#search-list p").textContent + [...document.querySelectorAll("mark")].map((e) => "|" + e.textContent)`); got != "a <b>naive</b> one|naive" {
		t.Errorf("it shows %q", got)
	}
	p.until("how far it has looked", `/^1 found\. Looked back to \d.*\.$/.test(document.querySelector("#search-words").textContent)`)

	// It can be stopped, and goes on.
	s.hold(true)
	p.run(`document.querySelector("#search-back").click()`)
	p.until("the button to stop it", `document.querySelector("#search-back").textContent === "Stop"`)
	p.run(`document.querySelector("#search-back").click()`)
	p.until("the button to go on", `document.querySelector("#search-back").textContent === "Search further back"`)
	s.hold(false)
	p.run(`document.querySelector("#search-back").click()`)
	p.found(2)
	p.until("all to be searched", `document.querySelector("#search-back").hidden && document.querySelector("#search-words").textContent === "2 found. Looked through all that is here."`)

	// Down to the older one, and there.
	p.presses("ArrowDown")
	p.presses("ArrowDown")
	p.presses("Enter")
	p.until("the message", `!document.querySelector("dialog[open]") && location.hash === "#`+s.logs["lobby"][100].ID+`" && [...document.querySelectorAll("#log .text")].some((e) => e.textContent === "the oldest Naïve one" && e.getBoundingClientRect().top > 0 && e.getBoundingClientRect().bottom < innerHeight)`)

	// As it is left, so it is found; another query begins anew.
	p.run(`document.querySelector(".search-open").click()`)
	p.found(2)
	p.types("line 8")
	p.found(100)
	p.until("a bound", `document.querySelector("#search-words").textContent === "The newest 100 are shown." && document.querySelector("#search-back").hidden`)
	p.presses("Enter")
	p.until("the newest of them", `location.hash === "#`+s.logs["lobby"][899].ID+`"`)
	p.sound()
}

// Where nodes are not to be seen the page speaks of one chat, and shows nothing of them.
func TestThePlainPageShowsNothingOfTheCluster(t *testing.T) {
	t.Parallel()
	for ui, shows := range map[string]bool{"plain": false, "demo": true} {
		s := newStageThatShows(t, ui)
		s.nodes = []server{{"n2", "http://127.0.0.1:1"}}
		bob := person{"u-bob", "Bob"}
		s.add(said{Room: "lobby", User: bob, Text: "by one"})
		s.add(said{Room: "lobby", User: bob, Text: "by another", Node: "n2"})
		p := newTab(t)
		p.visits(s, "lobby")
		p.gets("by another")
		p.bar("You are the only one here.")
		for what, seen := range map[string]string{
			"the pill":        `document.querySelector("#pill").checkVisibility()`,
			"the cluster":     `[...document.querySelectorAll("a")].some((a) => a.pathname === "/cluster" && a.checkVisibility())`,
			"a node's colour": `[...document.querySelectorAll("#log .message")].some((m) => /node-[1-8]/.test(m.className))`,
			"a node's number": `[...document.querySelectorAll(".message-node")].some((m) => m.textContent !== "" || m.title !== "")`,
			"the other node":  `document.querySelector("#bar-link").checkVisibility()`,
		} {
			if got := ask[bool](p, seen); got != shows {
				t.Errorf("%s: %s is shown: %v", ui, what, got)
			}
		}
		p.sound()
	}
}

// Wherever one is told of nodes or looks for rooms, the live picture is a step away.
func TestTheClusterIsAStepAway(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	if n := ask[int](p, `[...document.querySelectorAll("#rooms a, #pill a")].filter((a) => a.textContent === "See the cluster live" && a.pathname === "/cluster").length`); n != 2 {
		t.Errorf("%d links lead there", n)
	}
	p.goTo(ask[string](p, `document.querySelector(".side-foot").href`))
	p.until("the picture", `document.querySelector("h1").textContent === "The cluster, live"`)
	p.sound()
}

// The list of a real node has them, too.
func TestARoomThatEverybodyLeftIsListed(t *testing.T) {
	t.Parallel()
	node := start(t).url(1)
	p := open(t, node)
	p.online()
	p.run(`(async () => {
		const { connect } = await import("/client.js");
		const chat = await connect({room: "quiet", storage: false});
		const sent = new Promise((done) => chat.on("sent", done));
		chat.say("Is anybody here?");
		await sent;
		chat.close();
	})()`)
	ann := open(t, node)
	ann.online()
	ann.until("the room", row("quiet")+`?.querySelector(".room-count").textContent === ""`)
	ann.run(row("quiet") + ".click()")
	ann.gets("Is anybody here?")
	ann.sound()
}
