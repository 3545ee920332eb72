package browser

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// scene is a state of the chat's page that is looked at, by people and by axe.
type scene struct {
	name string
	ui   string // how the page looks: "demo", or "" for that, or "plain"
	// set says what the node holds; words are in the language of the page.
	set func(s *stage, w words)
	// act brings an open page into the state.
	act func(s *stage, p *tab)
}

// words are what is said in scenes, in one direction of writing.
type words struct {
	dir, lang string
	names     []string
	lines     []string
	longName  string
}

var leftToRight = words{
	dir: "ltr", lang: "en",
	names: []string{"Ann", "Bob Marsh", "chloe_k", "Dimitri"},
	lines: []string{
		"Morning. The new build is up on all three nodes.",
		"I see it. Node 2 took a moment, then it was there.",
		"Did anyone look at https://example.com/notes/2026-11-25 yet?",
		"Yes, the second half is the interesting one: it says that a message is in the log before anyone is told of it, and that this is why a node may die at any moment. I would like to read that again when there is more time.",
		"@Ann can you bring the cable?",
		"👍",
		"Sure.\nI have two of them here.",
		"Then let us meet at ten.",
	},
	longName: "Maximiliane von Hohenlohe-Langen",
}

var rightToLeft = words{
	dir: "rtl", lang: "he",
	names: []string{"נועה", "דוד לוי", "chloe_k", "سلمى"},
	lines: []string{
		"בוקר טוב. הגרסה החדשה עלתה בכל שלושת הצמתים.",
		"אני רואה. צומת 2 התעכב רגע, ואז הוא היה שם.",
		"מישהו כבר הסתכל על https://example.com/notes/2026-11-25 ?",
		"نعم، النصف الثاني هو المهم: يقول إن الرسالة تكون في السجل قبل أن يعلم بها أحد، ولهذا قد تموت أي عقدة في أي لحظة. أود أن أقرأ ذلك مرة أخرى.",
		"@נועה את מביאה את הכבל?",
		"👍",
		"בטח.\nיש לי פה שניים.",
		"Then let us meet at ten.",
	},
	longName: "מקסימיליאן פון הוהנלוהה לאנגנבורג",
}

// talk fills a room with a conversation of two days.
func talk(s *stage, w words, lines int) {
	s.members = nil
	for i, name := range w.names[1:] {
		s.members = append(s.members, person{fmt.Sprintf("u-%d", i+1), name})
	}
	s.rooms = []map[string]any{
		{"room": "lobby", "count": 4}, {"room": "hardware", "count": 12}, {"room": "random", "count": 7}, {"room": "release-notes-of-the-old-client", "count": 1},
	}
	people := append([]person{s.me}, s.members...)
	at := time.Now().Add(-26 * time.Hour)
	for i := range lines {
		at = at.Add(time.Duration(1+i%3*4) * time.Minute)
		if i == lines/3 {
			at = time.Now().Add(-time.Duration(lines-i) * 6 * time.Minute)
		}
		e := said{Room: "lobby", User: people[(i/2)%len(people)], Text: w.lines[i%len(w.lines)], Time: at.UnixMilli(), Node: []string{"n1", "n2", "n3"}[(i/2)%3]}
		s.add(e)
	}
}

