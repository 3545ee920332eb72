package browser

import (
	"fmt"
	"slices"
	"testing"
)

// marksOf returns where each "!" of a message is drawn, in the order of its text: on
// which side of the letter before it, and at which edge of its line's block.
func marksOf(p *tab, id string) []string {
	p.t.Helper()
	return ask[[]string](p, `(() => {
		const words = document.querySelector('#log .message[data-key="`+id+`"] .text');
		const at = (node, i) => { const r = document.createRange(); r.setStart(node, i); r.setEnd(node, i + 1); return r.getBoundingClientRect(); };
		const found = [];
		const walk = document.createTreeWalker(words, NodeFilter.SHOW_TEXT);
		for (let node; (node = walk.nextNode());) {
			for (let i = node.data.indexOf("!"); i > 0; i = node.data.indexOf("!", i + 1)) {
				const [mark, before] = [at(node, i), at(node, i - 1)];
				const box = node.parentElement.closest("li, blockquote, .text").getBoundingClientRect();
				found.push(mark.left < before.left ? (box.width < 400 || mark.left > box.left + 40 ? "left" : "left, at the wrong edge") : mark.right < box.right - 40 ? "right" : "right, at the wrong edge");
			}
		}
		return found;
	})()`)
}

// A message had the direction of its first letter in all its lines: a Hebrew answer to an
// English quote stood at the left, with its "!" at the wrong end.
func TestEachLineHasItsOwnDirection(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bob := person{"u-2", "Bob"}
	s.members = []person{bob, {"u-3", "דנה"}}
	const rtl, ltr = "left", "right" // of the letter before
	cases := []struct {
		text string
		want []string
	}{
		{"> @Bob #1-1: see you\nכן, אני מגיע מחר!", []string{rtl}},
		{"Version 2.0:\nשלום לכולם!", []string{rtl}},
		{"- one!\n- שלום לכולם!", []string{ltr, rtl}},
		{"```\ncode\n```\nשלום לכולם!", []string{rtl}},
		{"@Bob שלום לכולם!", []string{rtl}},
		{"`code` #lobby שלום לכולם!", []string{rtl}},
		{"https://a.example/ שלום לכולם!", []string{rtl}},
		{"שלום\nHello there!", []string{ltr}},
		{"@דנה hello there!", []string{ltr}},
		{"> שלום לכולם!\n> Hello there!\nAnd you!", []string{rtl, ltr, ltr}},
		{"1. one!\n2. @Bob שלום לכולם!\n   - again!", []string{ltr, rtl, ltr}},
		{"/me שלום לכולם!", []string{rtl}},
		// The name decides where nothing else does.
		{"@דנה 1!", []string{rtl}},
		{"`x` @דנה 1!", []string{rtl}},
		{"**@דנה** 1! https://a.example/", []string{rtl}},
		{"Hello!\n@דנה 1!\n@Bob 1!", []string{ltr, rtl, ltr}},
		{"@דנה @Bob 1!", []string{rtl}},
		{"@Bob @דנה 1!", []string{ltr}},
		{"- @דנה 1!", []string{rtl}},
		{"[שלום](https://a.example/) 1!", []string{rtl}},
	}
	ids := make([]string, len(cases))
	for i, c := range cases {
		ids[i] = s.add(said{Room: "lobby", User: bob, Text: c.text}).ID
	}
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.until("the messages", `document.querySelectorAll("#log .message").length === `+fmt.Sprint(len(cases)))
	for i, c := range cases {
		if got := marksOf(p, ids[i]); !slices.Equal(got, c.want) {
			t.Errorf("%q: its marks are %q of the letters before, not %q", c.text, got, c.want)
		}
	}
	// The numbers and bullets of items are within the list, whatever its items' directions.
	if out := ask[[]string](p, `[...document.querySelectorAll("#log li")].filter((e) => { const box = e.parentElement.getBoundingClientRect(), own = e.getBoundingClientRect(); return e.dir !== "auto" || (getComputedStyle(e).direction === "rtl" ? box.right - own.right : own.left - box.left) < 20; }).map((e) => e.textContent)`); len(out) > 0 {
		t.Errorf("no room for the number or the bullet of %q", out)
	}
	p.picture("directions")
	p.sound()
}

// A character that overrides the direction of text turned around what stood behind it on
// the page: "(edited)", the address behind a link's words, the rest of an address.
func TestTextTurnsNothingElseAround(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bob := person{"u-2", "Bob"}
	s.members = []person{bob}
	p := newTab(t)
	var ids []string
	for _, text := range []string{
		"one \u202etwo", "\u202bone", "\u2067one", "one \u202a\u202b\u2067\u2066two", "one\u2069\u202ctwo", "[\u202bwords](https://a.example/) x", "\u202ehttps://a.example/b x",
		"\u2067[words](https://a.example/) x", "**one \u202etwo** three", "`one \u202etwo` three", "> one \u202etwo",
	} {
		e := s.add(said{Room: "lobby", User: bob, Text: text})
		s.add(said{Room: "lobby", User: bob, Kind: "edit", Target: e.ID, Text: text})
		ids = append(ids, e.ID)
	}
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.until("the messages", `document.querySelectorAll("#log .edited").length === `+fmt.Sprint(len(ids)))
	for _, id := range ids {
		// Of each word in Latin letters, and of "(edited)", the letters are in their order from left to right.
		if turned := ask[[]string](p, `(() => {
			const turned = [];
			const walk = document.createTreeWalker(`+textOf(id)+`, NodeFilter.SHOW_TEXT);
			for (let node; (node = walk.nextNode());) {
				for (const {0: word, index} of node.data.matchAll(/[\w(/:.)]{2,}/g)) {
					const at = (i) => { const r = document.createRange(); r.setStart(node, i); r.setEnd(node, i + 1); return r.getBoundingClientRect().left; };
					for (let i = index + 1; i < index + word.length; i++) if (at(i) <= at(i - 1)) { turned.push(word); break; }
				}
			}
			return turned;
		})()`); len(turned) > 0 {
			t.Errorf("%q: turned around: %q", ask[string](p, textOf(id)+`.textContent`), turned)
		}
	}
	p.focuses("#say")
	p.run(`document.execCommand("insertText", false, "one \u202etwo")`)
	p.field("one two")
	p.noted("Removed a control character.")
	p.sound()
}
