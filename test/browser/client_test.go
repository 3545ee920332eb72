package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestThePageOfTheClientsDocumentationTalks takes the page out of docs/client.md as it
// stands there.
func TestThePageOfTheClientsDocumentationTalks(t *testing.T) {
	t.Parallel()
	chromium(t)
	doc, err := os.ReadFile("../../docs/client.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```html\n")
	whole, _, found := strings.Cut(rest, "```\n")
	if !found || strings.Count(whole, `"/client.js"`) != 1 {
		t.Fatalf("docs/client.md has no page that imports /client.js: %q", whole)
	}
	t.Run("of an origin that may connect", func(t *testing.T) {
		t.Parallel()
		var node string
		host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			serveHTML(w, strings.Replace(whole, "/client.js", node+"/client.js", 1))
		}))
		t.Cleanup(host.Close)
		node = start(t, "--origin="+host.URL).url(1)
		talks(t, host.URL, node)
	})
	t.Run("behind the same host as a node", func(t *testing.T) {
		t.Parallel()
		node := start(t).url(1)
		to, err := url.Parse(node)
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		mux.Handle("/", httputil.NewSingleHostReverseProxy(to))
		mux.HandleFunc("/mine", func(w http.ResponseWriter, _ *http.Request) { serveHTML(w, whole) })
		host := httptest.NewServer(mux)
		t.Cleanup(host.Close)
		t.Cleanup(host.CloseClientConnections)
		talks(t, host.URL+"/mine", node)
	})
}

func TestTheClientBringsAJWTWhereNodesDemandOne(t *testing.T) {
	t.Parallel()
	const key = "a key of thirty-two bytes or more, for tests"
	claims := jwt.MapClaims{"sub": "a", "name": "Ann", "exp": time.Now().Add(time.Hour).Unix()}
	auth, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	node := start(t, "--jwt-secret="+key, "--origin=*").url(1)
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { serveHTML(w, "<!doctype html><title>Host</title>") }))
	t.Cleanup(host.Close)
	ann := open(t, host.URL)
	for _, brought := range []struct{ auth, want string }{{"none such", "ask"}, {auth, "Ann: hello"}} {
		got := ask[string](ann, `(async () => {
			const { connect } = await import(`+quote(node+"/client.js")+`);
			const chat = await connect({ room: "lobby", auth: `+quote(brought.auth)+`, storage: false });
			const heard = new Promise((resolve) => {
				chat.on("state", ({ state }) => state === "ask" && resolve(state));
				chat.on("message", ({ user, text }) => resolve(user.name + ": " + text));
			});
			chat.say("hello");
			return heard.finally(() => chat.close());
		})()`)
		if got != brought.want {
			t.Errorf("with %q: %s, want %s", brought.auth, got, brought.want)
		}
	}
	ann.sound()
}

// talks has the page exchange messages with a page of the chat.
func talks(t *testing.T, page, node string) {
	t.Helper()
	mine, bob := open(t, page), open(t, node+"/r/lobby")
	bob.online()
	mine.until("the page to be online", `document.querySelector("#state").textContent === "online"`)
	mine.focuses("#text")
	mine.types("Hello from a page of my own")
	mine.presses("Enter")
	bob.gets("Hello from a page of my own")
	bob.says("Hello to it")
	mine.until("both messages, each once", `(() => {
		const said = [...document.querySelectorAll("#log li")].map((li) => li.textContent.replace(/^[^:]+: /, ""));
		return said.join() === "Hello from a page of my own,Hello to it";
	})()`)
	mine.sound()
	bob.sound()
}

func TestThePageAsksItsNodeAtOnceWhenTheBrowserIsOffline(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	ann := newTab(t)
	ann.goTo(s.URL)
	ann.online()
	// Again where it waits for an answer already.
	ann.until("the page to ask", `(() => {
		const sent = [];
		const { send } = WebSocket.prototype;
		WebSocket.prototype.send = function (data) { sent.push(data); send.call(this, data); };
		dispatchEvent(new Event("offline"));
		WebSocket.prototype.send = send;
		return sent.some((data) => JSON.parse(data).type === "ping");
	})()`)
	ann.sound()
}