var scenes = []scene{
	{
		name: "empty", set: func(*stage, words) {},
		act: func(_ *stage, p *tab) { p.bar("You are the only one here.") },
	},
	{name: "busy", set: func(s *stage, w words) { talk(s, w, 40) }},
	{name: "plain", ui: "plain", set: func(s *stage, w words) { talk(s, w, 40) }},
	{
		name: "offline",
		set: func(s *stage, w words) {
			talk(s, w, 12)
			s.mute = true
		},
		act: func(s *stage, p *tab) {
			p.says("Kept until I am back")
			s.leave()
			p.bar("Offline. What you write is kept")
		},
	},
	{
		name: "longname",
		set: func(s *stage, w words) {
			s.me.Name = w.longName
			talk(s, w, 4)
			for i := range 3 {
				s.add(said{Room: "lobby", User: person{"u-long", w.longName}, Text: w.lines[i], Node: "n2"})
			}
			s.members = append(s.members, person{"u-long", w.longName})
			s.add(said{Room: "lobby", User: s.me, Text: w.lines[0]})
		},
	},
	{
		name: "longword",
		set: func(s *stage, w words) {
			talk(s, w, 3)
			s.add(said{Room: "lobby", User: s.members[0], Text: strings.Repeat("Donaudampfschifffahrt", 60), Node: "n2"})
			s.add(said{Room: "lobby", User: s.members[1], Text: "https://example.com/" + strings.Repeat("a-very-long-path/", 20), Node: "n3"})
			s.add(said{Room: "lobby", User: s.me, Text: "`" + strings.Repeat("inline_code_", 20) + "`"})
		},
	},
	{
		name: "code",
		set: func(s *stage, w words) {
			talk(s, w, 3)
			s.add(said{Room: "lobby", User: s.members[0], Node: "n2", Text: w.lines[0] + "\n```go\nfunc (l *log) since(after id) ([]entry, bool) {\n\ti, found := slices.BinarySearchFunc(l.entries, after, entry.compare)\n\treturn l.entries[i:], found // a line that is so long that it does not fit into the column of the conversation, and scrolls\n}\n```\n" + w.lines[5]})
			s.add(said{Room: "lobby", User: s.members[1], Node: "n3", Text: "**bold**, *italic*, ~~struck~~ and `code`\n> " + w.lines[1] + "\n- one\n- two\n\n" + w.lines[7]})
		},
	},
	{
		name: "reactions",
		set: func(s *stage, w words) {
			talk(s, w, 3)
			e := s.add(said{Room: "lobby", User: s.members[0], Text: w.lines[3], Node: "n2"})
			emojis := []rune("😀😁😂😃😄😅😆😇😈😉😊😋😌😍😎😏😐😑😒😓😔😕😖😗😘😙😚😛😜😝😞😟😠😡😢😣😤😥😦😧")
			for i, emoji := range emojis {
				for who := range 1 + i%4*5 {
					s.add(said{Room: "lobby", User: person{fmt.Sprintf("u-%d", who), w.names[who%len(w.names)]}, Kind: "react", Target: e.ID, Emoji: string(emoji), On: true})
				}
			}
			s.add(said{Room: "lobby", User: s.me, Kind: "react", Target: e.ID, Emoji: string(emojis[1]), On: true})
			s.add(said{Room: "lobby", User: s.members[1], Text: w.lines[7], Node: "n3"})
		},
		// So many reactions are more than what comes at once.
		act: func(_ *stage, p *tab) {
			p.until("what came before", `document.querySelectorAll("#log .message").length === 5`)
		},
	},
}

