package browser

import (
	"strings"
	"testing"
	"time"
)

// A link that "Copy link" gave leads to its message in this page, whichever node's
// address it has.
func TestAPermalinkOfThisChatJumps(t *testing.T) {
	t.Parallel()
	s := filled(t, 200)
	s.nodes = []server{{"n2", "http://127.0.0.1:2"}}
	target := s.logs["lobby"][19]
	for _, origin := range []string{s.URL, "http://127.0.0.1:2"} {
		s.add(said{Room: "lobby", User: s.members[0], Text: "see " + origin + "/r/lobby#" + target.ID})
	}
	other := s.add(said{Room: "lobby", User: s.members[0], Text: "or http://127.0.0.1:3/r/lobby#" + target.ID})
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.until("the links", textOf(other.ID))
	p.run(`globalThis.__left = []; addEventListener("click", (e) => { const a = e.target.closest("a"); if (a && !e.defaultPrevented) { __left.push(a.href); e.preventDefault(); } })`)
	for i := range 2 {
		id := s.logs["lobby"][200+i].ID
		p.run(`document.querySelector("#jump").click()`)
		p.until("the link", textOf(id))
		p.run(textOf(id) + `.querySelector("a").click()`)
		p.until("the message in view", inView+`(`+textOf(target.ID)+`) && location.hash === "#`+target.ID+`"`)
	}
	p.run(`document.querySelector("#jump").click()`)
	p.until("the link", textOf(other.ID))
	p.run(textOf(other.ID) + `.querySelector("a").click()`)
	if got := ask[[]string](p, "__left"); len(got) != 1 || !strings.Contains(got[0], "127.0.0.1:3") {
		t.Errorf("the browser follows %q by itself", got)
	}
	p.sound()
}

func TestACopiedConversationReadsWell(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bob, cleo := person{"u-2", "Bob"}, person{"u-3", "Cleo"}
	at := time.Now().Add(-3 * time.Minute)
	say := func(user person, text string) said {
		return s.add(said{Room: "lobby", User: user, Text: text, Time: at.UnixMilli()})
	}
	first := say(bob, "first line")
	say(bob, "second line")
	say(cleo, "an answer")
	say(cleo, "/me waves")
	s.add(said{Room: "lobby", User: cleo, Kind: "react", Target: first.ID, Emoji: "🎉", On: true})
	p := open(t, s.URL+"/r/lobby")
	p.online()
	p.until("all of it", `document.querySelectorAll("#log .message").length === 4 && document.querySelector(".reaction")`)
	p.run(`document.activeElement.blur(); {
		const messages = document.querySelectorAll("#log .message");
		getSelection().setBaseAndExtent(messages[0], 0, messages[3], messages[3].childNodes.length);
	}`)
	clock := ask[string](p, `document.querySelector("#log time").textContent`)
	var lines []string
	for line := range strings.Lines(ask[string](p, "getSelection().toString()")) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	got, want := strings.Join(lines, "\n"), strings.Join([]string{"Bob " + clock, "first line", "second line", "Cleo " + clock, "an answer", "Cleo waves"}, "\n")
	if got != want {
		t.Errorf("the selection is\n%q, not\n%q", got, want)
	}
	p.sound()
}

// Numbers, bullets, the signs of quotes and the fences of code were lost in what was copied: a
// quote read as the writer's own words.
func TestACopyKeepsTheMarksOfTexts(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bob := person{"u-2", "Bob"}
	first := s.add(said{Room: "lobby", User: bob, Text: "3. drei\n4. vier **fett**\n   - innen"})
	second := s.add(said{Room: "lobby", User: bob, Text: "> quoted\n> > twice\nmy answer"})
	third := s.add(said{Room: "lobby", User: bob, Text: "look:\n```go\nif a {\n\tb()\n}\n```\n7) seven"})
	plain := s.add(said{Room: "lobby", User: bob, Text: "no marks, *or few*"})
	s.add(said{Room: "lobby", User: bob, Kind: "react", Target: first.ID, Emoji: "🎉", On: true})
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.until("all of it", textOf(plain.ID)+` && document.querySelector(".reaction")`)
	clock := ask[string](p, `document.querySelector("#log time").textContent`)
	copies := func(from, to string) string {
		return `(() => {
			const [from, to] = [` + from + `, ` + to + `];
			getSelection().setBaseAndExtent(from, 0, to, to.childNodes.length || to.data.length);
			const e = new ClipboardEvent("copy", {clipboardData: new DataTransfer(), bubbles: true, cancelable: true});
			document.querySelector("#log").dispatchEvent(e);
			return e.defaultPrevented ? e.clipboardData.getData("text/plain") : "as browsers do it";
		})()`
	}
	p.until("the script that a selection loads", copies(textOf(first.ID), textOf(first.ID))+` !== "as browsers do it"`)
	for _, c := range []struct{ from, to, want string }{
		{`document.querySelector("#log .message")`, textOf(plain.ID), "Bob " + clock + "\n3. drei\n4. vier fett\n   - innen\n> quoted\n> > twice\nmy answer\nlook:\n```\nif a {\n\tb()\n}\n```\n7) seven\nno marks, or few"},
		{textOf(first.ID), textOf(first.ID), "3. drei\n4. vier fett\n   - innen"},
		{textOf(second.ID), textOf(second.ID), "> quoted\n> > twice\nmy answer"},
		{textOf(second.ID) + `.querySelector("blockquote")`, textOf(second.ID) + `.querySelector("blockquote")`, "> quoted\n> > twice"},
		{textOf(third.ID) + `.querySelector("pre")`, textOf(third.ID) + `.querySelector("pre")`, "```\nif a {\n\tb()\n}\n```"},
		{textOf(second.ID) + `.querySelector("blockquote").firstChild`, textOf(second.ID) + `.querySelector("blockquote").firstChild`, "as browsers do it"},
		{textOf(plain.ID), textOf(plain.ID), "as browsers do it"},
	} {
		if got := ask[string](p, copies(c.from, c.to)); got != c.want {
			t.Errorf("from %s to %s it is\n%q, not\n%q", c.from, c.to, got, c.want)
		}
	}
	p.sound()
}
