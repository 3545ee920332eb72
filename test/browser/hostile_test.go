package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// attack is text that would run scripts if it were parsed as HTML: each of its scripts
// would set a mark.
const attack = `"'></a></textarea></template></title></style></script><script>__xss=1</script>` +
	`<img src=x onerror=__xss=2><svg onload=__xss=3><iframe srcdoc="<script>parent.__xss=4</script>"></iframe>` +
	`<a href=javascript:__xss=5>x</a><style>*{display:none}</style>{{7*7}}${__xss=6}`

// attacks are texts that contain markup.
var attacks = []string{
	attack,
	"javascript:__xss=7 JaVaScRiPt:__xss=7 java\tscript:__xss=7",
	"[x](javascript:__xss=8) [x](  javascript:__xss=8) [x](data:text/html,<script>__xss=8</script>) [x](vbscript:__xss=8) [x](//evil.example/)",
	`https://ok.example/"onmouseover="__xss=9 https://ok.example/'onclick='__xss=9 <https://ok.example/>`,
	`![x](x"onerror="__xss=10) <img/src=x/onerror=__xss=10>`,
	"```html\n" + attack + "\n```",
	"`" + attack + "`",
	"**" + attack + "** *" + attack + "* ~~" + attack + "~~ > " + attack,
	"> " + attack + "\n- " + attack + "\n1. " + attack,
	"/me " + attack,
	"@" + attack + " #" + attack + " #1764000000100-1" + attack,
	"https://a:b@[::1]:99999/ http:// https://%00/ https://\u202emoc.live/",
	"\u202egnp.exe https://good.example/\u202egro.live",
	strings.Repeat("*", 4000),
	strings.Repeat("> ", 2000),
	strings.Repeat("[", 2000) + strings.Repeat("]", 2000),
	strings.Repeat("**_~~`", 600),
	strings.Repeat("```\n", 1000),
	strings.Repeat("W", 4000),
	strings.Repeat("Z\u0316\u0317\u0318\u0319", 400),
}

// harmed lists the effects of hostile text on a page: elements and attributes that the
// page does not make itself, and links that run scripts.
const harmed = `(() => {
	const bad = [];
	if ("__xss" in globalThis) bad.push("a script ran: " + __xss);
	for (const e of document.querySelectorAll("body script, body style, body link, iframe, object, embed, base, meta[http-equiv], form[action], [srcdoc], img"))
		bad.push("element: " + e.outerHTML.slice(0, 200));
	for (const e of document.querySelectorAll("*")) {
		for (const {name, value} of e.attributes) {
			if (name.startsWith("on")) bad.push("handler: " + name + "=" + value.slice(0, 100));
			if (/^(href|src|action|formaction|xlink:href)$/.test(name) && !/^(https?:|mailto:)/i.test(new URL(value, location.href).protocol))
				bad.push("address: " + value.slice(0, 100));
		}
		if (e.localName === "a" && e.target === "_blank" && !e.relList.contains("noopener")) bad.push("no rel: " + e.outerHTML.slice(0, 200));
	}
	if (getComputedStyle(document.body).display === "none") bad.push("a style came in");
	return bad;
})()`

func (p *tab) unharmed(where string) {
	p.t.Helper()
	for _, bad := range ask[[]string](p, harmed) {
		p.t.Errorf("%s: %s", where, bad)
	}
	p.sound()
}