// further are states that axe looks at, beside those that are also photographed.
var further = []scene{
	{
		name: "refused",
		set:  func(s *stage, w words) { talk(s, w, 4); s.refuse = "only members may write here" },
		act: func(_ *stage, p *tab) {
			p.says("Not taken")
			p.until("the refusal", `document.querySelector("#log .failed")`)
		},
	},
	{
		name: "kept out",
		set:  func(s *stage, w words) { talk(s, w, 4); s.readyz = `{"ready":true,"allowed":false}` },
		act: func(s *stage, p *tab) {
			s.leave()
			p.bar("The server does not let this page connect.")
		},
	},
	{
		name: "loading",
		set:  func(s *stage, w words) { talk(s, w, 4); s.more = true },
		act:  func(_ *stage, p *tab) { p.bar("Loading what you missed…") },
	},
	{
		name: "actions",
		set:  func(s *stage, w words) { talk(s, w, 4) },
		act: func(_ *stage, p *tab) {
			p.run(`[...document.querySelectorAll("#log .message")].at(-1).focus()`)
			p.until("the message's buttons", `document.querySelector("#log .actions")`)
		},
	},
	{
		name: "nodes",
		set:  func(s *stage, w words) { talk(s, w, 4); s.nodes = []server{{"n2", "http://127.0.0.1:2"}} },
		act:  func(_ *stage, p *tab) { p.run(`document.querySelector("#pill summary").click()`) },
	},
	{
		name: "switcher",
		set:  func(s *stage, w words) { talk(s, w, 4) },
		act: func(s *stage, p *tab) {
			for _, room := range []string{"hardware", "lobby"} {
				p.until("its row", row(room))
				p.run(row(room) + ".click()")
				p.until("the room", `document.querySelector("#room-name").textContent === "`+room+`"`)
			}
			s.add(said{Room: "hardware", User: s.members[0], Text: "@" + s.me.Name})
			p.until("the mention", `document.querySelector(".room-unread.named:not([hidden])")`)
			p.run(`document.querySelector("#go-room").click()`)
			p.types("r")
			p.until("the choices", `document.querySelectorAll("#switcher-list li").length > 2`)
		},
	},
	{
		name: "search",
		set:  func(s *stage, w words) { talk(s, w, 40) },
		act: func(_ *stage, p *tab) {
			p.run(`document.querySelector("[data-search]").click()`)
			p.types("e")
			p.until("what is found", `document.querySelectorAll("#search-list mark").length > 2`)
		},
	},
	{
		name: "room menu",
		set:  func(s *stage, w words) { talk(s, w, 4) },
		act:  func(_ *stage, p *tab) { p.run(`document.querySelector("#room-menu summary").click()`) },
	},
	{
		name: "unread",
		set:  func(s *stage, w words) { talk(s, w, 12) },
		act: func(s *stage, p *tab) {
			p.visits(s, "hardware", "random", "release-notes-of-the-old-client")
			p.run(`document.querySelector("#room-mute").click()`)
			p.visits(s, "lobby")
			for range 3 {
				s.add(said{Room: "hardware", User: s.members[0], Text: "look"})
			}
			s.add(said{Room: "random", User: s.members[0], Text: "@" + s.me.Name})
			p.until("the counts", `document.querySelector(".room-unread.named") && document.querySelector(".muted")`)
			p.run(`innerWidth < 900 && document.querySelector("#rooms-toggle").click()`)
		},
	},
	{
		name: "name",
		set:  func(s *stage, w words) { talk(s, w, 4) },
		act:  func(_ *stage, p *tab) { p.run(`document.querySelector("#me-change").click()`) },
	},
	{
		name: "suggestions",
		set:  func(s *stage, w words) { talk(s, w, 4) },
		act: func(_ *stage, p *tab) {
			p.focuses("#say")
			p.types("Thanks :sm")
			p.until("the suggestions", `document.querySelectorAll("#options li").length > 4`)
		},
	},
	{
		name: "editing",
		set:  func(s *stage, w words) { talk(s, w, 4); s.add(said{Room: "lobby", User: s.me, Text: w.lines[3]}) },
		act: func(_ *stage, p *tab) {
			p.focuses("#say")
			p.presses("ArrowUp")
			p.until("the message in the field", `!document.querySelector("#editing").hidden && document.querySelector("#say").value`)
		},
	},
	{
		name: "emoji",
		set:  func(s *stage, w words) { talk(s, w, 4) },
		act: func(_ *stage, p *tab) {
			p.run(`document.querySelector("#pick").click()`)
			p.until("the emoji", `document.querySelector("#picker")?.open`)
		},
	},
	{
		name: "help",
		set:  func(s *stage, w words) { talk(s, w, 4) },
		act: func(_ *stage, p *tab) {
			p.says("/help")
			p.until("the help", `document.querySelector("#help")?.open`)
		},
	},
	{
		name: "muted",
		set:  func(s *stage, w words) { talk(s, w, 4) },
		act: func(s *stage, p *tab) {
			s.tell(map[string]any{"type": "moderated", "action": "mute", "room": "lobby", "user": s.me, "by": person{"u-1", "Bob"},
				"until": time.Now().Add(time.Hour).UnixMilli(), "reason": "too loud"})
			p.bar("muted you")
		},
	},
	{
		name: "moderating",
		set:  func(s *stage, w words) { talk(s, w, 4) },
		act: func(_ *stage, p *tab) {
			p.becomesModerator()
			p.run(`document.querySelector(".person-do").click()`)
			p.until("the menu", `document.querySelector("#desk")?.open`)
		},
	},
	{
		name: "moderator",
		set:  func(s *stage, w words) { talk(s, w, 4) },
		act: func(_ *stage, p *tab) {
			p.becomesModerator()
			p.run(`document.querySelector("#room-menu").open = true`)
			p.until("the menu", `document.querySelector("#room-slow").checkVisibility()`)
		},
	},
}

// becomesModerator gives the page a moderator's JWT.
func (p *tab) becomesModerator() {
	p.t.Helper()
	p.run(`location.hash = "token=` + signed(p.t, "m", "Mo", true, time.Hour) + `"`)
	p.until("the menus", `document.querySelector(".person-do")`)
}

// look is how a page is looked at.
type look struct {
	width, height int64
	dark          bool
	w             words
}

// play opens a scene.
func play(t *testing.T, sc scene, l look) *tab {
	t.Helper()
	s := newStageThatShows(t, cmp.Or(sc.ui, "demo"))
	s.me.Name = l.w.names[0]
	s.nodes = []server{{"n2", "http://127.0.0.1:2"}, {"n3", "http://127.0.0.1:3"}}
	sc.set(s, l.w)
	p := newTab(t)
	p.size(l.width, l.height)
	p.prefers(l.dark)
	p.goTo(s.URL + "/r/lobby")
	p.run(fmt.Sprintf(`document.documentElement.dir = %q; document.documentElement.lang = %q`, l.w.dir, l.w.lang))
	p.online()
	p.until("the room", `document.querySelector("#log .message") || !document.querySelector("#empty").hidden`)
	if sc.act != nil {
		sc.act(s, p)
	}
	// What is drawn on the next frames is drawn.
	p.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
	return p
}

// prefers sets what the person prefers: the colours, and that nothing moves.
func (p *tab) prefers(dark bool) {
	p.t.Helper()
	colours := "light"
	if dark {
		colours = "dark"
	}
	p.do(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		_, err := cdp.Call(ctx, s, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: colours}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return err
	}))
}
