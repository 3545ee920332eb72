package browser

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// field waits until the field holds a text.
func (p *tab) field(text string) {
	p.t.Helper()
	p.until("the field to hold "+text, `document.querySelector("#say").value === `+quote(text))
}

// noted waits until what is under the field says something.
func (p *tab) noted(words string) {
	p.t.Helper()
	p.until("the words "+words, `!document.querySelector("#counter").hidden && document.querySelector("#counter").textContent.includes(`+quote(words)+`)`)
}

// opensLast puts the focus on the last message, which opens its buttons.
func (p *tab) opensLast() {
	p.t.Helper()
	p.until("a message", `document.querySelector("#log .message")`)
	p.does(p.activate)
	p.until("the buttons", `(() => {
		const last = [...document.querySelectorAll("#log .message")].at(-1);
		if (!last.contains(document.activeElement)) last.focus();
		return last.querySelector(".actions");
	})()`)
}

// pushesAtLast clicks a button of the last message, in the turn in which it is found.
func (p *tab) pushesAtLast(action string) {
	p.t.Helper()
	p.opensLast()
	p.pushes(`[...document.querySelectorAll("#log .message")].at(-1).querySelector(".actions [data-do=` + action + `]")`)
}

func TestTheArrowUpChangesOnesLastMessage(t *testing.T) {
	t.Parallel()
	c := start(t)
	ann, bob := open(t, c.url(1)), open(t, c.url(1))
	ann.online()
	bob.online()
	ann.says("The frist one")
	bob.gets("The frist one")
	bob.says("Mine")
	ann.gets("Mine")
	ann.focuses("#say")
	ann.presses("ArrowUp")
	ann.field("The frist one")
	if !ask[bool](ann, `!document.querySelector("#editing").hidden`) {
		t.Error("it is not said that a message is changed")
	}
	ann.presses("Escape")
	ann.field("")
	ann.presses("ArrowUp")
	ann.field("The frist one")
	ann.run(`document.querySelector("#say").select()`)
	ann.types("The first one")
	ann.presses("Enter")
	ann.field("")
	changed := `[...document.querySelectorAll("#log .text")].some((e) => e.textContent.startsWith("The first one") && e.querySelector(".edited"))`
	bob.until("the change", changed)
	ann.until("the change", changed)
	if n := bob.count("The frist one"); n != 0 {
		t.Errorf("the old one is there %d times", n)
	}
	ann.sound()
	bob.sound()
}

// What one was about to say comes back after a change of another message, which
// a reload in its midst doesn't take away either.
func TestWhatWasBegunStaysWhileAMessageIsChanged(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.add(said{Room: "lobby", User: s.me, Text: "Said"})
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.focuses("#say")
	p.types("Begun")
	p.pushesAtLast("edit")
	p.field("Said")
	p.types(" more")
	p.reload()
	p.online()
	p.field("Said more")
	p.focuses("#say")
	p.presses("Enter")
	p.field("Begun")
	p.until("the change", `document.querySelector("#log .text").textContent.startsWith("Said more")`)
	p.sound()
}

func TestADraftSurvivesACrashAndStaysInItsRoom(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.rooms = []map[string]any{{"room": "other", "count": 1}}
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.until("the rooms", `document.querySelector('a[href="/r/other"]')`)
	p.focuses("#say")
	p.types("For the lobby")
	p.run(`document.querySelector('a[href="/r/other"]').click()`)
	p.until("the other room", `document.querySelector("#room-name").textContent === "other"`)
	p.field("")
	p.focuses("#say")
	p.types("For the other")
	again := p.another()
	p.crashes()
	again.goTo(s.URL + "/r/other")
	again.online()
	again.field("For the other")
	again.run(`document.querySelector('#rooms-own a[href="/r/lobby"]').click()`)
	again.field("For the lobby")
	again.sound()
}