// The node sends hostile text in every field, and the page shows it as text.
func TestWhateverANodeSaysIsDrawnAsText(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.me.Name = attack
	s.id = attack
	s.nodes = []server{
		{attack, "javascript:__xss=20"}, {"n2", `http://x"onclick="__xss=21`}, {"n3", "data:text/html,<script>__xss=22</script>"}, {"n4", attack},
	}
	s.members = []person{{attack, attack}, {"u-2", "\u202e" + attack}, {"u-3", strings.Repeat("W", 400)}}
	s.rooms = []map[string]any{{"room": attack, "count": 3}, {"room": "javascript:__xss=23", "count": attack}, {"room": "../../" + attack, "count": 1}}
	now := time.Now().UnixMilli()
	for i, text := range attacks {
		s.add(said{Room: "lobby", User: person{attack + fmt.Sprint(i%3), attack}, Text: text, Node: []string{attack, "n2", "n3"}[i%3], Time: now - 1000})
	}
	first := s.logs["lobby"][0]
	for _, emoji := range []string{attack, "👍", "javascript:__xss=24", strings.Repeat("👍", 500)} {
		s.add(said{Room: "lobby", User: person{"u-9", attack}, Kind: "react", Target: first.ID, Emoji: emoji, On: true})
	}
	s.add(said{Room: "lobby", User: first.User, Kind: "edit", Target: first.ID, Text: "edited " + attack})
	s.add(said{Room: "lobby", User: first.User, Kind: attack, Target: attack, Text: attack})
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.until("the messages", `[...document.querySelectorAll("#log .text")].some((e) => e.textContent.startsWith("ZZ") || /^Z/.test(e.textContent))`)
	p.unharmed("the log's end")
	// All of it is walked through, as only what is seen is drawn.
	for top := 4000; top >= 0; top -= 400 {
		p.run(fmt.Sprintf("document.querySelector('#scroll').scrollTop = document.querySelector('#scroll').scrollHeight * %d / 4000", top))
		p.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
		p.unharmed("the log")
	}
	for _, event := range []map[string]any{
		{"type": "typing", "room": "lobby", "user": person{"u-7", attack}},
		{"type": "presence", "room": "lobby", "joined": []person{{"u-8", attack}}, "left": []person{}, "count": 5},
		{"type": "renamed", "user": person{"u-8", "new " + attack}},
		{"type": "nodes", "nodes": []server{{attack, s.URL}, {"n9", "JAVASCRIPT:__xss=25"}}},
		{"type": "moderated", "action": "mute", "room": "lobby", "user": s.me, "by": person{"u-8", attack}, "until": now + 60_000, "reason": attack},
		{"type": "error", "code": attack, "message": attack, "room": "lobby"},
		{"type": attack},
	} {
		s.tell(event)
	}
	p.bar("muted you")
	p.unharmed("what events say")
	s.tell(map[string]any{"type": "moderated", "action": "unmute", "room": "lobby", "user": s.me, "by": person{"u-8", attack}}) // the field opens again
	p.until("the field", `!document.querySelector("#say").readOnly && !document.querySelector("#say").disabled`)
	// What opens over the page draws names, rooms and texts too.
	p.run(`document.querySelector("#say").focus(); document.execCommand("insertText", false, "@")`)
	p.until("the suggestions", `document.querySelectorAll("#options li").length > 1`)
	p.unharmed("the suggestions")
	p.run(`document.execCommand("selectAll"); document.execCommand("delete")`)
	p.presses("k", chromedp.ModifierCtrl)
	p.until("the rooms to go to", `document.querySelector("#switcher").open && document.querySelectorAll("#switcher-list li").length > 1`)
	p.unharmed("the rooms to go to")
	p.presses("Escape")
	p.run(`document.querySelector("[data-search]").click()`)
	p.until("the search", `document.activeElement.id === "search-field"`)
	p.run(`document.execCommand("insertText", false, "onerror=")`)
	p.until("what was found", `document.querySelectorAll("#search-list mark").length > 1`)
	p.unharmed("what was found")
	p.run(`document.querySelector("#search [data-shut]").click()`)
	p.until("the page again", `!document.querySelector("dialog[open]")`)
	p.pushesAtLast("reply")
	p.until("the quote", `document.querySelector("#say").value.startsWith(">")`)
	p.unharmed("a quote in the field")
	p.run(`document.querySelector("#say").select()`)
	s.refuse = attack
	p.says("refused")
	p.until("the refusal", `document.querySelector("#log .failed .fate-words")?.textContent.includes("onerror")`)
	p.unharmed("a refusal's reason")
}

// Hostile text that a user types into a field is shown as text too.
func TestWhateverIsTypedIsDrawnAsText(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.mute = true
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	inserts := func(selector, text string) {
		t.Helper()
		p.focuses(selector)
		p.run(`document.execCommand("selectAll"); document.execCommand("insertText", false, ` + quote(text) + `)`)
		p.unharmed(selector)
	}
	for _, text := range attacks {
		inserts("#say", text)
	}
	inserts("#say", attack)
	p.presses("Enter")
	p.waits(attack)
	p.unharmed("a message that waits")
	inserts("#say", attack)
	p.reload()
	p.online()
	p.waits(attack)
	if got := ask[string](p, `document.querySelector("#say").value`); got != attack {
		t.Errorf("the draft: %q", got)
	}
	p.unharmed("a draft and a message that waits, after a reload")
	p.run(`document.querySelector("#me-change").click()`)
	inserts("#me-field", attack)
	p.presses("Enter")
	p.unharmed("the name")
	inserts("#open-room-name", attack)
	p.presses("Enter")
	p.unharmed("the room to open")
	p.goTo(s.URL + "/r/" + `%3Cimg%20src=x%20onerror=__xss=30%3E#"><img src=x onerror=__xss=31>`)
	p.online()
	p.unharmed("the address")
}

// The page of the cluster shows hostile text of the nodes as text too.
func TestWhateverNodesTellIsDrawnAsTextOnTheClustersPage(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.stage.me.Name = attack
	for _, n := range c.nodes {
		for _, field := range []string{"users", "rooms", "rate", "rtt_ms", "age_ms", "state"} {
			n[field] = attack
		}
	}
	c.nodes = append(c.nodes, map[string]any{"id": attack, "url": "javascript:__xss=40"}, map[string]any{"id": "n9", "url": attack})
	c.states[1], c.broker = attack, attack
	p := newTab(t)
	p.goTo(c.URL + "/cluster")
	p.until("the nodes", `document.querySelectorAll("#nodes tr").length >= 3`)
	p.unharmed("the page of the cluster")
}
