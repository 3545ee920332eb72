package browser

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// firstVisit is what a first visit may load, in bytes as they are sent.
const firstVisit = 60_000

// loadedLater is whether the page has loaded the script of what opens later.
const loadedLater = `performance.getEntriesByType("resource").some(({name}) => name.includes("/assets/extras-"))`

// All that is loaded without a user's action counts, also what an idle page would load.
func TestAFirstVisitLoadsOnlyWhatItNeeds(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := open(t, s.URL+"/r/lobby")
	p.online()
	p.run(`new Promise((done) => requestIdleCallback(() => setTimeout(done, 1000)))`)
	type file struct {
		Name string
		Size int
	}
	total := 0
	for _, f := range ask[[]file](p, `[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].map((e) => ({Name: e.name, Size: e.encodedBodySize}))`) {
		t.Logf("%6d %s", f.Size, f.Name)
		total += f.Size
		if strings.Contains(f.Name, "/extras-") || strings.Contains(f.Name, "/emoji-") || strings.Contains(f.Name, "opened.css") {
			t.Errorf("a first visit loads %s", f.Name)
		}
	}
	if total > firstVisit {
		t.Errorf("a first visit loads %d bytes, more than %d", total, firstVisit)
	}
	if total < firstVisit/2 {
		t.Errorf("a first visit loads %d bytes: some were not counted", total)
	}
	p.focuses("#pick")
	p.until("the script of what a focused button opens", loadedLater)
	p.sound()
}

// The node of a page may be away for a moment just when a chunk is needed first.
func TestWhatOpensLaterIsTriedAgain(t *testing.T) {
	t.Parallel()
	triedAgain(t, newTab)
}

func triedAgain(t *testing.T, newTab opener) {
	s := newStage(t)
	s.loads(1, nil)
	p := newTab.at(t, s.URL+"/r/lobby")
	p.online()
	p.run(`document.querySelector("#help-open").click()`)
	p.until("the help", `document.querySelector("#help")?.open`)
	if got := ask[bool](p, `document.querySelector("#counter").hidden`); !got {
		t.Error("what worked in the end is told as a failure")
	}
}

func TestWhatCanNotBeOpenedSaysWhy(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.loads(1000, nil)
	p := open(t, s.URL+"/r/lobby")
	p.online()
	says := func(words string) {
		t.Helper()
		p.until("the words "+words, `!document.querySelector("#counter").hidden && document.querySelector("#counter").textContent.includes(`+quote(words)+`)`)
	}
	p.run(`document.querySelector("#help-open").click()`)
	says("Reload the page")
	p.focuses("#say")
	p.types("a")
	p.until("the words to go", `document.querySelector("#counter").hidden`)

	s.mu.Lock()
	s.down = true
	s.mu.Unlock()
	p.presses("k", chromedp.ModifierCtrl)
	says("does not answer")
	p.until("the dialog to close", `!document.querySelector("#switcher").open`)

	s.loads(0, nil)
	p.run(`document.querySelector("#pick").click()`)
	p.until("the picker, as its script is there again", `document.querySelector("#picker")?.open`)
}

// A dialog accepts letters before its script has loaded.
func TestLettersBeforeTheScriptAreKept(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	slow := make(chan struct{})
	s.loads(0, slow)
	s.rooms = []map[string]any{{"room": "garden", "count": 3, "last": 1}}
	p := open(t, s.URL+"/r/lobby")
	p.online()
	p.presses("k", chromedp.ModifierCtrl)
	p.types("gar")
	p.until("the letters", `document.querySelector("#switcher-field").value === "gar"`)
	close(slow)
	p.until("the room", `document.querySelector("#switcher-list li")?.textContent.includes("garden")`)
	p.presses("Enter")
	p.until("the other room", `document.querySelector("#room-name").textContent === "garden"`)
	p.sound()
}

// The names of emoji are loaded when one is begun. Whoever is faster than that waits for
// them, for a moment.
func TestNamesOfEmojiAreLoadedWhenOneIsBegun(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	slow := make(chan struct{})
	s.loads(0, slow)
	p := open(t, s.URL+"/r/lobby")
	p.online()
	p.focuses("#say")
	p.types("well done :tada:")
	p.presses("Enter")
	p.presses("Enter")
	close(slow)
	p.gets("well done 🎉")
	p.focuses("#say")
	p.types(":rock")
	p.offers(":rock_on: :rocket:")
	p.sound()
}

// Without the names a text is sent as it was written.
func TestATextIsSentWithoutTheNamesOfEmoji(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.loads(1000, nil)
	p := open(t, s.URL+"/r/lobby")
	p.online()
	p.says("well done :tada:")
	p.gets("well done :tada:")
}