func TestCommandsDoAndSayWhatTheyDid(t *testing.T) {
	t.Parallel()
	c := start(t)
	p := open(t, c.url(1))
	p.online()
	p.says("/nick Ada Lovelace")
	p.noted("You are Ada Lovelace now.")
	p.until("the name", `document.querySelector("#me-name").textContent === "Ada Lovelace"`)
	p.says("/nick !!!")
	p.until("the refusal", `document.querySelector("#counter.over")?.textContent.length > 5`)
	p.field("/nick !!!") // to be mended
	p.run(`document.querySelector("#say").select()`)
	p.types("/dance now")
	p.presses("Enter")
	p.noted("There is no /dance")
	p.field("/dance now")
	p.run(`document.querySelector("#say").select()`)
	p.says("//dance now")
	p.gets("/dance now")
	p.says("/me waves")
	p.until("the action", `document.querySelector("#log .message.action .text").textContent === "Ada Lovelace waves"`)
	p.says("/join Küche")
	p.noted("A room's name has 64 letters")
	p.field("/join Küche")
	p.run(`document.querySelector("#say").select()`)
	p.says("/help")
	p.until("the help", `document.querySelector("#help")?.open && document.querySelector("#help-commands").textContent.includes("/nick a name")`)
	p.presses("Escape")
	p.until("the field again", `!document.querySelector("#help").open && document.activeElement.id === "say"`)
	p.says("/join Kitchen")
	p.until("the room, as the node writes it", `document.querySelector("#room-name").textContent === "kitchen"`)
	p.says("/part")
	p.until("another of one's rooms", `document.querySelector("#room-name").textContent === "lobby" && !document.querySelector('a[href="/r/kitchen"][aria-current]')`)
	p.sound()
}

func TestTabCompletesNamesRoomsAndEmoji(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.members = []person{{"u-2", "Bob Marsh"}, {"u-3", "Bea"}}
	s.rooms = []map[string]any{{"room": "hardware", "count": 3}}
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.until("the rooms", `document.querySelector('a[href="/r/hardware"]')`)
	p.focuses("#say")
	p.types("@b")
	p.until("both names", `document.querySelectorAll("#options li").length === 2`)
	p.presses("ArrowDown")
	p.until("the second one to be chosen", `document.querySelector("#options [aria-selected=true]").id === document.querySelector("#say").getAttribute("aria-activedescendant")`)
	p.presses("ArrowUp")
	p.presses("Tab")
	p.field("@Bob Marsh ")
	p.types("see #ha")
	p.until("the room", `document.querySelectorAll("#options li").length === 1`)
	p.presses("Enter") // takes it, and sends nothing
	p.field("@Bob Marsh see #hardware ")
	p.types(":tad")
	p.until("the emoji", `document.querySelectorAll("#options li").length === 1`)
	p.presses("Escape")
	p.until("no suggestions", `document.querySelector("#options").hidden`)
	p.types("a")
	p.presses("Tab")
	p.field("@Bob Marsh see #hardware 🎉 ")
	p.types(":+1:")
	p.presses("Enter") // it is written whole
	p.gets("@Bob Marsh see #hardware 🎉 👍")
	p.sound()
}

func TestAnAnswerQuotesWhatItAnswers(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.members = []person{{"u-2", "Bob"}}
	first := s.add(said{Room: "lobby", User: s.members[0], Text: "> @Ann #1-1: before\nShall we\nmeet? " + strings.Repeat("🎉", 200)})
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.focuses("#say")
	p.types("Begun")
	p.pushesAtLast("reply")
	p.field("> @Bob #" + first.ID + ": Shall we meet? " + strings.Repeat("🎉", 125) + "…\nBegun")
	p.types(", yes")
	p.presses("Enter")
	p.until("the answer with its link", `document.querySelector('#log blockquote a[href$="#`+first.ID+`"]')`)

	code := s.add(said{Room: "lobby", User: s.members[0], Text: "```go\nif a {\n\tb()\n}\n```"})
	p.until("the code", `document.querySelector('#log [data-key="`+code.ID+`"] .code')`)
	p.pushesAtLast("reply")
	p.field("> @Bob #" + code.ID + ":\n> ```\n> if a {\n> \tb()\n> }\n> ```\n")
	p.types("Good")
	p.presses("Enter")
	p.until("the code as it is, in the quote", `document.querySelector('#log .row:last-child blockquote a[href$="#`+code.ID+`"] ~ .code code')?.textContent === "if a {\n\tb()\n}"`)
	p.sound()
}

