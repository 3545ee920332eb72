package browser

import (
	"strings"
	"testing"
)

func TestFirefoxTwoBrowsersOnTwoNodesTalk(t *testing.T) {
	t.Parallel()
	twoNodesTalk(t, newFoxTab)
}

func TestFirefoxAMessageThatWaitsSurvivesAReloadAndArrivesOnce(t *testing.T) {
	t.Parallel()
	waitingSurvivesAReload(t, newFoxTab)
}

func TestFirefoxANodeKilledWhileOneTypesTakesNothingAway(t *testing.T) {
	t.Parallel()
	killedWhileOneTypes(t, newFoxTab)
}

func TestFirefoxWhatIsTypedWhileThePageLoadsStays(t *testing.T) {
	t.Parallel()
	typedWhileItLoads(t, newFoxTab)
}

func TestFirefoxInsertionsCanBeUndone(t *testing.T) {
	t.Parallel()
	insertionsCanBeUndone(t, newFoxTab)
}

func TestFirefoxAnotherTabChangesNoDraft(t *testing.T) {
	t.Parallel()
	draftsOfTwoTabs(t, newFoxTab)
}

func TestFirefoxARedrawKeepsTheSelection(t *testing.T) {
	t.Parallel()
	redrawKeepsSelection(t, newFoxTab)
}

func TestFirefoxARedrawKeepsADragOverText(t *testing.T) {
	t.Parallel()
	redrawKeepsDrag(t, newFoxTab)
}

func TestFirefoxARedrawKeepsAPressOnALinkAndAReaction(t *testing.T) {
	t.Parallel()
	redrawKeepsPress(t, newFoxTab)
}

func TestFirefoxARedrawKeepsFocusAndTheScrollingOfCode(t *testing.T) {
	t.Parallel()
	redrawKeepsFocus(t, newFoxTab)
}

func TestFirefoxWhatOpensLaterIsTriedAgain(t *testing.T) {
	t.Parallel()
	triedAgain(t, newFoxTab)
}

// All cookies are blocked, as a user can choose in the settings.
func TestFirefoxWithStorageBlockedOneStaysTheSameUser(t *testing.T) {
	t.Parallel()
	sameUserWithStorageBlocked(t, func(t *testing.T) *tab {
		return theFirefox(t, "firefox-blocked", `user_pref("network.cookie.cookieBehavior", 2);`).newTab(t)
	})
}

func TestFirefoxTwoTabsOfAFirstVisitAreOneGuest(t *testing.T) {
	t.Parallel()
	twoTabsOfAFirstVisit(t, newFoxTab)
}

// Firefox loads a page with an open WebSocket or a Web Lock anew.
func TestFirefoxWhoLeavesByALinkIsGoneAtOnceAndComesBack(t *testing.T) {
	t.Parallel()
	t.Logf("the browser had kept the page: %v", leavesAndComesBack(t, newFoxTab))
}

// Without a connection, and without locks as on plain http, Firefox keeps the page.
func TestFirefoxAPageThatWasKeptOfflineComesBackOnline(t *testing.T) {
	t.Parallel()
	g := newGate(t, lan)
	start(t, "--advertise="+g.URL, "--addr="+g.to).url(1)
	ann, bob := opener(newFoxTab).at(t, g.URL), opener(newFoxTab).at(t, g.URL)
	ann.online()
	bob.online()
	ann.focuses("#say")
	ann.types("half a sen")
	ann.run(`addEventListener("pageshow", (e) => (globalThis.__persisted = e.persisted))`)
	g.close()
	ann.until("the connection to be gone", `!document.querySelector("#app.online")`)
	ann.listen()
	ann.goTo(g.URL + "/manifest.webmanifest")
	g.open()
	bob.online()
	bob.says("While she was away")
	ann.does(ann.engine.(*foxTab).back)
	ann.online()
	ann.gets("While she was away")
	if !ask[bool](ann, "!!globalThis.__persisted") {
		t.Error("the page was loaded anew")
	}
	for _, words := range ann.heard() {
		if strings.Contains(words, "went away") {
			t.Errorf("the bar says %q", words)
		}
	}
	ann.types("tence")
	ann.presses("Enter")
	bob.gets("half a sentence")
	ann.sound()
}

func TestFirefoxMessagesThatWaitInTwoTabsArriveOnce(t *testing.T) {
	t.Parallel()
	outboxesOfTwoTabs(t, newFoxTab)
}

func TestFirefoxWhatIsMootInTwoTabsIsDropped(t *testing.T) {
	t.Parallel()
	mootInTwoTabs(t, newFoxTab)
}
