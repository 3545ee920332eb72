package browser

import (
	"strings"
	"testing"

	"example.com/chat/internal/chattest"
)

// unseen makes a page one that nobody looks at, and its notifications ones that a
// test can see and click.
const unseen = `(() => {
	Object.defineProperty(document, "hidden", {value: true});
	document.hasFocus = () => false;
	globalThis.__told = [];
	globalThis.Notification = class {
		static permission = "default";
		static async requestPermission() { return this.permission = "granted"; }
		constructor(title, options) { __told.push({title, ...options, click: () => this.onclick()}); }
		close() { this.onclose?.(); }
	};
})()`

// A user who is mentioned while no tab has the focus is notified by one tab, which leads
// to the message.
func TestNotificationsOfMentions(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bob := person{"u-bob", "Bob"}
	p := newTab(t)
	p.visits(s, "garden", "lobby")
	p.run(unseen)
	p.run(`document.querySelector("#room-menu summary").click()`)
	p.until("the switches to be off", `document.querySelector("#room-menu[open]") && !document.querySelector("#notify").checked && !document.querySelector("#sound").checked`)
	p.run(`document.querySelector("#notify").click()`)
	p.until("to be asked, and the switch to stay on", `Notification.permission === "granted" && document.querySelector("#notify").checked && localStorage.getItem("chat.notify") === "true"`)
	chattest.Eventually(t, "the connection of the page before to end", func() bool { return s.joined("") == 1 })
	second := p.another()
	second.goTo(s.URL + "/r/lobby")
	second.online()
	chattest.Eventually(t, "both tabs to join the room that is not shown", func() bool { return s.joined("garden") == 2 })
	second.run(unseen + `; Notification.permission = "granted"`)
	s.add(said{Room: "garden", User: bob, Text: "not for you"})
	e := s.add(said{Room: "garden", User: bob, Text: "> @Ann #1-1: what?\n**@Ann** look"}) // told as it is shown
	told := func(p *tab) int { return ask[int](p, "__told.length") }
	for _, one := range []*tab{p, second} {
		one.title("(@1) #lobby")
		one.until("a tab to have seen to it", `(localStorage.getItem("chat.told") ?? "").includes("`+e.ID+`")`)
	}
	chattest.Eventually(t, "a tab to tell", func() bool { return told(p)+told(second) > 0 })
	teller := p
	if told(second) > 0 {
		teller = second
	}
	if n := told(p) + told(second); n != 1 {
		t.Errorf("it is told %d times", n)
	}
	if got := ask[string](teller, `JSON.stringify([__told[0].title, __told[0].body, __told[0].tag])`); got != `["Bob in #garden","@Ann look","garden#`+e.ID+`"]` {
		t.Errorf("it tells %s", got)
	}
	teller.run("__told[0].click()")
	teller.until("the message", `location.pathname === "/r/garden" && location.hash === "#`+e.ID+`" && document.querySelector("#room-name").textContent === "garden"`)
	p.sound()
	second.sound()
}

// If the browser has no notifications for a page, the switch shows that.
func TestNoNotificationsOnPlainHTTP(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := open(t, strings.Replace(s.URL, "127.0.0.1", lan, 1)+"/r/lobby")
	p.online()
	p.run(`document.querySelector("#room-menu summary").click()`)
	p.until("the reason", `document.querySelector("#notify").disabled && document.querySelector("#notify-note").checkVisibility() && document.querySelector("#notify-note").textContent === "Your browser allows notifications only over https."`)
	p.run(`document.querySelector("#sound").click()`)
	p.until("the sound to be on all the same", `document.querySelector("#sound").checked && localStorage.getItem("chat.sound") === "true"`)
	p.sound()
}

// A notification closes when its reason has passed.
func TestNotificationsCloseWithTheirReason(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bob := person{"u-bob", "Bob"}
	p := newTab(t)
	p.visits(s, "garden", "lobby")
	p.run(unseen + `; Notification.permission = "granted"; localStorage.setItem("chat.notify", "true")
		globalThis.__open = new Set();
		globalThis.Notification = class extends Notification {
			constructor(title, options) { super(title, options); this.body = options.body; __open.add(this); }
			close() { __open.delete(this); super.close(); }
		}`)
	open := `[...__open].map(({body}) => body).join()`
	for name, ends := range map[string]func(e said){
		"deleted": func(e said) { s.add(said{Room: "garden", User: bob, Kind: "delete", Target: e.ID}) },
		"changed": func(e said) {
			s.add(said{Room: "garden", User: bob, Kind: "edit", Target: e.ID, Text: "never mind"})
		},
		"read in another tab": func(e said) {
			p.run(`localStorage.setItem("chat.read", JSON.stringify([["garden", "` + e.ID + `"]])); dispatchEvent(new StorageEvent("storage", {key: "chat.read"}))`)
		},
	} {
		p.run(`{ const { now } = Date; Date.now = () => now() + 10_000; }`) // the last one was a while ago
		e := s.add(said{Room: "garden", User: bob, Text: "@Ann " + name})
		p.until("the notification", open+` === `+quote("@Ann "+name))
		ends(e)
		p.until("it to be closed when it was "+name, open+` === ""`)
	}
	p.sound()
}

// Mentions that follow soon after one that was notified take its place after a pause.
func TestTheNewestOfManyMentionsIsNotified(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bob := person{"u-bob", "Bob"}
	p := newTab(t)
	p.visits(s, "garden", "lobby")
	p.run(unseen + `; Notification.permission = "granted"; localStorage.setItem("chat.notify", "true")
		globalThis.__open = new Set();
		globalThis.Notification = class extends Notification {
			constructor(title, options) { super(title, options); this.body = options.body; __open.add(this); }
			close() { __open.delete(this); super.close(); }
		}`)
	open := `[...__open].map(({body}) => body).join()`
	s.add(said{Room: "garden", User: bob, Text: "@Ann one"})
	p.until("the first", open+` === "@Ann one"`)
	s.add(said{Room: "garden", User: bob, Text: "@Ann two"})
	s.add(said{Room: "garden", User: bob, Text: "@Ann three"})
	p.title("(@3) #lobby")
	p.until("the newest in its place", open+` === "@Ann three"`)
	if n := ask[int](p, "__told.length"); n != 2 {
		t.Errorf("%d notifications in three seconds", n)
	}
	p.sound()
}