func TestWhatWasRefusedIsChangedAndSentAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.refuse = "only members may write here"
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.says("Not so")
	p.until("the refusal", `document.querySelector("#log .failed [data-do=again]:not([hidden])")`)
	s.mu.Lock()
	s.refuse = ""
	s.mu.Unlock()
	p.run(`document.querySelector("#log .failed [data-do=again]").click()`)
	p.field("Not so")
	p.until("the refused one to be gone", `!document.querySelector("#log .failed")`)
	p.types(", but so")
	p.presses("Enter")
	p.gets("Not so, but so")
	p.sound()
}

// A message was deleted elsewhere while it was changed here: what it was to be
// was in storage, and drawn nowhere.
func TestAChangeOfWhatIsGoneIsNotLost(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	deletion := said{Room: "lobby", User: s.me, Kind: "delete", Target: s.add(said{Room: "lobby", User: s.me, Text: "Said"}).ID}
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.until("a message", `document.querySelector("#log .message")`)
	p.focuses("#say")
	p.presses("ArrowUp")
	p.field("Said")
	p.types(" and more")
	s.mu.Lock()
	s.refuse = "the message is not there, or not any more"
	s.mu.Unlock()
	s.add(deletion)
	p.until("it to be gone", `!document.querySelector("#log .message")`)
	p.presses("Enter")
	p.until("the refusal, with the words", `document.querySelector("#log .failed .text")?.textContent === "Said and more" && document.querySelector("#log .failed .fate-words").textContent.startsWith("Not changed: ")`)
	p.reload()
	p.online()
	p.until("it to be there still", `document.querySelector("#log .failed [data-do=again]:not([hidden])")`)
	p.run(`document.querySelector("#log .failed [data-do=again]").click()`)
	p.field("Said and more")
	p.until("it to be in the field alone", `!document.querySelector("#log .failed")`)
	p.sound()
}

func TestAChangeGoesOnFromOneThatWaits(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.add(said{Room: "lobby", User: s.me, Text: "one"})
	s.mute = true
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.until("a message", `document.querySelector("#log .message")`)
	p.focuses("#say")
	p.presses("ArrowUp")
	p.types(" two")
	p.presses("Enter")
	p.until("the change, on its way", `document.querySelector("#log .text").textContent === "one two"`)
	p.presses("ArrowUp")
	p.field("one two")
	p.sound()
}

func TestAnEmojiIsChosenByKeyboardForTheFieldAndForAMessage(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.add(said{Room: "lobby", User: s.me, Text: "Said"})
	p := newTab(t)
	p.goTo(s.URL + "/r/lobby")
	p.online()
	p.focuses("#say")
	p.types("Well ")
	p.presses("Tab")
	p.until("the button", `document.activeElement.id === "pick"`)
	p.presses("Enter")
	p.until("the search", `document.activeElement.id === "picker-search"`)
	p.types("rocket")
	p.presses("Enter")
	p.field("Well 🚀")
	p.until("the field", `document.activeElement.id === "say"`)
	p.until("a message", `document.querySelector("#log .message")`)
	p.presses("Tab", chromedp.ModifierShift)
	p.until("the messages", `document.activeElement.id === "scroll"`)
	p.presses("ArrowUp")
	p.presses("Enter")
	p.until("the message's buttons", `document.activeElement.closest(".actions")`)
	p.run(`document.querySelector(".actions [data-do=react]").click()`)
	p.until("the emoji, the last one first", `document.querySelector("#picker-grid button").textContent === "🚀"`)
	p.presses("ArrowDown")
	p.presses("Enter")
	p.until("the reaction", `document.querySelector(".reaction[aria-pressed=true] .reaction-emoji").textContent === "🚀"`)
	p.until("the message", `document.activeElement.matches("#log .message")`)
	p.sound()
}
