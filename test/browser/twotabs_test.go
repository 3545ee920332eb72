package browser

import "testing"

// removes deletes the message with this text, and confirms it.
func (p *tab) removes(text string) {
	p.t.Helper()
	message := `[...document.querySelectorAll("#log .message")].find((e) => e.querySelector(".text")?.textContent === ` + quote(text) + `)`
	p.does(p.activate)
	p.run(message + `.focus()`)
	p.pushes(message + `.querySelector(".actions [data-do=remove]")`)
	p.pushes(message + `.querySelector(".ask [data-do=remove]")`)
}

// outboxEmpty waits until nothing waits in storage, whichever tab wrote it.
func (p *tab) outboxEmpty() {
	p.t.Helper()
	p.until("nothing to wait in storage", `Object.keys(localStorage).every((key) => !key.includes("outbox.") || localStorage.getItem(key) === "[]")`)
}

// twoTabs opens two tabs of one person through a gate, and one of another person past it.
func twoTabs(t *testing.T, newTab opener) (g *gate, tabs [2]*tab, bob *tab) {
	t.Helper()
	g = newGate(t, "127.0.0.1")
	start(t, "--advertise="+g.URL, "--addr="+g.to).url(1)
	one := newTab.at(t, g.URL+"/r/garden")
	one.online()
	tabs = [2]*tab{one, one.another()}
	for _, p := range tabs {
		p.goTo(g.URL + "/r/lobby")
		p.online()
	}
	bob = newTab.at(t, "http://"+g.to+"/r/lobby")
	bob.online()
	return g, tabs, bob
}

// tryNow has tabs try to connect at once, as where the network is back.
func tryNow(tabs [2]*tab) {
	for _, p := range tabs {
		p.run(`dispatchEvent(new Event("online"))`)
	}
}

func TestMessagesThatWaitInTwoTabsArriveOnce(t *testing.T) {
	t.Parallel()
	outboxesOfTwoTabs(t, newTab)
}

func outboxesOfTwoTabs(t *testing.T, newTab opener) {
	g, tabs, bob := twoTabs(t, newTab)
	one, two := tabs[0], tabs[1]
	g.close()
	one.says("From the first")
	two.says("From the second")
	one.waits("From the first")
	two.waits("From the second")
	one.reload() // takes its own messages, and leaves those of the other tab
	one.waits("From the first")
	if n := one.count("From the second"); n != 0 {
		t.Errorf("the first tab has the second one's message %d times", n)
	}
	g.open()
	tryNow(tabs)
	for _, p := range []*tab{one, two, bob} {
		p.gets("From the first")
		p.gets("From the second")
	}
	one.outboxEmpty()
	one.reload()
	one.online()
	for _, p := range []*tab{one, two, bob} {
		p.gets("From the first")
		p.gets("From the second")
		p.sound()
	}
}

// What was refused because its message is gone stayed in storage for good, counted as
// waiting, and kept its user in a room that was left.
func TestWhatIsMootInTwoTabsIsDropped(t *testing.T) {
	t.Parallel()
	mootInTwoTabs(t, newTab)
}

func mootInTwoTabs(t *testing.T, newTab opener) {
	g, tabs, bob := twoTabs(t, newTab)
	one, two := tabs[0], tabs[1]
	one.says("Deleted twice")
	bob.says("Deleted before the reaction")
	for _, p := range []*tab{one, two, bob} {
		p.gets("Deleted twice")
		p.gets("Deleted before the reaction")
	}
	g.close()
	for _, p := range tabs {
		p.until("the connection to be gone", `!document.querySelector("#app.online")`)
		p.removes("Deleted twice")
	}
	last := `[...document.querySelectorAll("#log .message")].at(-1)`
	two.does(two.activate)
	two.run(last + `.focus()`)
	two.pushes(last + `.querySelector(".actions [data-do=react]")`)
	two.pushes(`document.querySelector("#picker-grid button")`)
	two.until("the reaction", `document.querySelector("#log .reaction")`)
	bob.removes("Deleted before the reaction")
	bob.until("the deletion", `document.querySelectorAll("#log .message").length === 1`)
	g.open()
	tryNow(tabs)
	for _, p := range tabs {
		p.online()
		p.until("both messages to be gone", `!document.querySelector("#log .message, #log .fate")`)
	}
	two.outboxEmpty()
	for _, p := range tabs {
		p.says("/part")
		p.until("another room", `document.querySelector("#room-name").textContent === "garden"`)
	}
	bob.until("Bob to be alone", `document.querySelectorAll("#people-list .person").length === 1`)
	two.reload()
	two.online()
	two.until("the list without the room", row("garden")+` && !document.querySelector('#rooms-own a[href="/r/lobby"]')`)
	for _, p := range []*tab{one, two, bob} {
		p.sound()
	}
}
