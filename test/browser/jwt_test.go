package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/chat/internal/chattest"
)

const jwtKey = "a key of thirty-two bytes or more, for tests"

// signed returns a JWT of a user; a moderator's where mod is set.
func signed(t *testing.T, sub, name string, mod bool, lasts time.Duration) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": sub, "name": name, "mod": mod, "exp": time.Now().Add(lasts).Unix()}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(jwtKey))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// entersAs opens a room as the user of a JWT.
func entersAs(t *testing.T, node, room, token string) *tab {
	t.Helper()
	p := open(t, node+"/r/"+room+"#token="+token)
	p.online()
	return p
}

func TestThePageTakesAJWTFromItsAddress(t *testing.T) {
	t.Parallel()
	node := start(t, "--jwt-secret="+jwtKey).url(1)
	p := open(t, node+"/r/lobby")
	p.until("the refusal", `/You can't come in/.test(document.querySelector("#bar-words").textContent)`)
	p.bar("You can't come in without signing in.")
	p.closed("You can't write here")
	if ask[bool](p, `document.querySelector("#me").checkVisibility()`) {
		t.Error("somebody without a name is shown one")
	}
	p.run(`location.hash = "token=garbage"`)
	p.until("the address without it", `location.hash === ""`)
	p.run(`location.hash = "token=` + signed(t, "a", "Ann", false, time.Hour) + `"`)
	p.online()
	p.writable()
	if got := ask[string](p, `document.querySelector("#me").innerText.trim()`); got != "You are Ann" {
		t.Errorf("it says %q, but a name in a JWT can't be changed", got)
	}
	p.says("/nick Bob")
	p.noted("Your name comes from where you signed in: change it there.")
	p.run(`document.querySelector("#say").value = ""`)
	p.says("hello")
	p.gets("hello")
	if got := ask[string](p, "location.pathname + location.hash"); got != "/r/lobby" {
		t.Errorf("the address is %s", got)
	}
	p.reload()
	p.online()
	p.run(`location.hash = "token=` + signed(t, "b", "Bob", false, time.Hour) + `"`)
	p.until("the other user", `document.querySelector("#me-name").textContent === "Bob"`)
	p.sound()
}

// The function of the page around the frame is asked again before each JWT ends.
func TestAFrameGetsItsJWTsFromTheEmbeddingPage(t *testing.T) {
	t.Parallel()
	var given atomic.Int32
	mux := http.NewServeMux()
	host := httptest.NewServer(mux)
	t.Cleanup(host.Close)
	node := start(t, "--jwt-secret="+jwtKey, "--origin="+host.URL).url(1)
	mux.HandleFunc("/jwt", func(w http.ResponseWriter, _ *http.Request) {
		given.Add(1)
		fmt.Fprint(w, signed(t, "a", "Ann", false, 6*time.Second))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		serveHTML(w, `<!doctype html><title>Host</title><p>Before</p>
			<script>const jwt = async () => (await fetch("/jwt")).text(); window.chatToken = jwt;</script>
			<script src="`+node+`/embed.js" data-room="lobby" data-auth="chatToken"></script>`)
	})
	bob := entersAs(t, node, "lobby", signed(t, "b", "Bob", false, time.Hour))
	frame := open(t, host.URL)
	began := time.Now()
	bob.until("the frame's user", `[...document.querySelectorAll("#people-list .person-name")].some((e) => e.textContent === "Ann")`)
	chattest.Eventually(t, "the first JWT to be past its end", func() bool { return given.Load() >= 3 && time.Since(began) > 7*time.Second })
	frame.clicks(ask[[2]float64](frame, `(() => {
		const { left, top, width, height } = document.querySelector("iframe").getBoundingClientRect();
		return [left + width / 2, top + height - 62];
	})()`))
	frame.until("the frame to have the focus", `document.activeElement.matches("iframe")`)
	frame.types("Said in a frame")
	frame.presses("Enter")
	bob.gets("Said in a frame")
	frame.sound()
	bob.sound()
}

// A moderator's commands and menu, and what others see of it.
func TestAModeratorModeratesAndOthersSeeWhyTheyCanNotWrite(t *testing.T) {
	t.Parallel()
	node := start(t, "--jwt-secret="+jwtKey).url(1)
	mo := entersAs(t, node, "lobby", signed(t, "m", "Mo", true, time.Hour))
	ann := entersAs(t, node, "lobby", signed(t, "a", "Ann", false, time.Hour))
	ann.says("Something rude")
	mo.gets("Something rude")
	mo.says("/mute @Ann 1h be kind")
	ann.until("the reason", `/^Mo muted you until .*: be kind\.$/.test(document.querySelector("#bar-words").textContent)`)
	mo.says("/unmute Ann")
	ann.until("an end of it", `document.querySelector("#bar").hidden`)
	mo.says("/lock")
	ann.bar("Mo locked this room. Only moderators can write.")
	mo.says("/unlock")
	mo.says("/slow 30s")
	mo.noted("one message in 30 s")
	ann.says("One")
	mo.gets("One")
	ann.closed("Slow mode: please wait")
	ann.until("the countdown", `/slow mode/.test(document.querySelector("#bar").textContent) && /You can write again in \d+ s/.test(document.querySelector("#bar-next").textContent)`)
	mo.run(`const row = [...document.querySelectorAll("#log .message")].find((e) => e.textContent.includes("Something rude")); row.focus();`)
	mo.run(`document.querySelector(".actions [data-do=remove]").click()`)
	mo.run(`document.querySelector(".ask [data-do=remove]").click()`)
	ann.until("the deletion", countOf("Something rude")+` === 0`)
	mo.says("/kick Ann go home")
	ann.until("the kick", `/Mo removed you: go home/.test(document.querySelector("#bar-words").textContent)`)
	mo.sound()
}

// A login page leads the same tab to the chat again, with a fresh JWT of the same user.
func TestAnotherAddressRenewsTheJWT(t *testing.T) {
	t.Parallel()
	node := start(t, "--jwt-secret="+jwtKey).url(1)
	ends := time.Now().Add(6 * time.Second)
	p := entersAs(t, node, "lobby", signed(t, "a", "Ann", false, 6*time.Second))
	p.run(`location.hash = "token=` + signed(t, "a", "Ann", false, time.Hour) + `"`)
	p.until("the address without it", `location.hash === ""`)
	chattest.Eventually(t, "the first JWT to be past its end", func() bool { return time.Now().After(ends.Add(2 * time.Second)) })
	p.says("still here")
	p.gets("still here")
	if !ask[bool](p, `document.querySelector("#app.online") !== null`) {
		t.Error("the connection ended with the first JWT")
	}
	p.sound()
}