// TestTheLineOfTheEmbeddingsDocumentationShowsARoom takes it from docs/embed.md as it
// stands there, but for the node's address.
func TestTheLineOfTheEmbeddingsDocumentationShowsARoom(t *testing.T) {
	t.Parallel()
	chromium(t)
	doc, err := os.ReadFile("../../docs/embed.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```html\n")
	line, _, _ := strings.Cut(rest, "```\n")
	if !strings.Contains(line, "https://chat.example.org/embed.js") {
		t.Fatalf("docs/embed.md has no line with embed.js: %q", line)
	}
	host := newHost(t)
	node := start(t, "--origin="+host.URL).url(1)
	host.page = "<p>Before</p>" + strings.Replace(line, "https://chat.example.org", node, 1) + "<p>After</p>"
	bob := open(t, node+"/r/lobby")
	bob.online()
	frame := open(t, host.URL)
	frame.until("the frame right after its script", `document.querySelector("script + iframe")?.offsetHeight === 420`)
	bob.until("the frame's guest to be in the room", `document.querySelectorAll("#people-list .person").length === 2`)
	frame.clicks(ask[[2]float64](frame, `(() => {
		const { left, top, width, height } = document.querySelector("iframe").getBoundingClientRect();
		return [left + width / 2, top + height - 62];
	})()`))
	frame.until("the frame to have the focus", `document.activeElement.matches("iframe")`)
	frame.types("Said in a frame")
	frame.presses("Enter")
	bob.gets("Said in a frame")
	frame.sound()
}

// A page whose origin was not given shows an empty frame, and its guest is nowhere.
func TestAPageOfAnotherOriginCanNotFrameTheChat(t *testing.T) {
	t.Parallel()
	chromium(t)
	friend, stranger := newHost(t), newHost(t)
	node := start(t, "--origin="+friend.URL).url(1)
	// As a module it runs once for both of its elements.
	const script = `<script type="module" src="%s/embed.js" data-room="%s"></script>`
	page := fmt.Sprintf(script, node, "lobby") + fmt.Sprintf(script, node, "other")
	friend.page, stranger.page = page, page
	bob := open(t, node+"/r/lobby")
	bob.online()
	bad := open(t, stranger.URL)
	bad.until("the refusal of the script", `performance.getEntriesByName("`+node+`/embed.js").length > 0`)
	// Also if the frame is made by hand.
	bad.run(`new Promise((done) => {
		const frame = document.createElement("iframe");
		frame.onload = done;
		frame.src = "` + node + `/r/lobby";
		document.body.append(frame);
	})`)
	good := open(t, friend.URL)
	good.until("both frames", `document.querySelectorAll("script + iframe").length === 2`)
	bob.until("the friend's guest to be in the room", `document.querySelectorAll("#people-list .person").length >= 2`)
	bob.run(`document.querySelector("#open-room-name").value = "other", document.querySelector("#open-room").requestSubmit()`)
	bob.until("the guest of the second frame", `document.querySelector("#room-name").textContent === "other" && document.querySelectorAll("#people-list .person").length === 2`)
	bob.run(`document.querySelector('a[href="/r/lobby"]').click()`)
	bob.until("nobody else", `document.querySelector("#room-name").textContent === "lobby" && document.querySelectorAll("#people-list .person").length === 2`)
	good.sound()
}

// host is a web server of another origin, with one page.
type host struct {
	URL  string
	page string
}

func newHost(t *testing.T) *host {
	h := &host{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		serveHTML(w, "<!doctype html><title>Host</title>"+h.page)
	}))
	t.Cleanup(server.Close)
	h.URL = server.URL
	return h
}

func TestInAFrameBothSidesAreBehindTheirButtons(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	ann := newTab(t)
	ann.size(1200, 420)
	ann.goTo(s.URL + "/r/Lobby?embed")
	ann.online()
	const shown = `[...document.querySelectorAll("#rooms, #people")].filter((side) => !side.inert && side.offsetWidth > 0).map((side) => side.id).join()`
	ann.until("both sides to be away", shown+` === ""`)
	ann.run(`document.querySelector("#people-toggle").click()`)
	ann.until("the people to be shown", shown+` === "people"`)
	if search := ask[string](ann, "location.search"); search != "?embed" {
		t.Errorf("a reload would not know that it is in a frame: %q", search)
	}
	// A thread that is folded in a frame is folded only there.
	ann.goTo(s.URL + "/r/lobby")
	ann.online()
	ann.until("both sides to be shown", shown+` === "rooms,people"`)
	ann.sound()
}

func serveHTML(w http.ResponseWriter, page string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(page)) // the browser may be gone
}
