package browser

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// inZone puts the tab's device into a time zone.
func (p *tab) inZone(zone string) {
	p.t.Helper()
	p.do(chromedp.Func(func(ctx context.Context, s *chromedp.Target) error {
		_, err := cdp.Call(ctx, s, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: zone})
		return err
	}))
}

func TestTimesAreOfTheZoneThatTheDeviceIsInNow(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	bob := person{"u-2", "Bob"}
	at := time.Now().Add(-time.Minute)
	s.add(said{Room: "lobby", User: bob, Text: "old", Time: at.UnixMilli()})
	p := newTab(t)
	p.inZone("America/New_York")
	p.goTo(s.URL + "/r/lobby")
	p.gets("old")
	times := `[...document.querySelectorAll("#log time")].map((e) => e.textContent + " " + e.title)`
	reads := func(at time.Time) string {
		return at.In(time.FixedZone("", 9*3600)).Format("3:04")
	}
	p.inZone("Asia/Tokyo")
	p.until("the old message's time to be Tokyo's", times+`.every((time) => time.includes(`+quote(reads(at))+`))`)
	now := time.Now()
	s.add(said{Room: "lobby", User: bob, Text: "new", Time: now.UnixMilli()})
	p.gets("new")
	if got := ask[[]string](p, times); len(got) != 2 || !strings.Contains(got[1], reads(now)) {
		t.Errorf("the times are %q, not %s", got, reads(now))
	}
	p.sound()
}

func TestTodayBecomesYesterdayAtMidnightInAQuietRoom(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.add(said{Room: "lobby", User: person{"u-2", "Bob"}, Text: "a word"})
	p := open(t, s.URL+"/r/lobby")
	p.gets("a word")
	day := `document.querySelector("#log .line-day").textContent`
	p.until("today", day+` === "Today"`)
	p.run(fmt.Sprintf(`{ const { now } = Date; Date.now = () => now() + %d; }`, (24 * time.Hour).Milliseconds()))
	p.until("yesterday", day+` === "Yesterday"`)
	p.sound()
}

// A clock that is set back says nothing of a node: a frozen one is left as soon.
func TestAClockThatIsSetBackKeepsNoUserAtAFrozenNode(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := open(t, s.URL+"/r/lobby")
	p.online()
	p.until("a while of silence", `performance.now() > 1000`)
	s.freeze()
	p.run(`{ const { now } = Date; Date.now = () => now() - 3600_000; }`)
	p.within(15*time.Second, "the node to be left", `!document.querySelector("#app.online")`)
	p.sound()
}
