package browser

import (
	"strings"
	"testing"

	"example.com/chat/internal/chattest/redistest"
)

func TestTwoBrowsersOnTwoNodesTalk(t *testing.T) {
	t.Parallel()
	twoNodesTalk(t, newTab)
}

func twoNodesTalk(t *testing.T, newTab opener) {
	c := start(t, "--nodes=2")
	ann, bob := newTab.at(t, c.url(1)), newTab.at(t, c.url(2))
	ann.online()
	bob.online()
	if ann.node() == bob.node() && ask[string](ann, "location.origin") == ask[string](bob, "location.origin") {
		t.Fatal("both are on one node")
	}
	ann.says("Hello from one")
	bob.gets("Hello from one")
	bob.says("Hello from two")
	ann.gets("Hello from two")
	bob.gets("Hello from two") // the own one is there once, too
	if people := ask[int](ann, `document.querySelectorAll("#people-list .person").length`); people != 2 {
		t.Errorf("%d people are shown, want 2", people)
	}
	// Each message tells which node took it, in colour and in number.
	ann.until("the mark of the node", `(() => {
		const nodes = [...document.querySelectorAll("#log .message")].map((m) => [...m.classList].find((c) => c.startsWith("node-")));
		return nodes.length === 2 && nodes[0] && nodes[1] && nodes[0] !== nodes[1];
	})()`)
	ann.sound()
	bob.sound()
}

// anywhere runs a test on an origin that browsers trust, and on plain http in a LAN,
// where there are no locks, no clipboard and less of crypto.
func anywhere(t *testing.T, test func(t *testing.T, g *gate)) {
	for name, host := range map[string]string{"loopback": "127.0.0.1", "plain http in a LAN": lan} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, host)
			start(t, "--advertise="+g.URL, "--addr="+g.to).url(1)
			test(t, g)
		})
	}
}

func TestAMessageThatWaitsSurvivesAReloadAndArrivesOnce(t *testing.T) {
	t.Parallel()
	waitingSurvivesAReload(t, newTab)
}

func waitingSurvivesAReload(t *testing.T, newTab opener) {
	anywhere(t, func(t *testing.T, g *gate) {
		ann, bob := newTab.at(t, g.URL), newTab.at(t, g.URL)
		ann.online()
		bob.online()
		if secure := ask[bool](ann, "isSecureContext"); secure == strings.Contains(g.URL, lan) {
			t.Fatalf("secure context: %v", secure)
		}
		g.close()
		ann.says("Keep this")
		ann.waits("Keep this")
		ann.reload()
		ann.waits("Keep this")
		g.open()
		ann.gets("Keep this")
		bob.gets("Keep this")
		ann.reload()
		ann.online()
		ann.gets("Keep this")
		if n := bob.count("Keep this"); n != 1 {
			t.Errorf("it arrived %d times", n)
		}
		ann.sound()
	})
}

func TestAMessageThatWaitsSurvivesItsTabsCrash(t *testing.T) {
	t.Parallel()
	anywhere(t, func(t *testing.T, g *gate) {
		ann, bob := open(t, g.URL), open(t, g.URL)
		ann.online()
		bob.online()
		other := ann.another() // is there before the crash, and must not take what is not its own
		other.goTo(g.URL)
		other.online()
		g.close()
		ann.says("Keep this")
		ann.waits("Keep this")
		ann.crashes()
		again := other.another()
		again.goTo(g.URL)
		again.waits("Keep this")
		g.open()
		again.gets("Keep this")
		bob.gets("Keep this")
		again.reload()
		again.online()
		again.gets("Keep this")
		if n := bob.count("Keep this"); n != 1 {
			t.Errorf("it arrived %d times", n)
		}
		again.sound()
	})
}

// The field has the focus and half a sentence when the node dies; the sentence
// is written to its end while there is no node, and sent.
func TestANodeKilledWhileOneTypesTakesNothingAway(t *testing.T) {
	t.Parallel()
	killedWhileOneTypes(t, newTab)
}

func killedWhileOneTypes(t *testing.T, newTab opener) {
	c := start(t, "--nodes=3")
	one, two := c.url(1), c.url(2)
	ann, bob := newTab.at(t, one), newTab.at(t, two)
	ann.online()
	bob.online()
	ann.says("Before")
	bob.gets("Before")
	before := ann.node()
	ann.focuses("#say")
	ann.types("Half a ")
	c.killNode(one)
	ann.types("sentence")
	if got := ask[string](ann, `document.activeElement.id + ":" + document.activeElement.value`); got != "say:Half a sentence" {
		t.Errorf("the field: %q", got)
	}
	ann.presses("Enter")
	bob.gets("Half a sentence")
	ann.gets("Half a sentence")
	ann.online()
	if after := ann.node(); after == before {
		t.Errorf("the pill says %q before and after", after)
	}
	if ask[string](ann, "document.activeElement.id") != "say" {
		t.Error("the field lost the focus")
	}
	bob.says("Still there?")
	ann.gets("Still there?")
	for _, text := range []string{"Before", "Half a sentence"} {
		ann.gets(text)
		bob.gets(text)
	}
	ann.sound()
}

func TestRedisAwayIsSaidAndNothingWrittenMeanwhileIsLost(t *testing.T) {
	t.Parallel()
	chromium(t)
	redis := redistest.Start(t)
	one, two := start(t, "--redis="+redis.URL), start(t, "--redis="+redis.URL)
	ann, bob := open(t, one.url(1)), open(t, two.url(1))
	ann.online()
	bob.online()
	ann.says("Before")
	bob.gets("Before")
	redis.Freeze()
	t.Cleanup(redis.Thaw)
	ann.bar("The servers can't reach each other right now. What you write is kept.")
	ann.says("While it was away")
	ann.waits("While it was away")
	redis.Thaw()
	bob.gets("While it was away")
	ann.gets("While it was away")
	ann.until("the bar to say so no more", `!document.querySelector("#bar").textContent.includes("can't reach") || document.querySelector("#bar").hidden`)
	ann.sound()
}
