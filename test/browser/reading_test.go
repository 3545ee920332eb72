package browser

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// wheels turns the mouse's wheel over the messages; up is negative.
func (p *tab) wheels(pixels float64) {
	p.t.Helper()
	p.do(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		_, err := cdp.Call(ctx, s, input.DispatchMouseEvent, input.DispatchMouseEventParams{
			Type: input.DispatchMouseEventTypeMouseWheel, X: 700, Y: 400, DeltaY: pixels,
			DeltaX: 1e-6, // the browser wants one, and zero is left out of the command
		})
		return err
	}))
}

// filled is a stage whose lobby has so many messages, "Message 1" and on.
func filled(t *testing.T, n int) *stage {
	t.Helper()
	s := newStage(t)
	s.members = []person{{"u-2", "Bob"}}
	began := time.Now().Add(-time.Duration(n) * time.Minute)
	for i := range n {
		s.add(said{Room: "lobby", User: s.members[0], Text: fmt.Sprintf("Message %d", i+1), Time: began.Add(time.Duration(i) * time.Minute).UnixMilli()})
	}
	return s
}

func TestALinkLeadsToItsMessageHoweverFarBack(t *testing.T) {
	t.Parallel()
	s := filled(t, 700)
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby#" + s.logs["lobby"][99].ID)
	p.until("the message in view", `(() => {
		const message = [...document.querySelectorAll("#log .message")].find((e) => e.querySelector(".text").textContent === "Message 100");
		if (!message) return false;
		const [box, frame] = [message.getBoundingClientRect(), document.querySelector("#scroll").getBoundingClientRect()];
		return box.top >= frame.top && box.bottom <= frame.bottom;
	})()`)
	// The page reports messages that are gone, and shows the rest of the room.
	p.goTo("about:blank")
	p.goTo(s.URL + "/r/lobby#1500000000000-9999")
	p.until("the words", `document.querySelector("#older").textContent.includes("no longer available")`)
	p.gets("Message 700")
	p.sound()
}

// still waits until nothing scrolls.
const still = `new Promise((done) => {
	const scroll = document.querySelector("#scroll");
	let [last, since] = [-1, performance.now()];
	const look = () => {
		if (scroll.scrollTop !== last) [last, since] = [scroll.scrollTop, performance.now()];
		if (performance.now() - since > 200) done(); else requestAnimationFrame(look);
	};
	look();
})`

// At the first message that is there the reader waits for those before it: when
// they come, its day and its name go, but not the words.
func TestTheFirstMessageStaysWhenOlderOnesCome(t *testing.T) {
	t.Parallel()
	s := filled(t, 300)
	s.hold(true)
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.gets("Message 300")
	p.wheels(-3000)
	p.until("the wait", `document.querySelector("#older").textContent.includes("Loading")`)
	p.run(still)
	const place = `document.querySelector('#log [data-key="%s"] .text').getBoundingClientRect().top`
	key := s.logs["lobby"][250].ID
	before := ask[float64](p, fmt.Sprintf(place, key))
	s.hold(false)
	p.until("older ones", `document.querySelector("#log .text").textContent !== "Message 251"`)
	p.run(still)
	if after := ask[float64](p, fmt.Sprintf(place, key)); math.Abs(after-before) > 1 {
		t.Errorf("the words moved from %.1f to %.1f", before, after)
	}
	p.sound()
}

// A reader further up is not moved by new messages, is notified of them, and reaches them
// by one press.
func TestTheReadersPlaceStaysWhileMessagesCome(t *testing.T) {
	t.Parallel()
	s := filled(t, 300)
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.gets("Message 300")
	p.wheels(-1500)
	p.until("the end to be out of sight", `!document.querySelector("#jump").hidden`)
	p.run(still)
	read := ask[string](p, `document.elementFromPoint(700, 400).closest(".row").querySelector(".message").dataset.key`)
	place := func() float64 {
		return ask[float64](p, `document.querySelector('#log [data-key="`+read+`"]').getBoundingClientRect().top`)
	}
	before := place()
	for i := range 25 {
		s.add(said{Room: "lobby", User: s.members[0], Text: fmt.Sprintf("News %d", i+1)})
	}
	p.until("the number of what is new", `document.querySelector("#jump-words").textContent === "25 new"`)
	// What stands above grows: the row before the first that is seen.
	above := ask[string](p, `(() => {
		const {top} = document.querySelector("#scroll").getBoundingClientRect();
		return [...document.querySelectorAll("#log .message")].filter((e) => e.getBoundingClientRect().bottom < top).at(-1).dataset.key;
	})()`)
	s.add(said{Room: "lobby", User: s.members[0], Kind: "edit", Target: above, Text: strings.Repeat("It says more now.\n", 12)})
	p.until("the edit", `document.querySelector('#log [data-key="`+above+`"] .text').textContent.includes("more now")`)
	p.run(still)
	if after := place(); math.Abs(after-before) > 1 {
		t.Errorf("what was read moved from %.1f to %.1f", before, after)
	}
	p.run(`document.querySelector("#jump").click()`)
	p.gets("News 25")
	p.until("the end", `document.querySelector("#jump").hidden`)
	// At the end, the newest stays in view.
	s.add(said{Room: "lobby", User: s.members[0], Text: "The last"})
	p.gets("The last")
	p.until("the last in view", `(() => { const {scrollTop, scrollHeight, clientHeight} = document.querySelector("#scroll"); return scrollHeight - scrollTop - clientHeight < 2; })()`)
	p.sound()
}

// Users who join later see messages as they stand: edited, deleted, and with reactions of
// more users than are listed.
func TestNewcomersSeeMessagesAsTheyStand(t *testing.T) {
	t.Parallel()
	node := start(t, "--rate=0").url(1)
	bob := open(t, node)
	bob.online()
	bob.run(`(async () => {
		const { connect } = await import("/client.js");
		const crowd = await Promise.all(Array.from({length: 25}, (_, i) => connect({room: "lobby", storage: false, name: "user" + i})));
		const settled = (chat) => new Promise((done) => {
			const look = () => chat.user && chat.pending().length === 0 && done();
			for (const event of ["outbox", "state"]) chat.on(event, look);
			look();
		});
		const [first] = crowd;
		const ids = [];
		first.on("sent", ({id, kind}) => kind || ids.push(id));
		for (const text of ["liked", "wrong", "gone", "last"]) first.say(text);
		await settled(first);
		first.edit(ids[1], "right");
		first.remove(ids[2]);
		for (const chat of crowd) chat.react(ids[0], "👍");
		// So many that each would be one of fifty entries.
		for (let i = 0; i < 60; i++) first.react(ids[1], "🎉", i % 2 === 0), await settled(first);
		await Promise.all(crowd.map(settled));
		globalThis.crowd = crowd;
	})()`)
	ann := open(t, node)
	ann.online()
	ann.gets("last")
	const count = `document.querySelector(".reaction .reaction-count")?.textContent`
	ann.until("all who reacted to be counted", count+` === "25"`)
	if got := ask[string](ann, `[...document.querySelectorAll("#log .message:not(.pending) .text")].map((e) => e.textContent).join("|")`); got != "liked|right (edited)|last" {
		t.Errorf("the messages are %q", got)
	}
	ann.run(`document.querySelector(".reaction").click()`)
	ann.until("one's own to count", count+` === "26" && document.querySelector(".reaction").getAttribute("aria-pressed") === "true" && !document.querySelector(".reaction.waiting")`)
	bob.until("it to count there too", count+` === "26"`)
	bob.run(`crowd[1].react(document.querySelector("#log .message").dataset.key, "👍", false)`)
	for _, p := range []*tab{ann, bob} {
		p.until("one to be gone", count+` === "25"`)
	}
	ann.reload()
	ann.online()
	ann.until("the same after a reload", count+` === "25"`)
	bob.run(`crowd.forEach((chat) => chat.close())`)
	ann.sound()
	bob.sound()
}
