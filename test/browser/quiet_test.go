package browser

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// listen records from now on what the bar above the field shows.
func (p *tab) listen() {
	p.t.Helper()
	p.run(`(() => {
		const bar = document.querySelector("#bar");
		globalThis.__bar = [];
		new MutationObserver(() => bar.hidden || __bar.push(bar.innerText.trim())).observe(bar, {attributes: true, childList: true, subtree: true, characterData: true});
	})()`)
}

// heard returns what the bar has shown since listen.
func (p *tab) heard() []string {
	p.t.Helper()
	return ask[[]string](p, "[...new Set(__bar)]")
}

// Nodes that restart one after the other lose nothing, and the page reports nothing.
func TestARollingRestartIsNotSpokenOf(t *testing.T) {
	t.Parallel()
	chromium(t)
	redis := redistest.Start(t)
	ports := chattest.FreePorts(t, 2)
	var nodes [2]*program
	run := func(i int) string {
		nodes[i] = start(t, "--redis="+redis.URL, "--addr=127.0.0.1:"+strconv.Itoa(ports[i]))
		return nodes[i].url(1)
	}
	first := run(0)
	run(1)
	ann, bob := open(t, first), open(t, first)
	ann.online()
	bob.online()
	ann.until("both to be there", `document.querySelectorAll("#people-list .person").length === 2`)
	ann.listen()
	bob.listen()
	for round := range 2 {
		nodes[round].Signal(syscall.SIGTERM)
		<-nodes[round].Done()
		text := "While node " + strconv.Itoa(round) + " was away"
		ann.says(text)
		ann.gets(text)
		bob.gets(text)
		run(round)
		ann.online()
		bob.online()
	}
	for _, p := range []*tab{ann, bob} {
		if heard := p.heard(); len(heard) > 0 {
			t.Errorf("the bar said %q", heard)
		}
		p.sound()
	}
}

// Browsers keep a page that is left, with its sockets, for Back.
func TestWhoLeavesByALinkIsGoneAtOnceAndComesBack(t *testing.T) {
	t.Parallel()
	t.Logf("the browser had kept the page: %v", leavesAndComesBack(t, newTab))
}

// leavesAndComesBack reports whether the page came out of the browser's cache for "back".
func leavesAndComesBack(t *testing.T, newTab opener) (kept bool) {
	node := start(t, "--nodes=2").url(1)
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		serveHTML(w, "<!doctype html><title>Elsewhere</title>")
	}))
	t.Cleanup(host.Close)
	ann, bob := newTab.at(t, node), newTab.at(t, node)
	ann.online()
	bob.online()
	bob.until("both to be there", `document.querySelectorAll("#people-list .person").length === 2`)
	ann.listen()
	bob.run(`globalThis.__alone = 0; new MutationObserver(() => document.querySelectorAll("#people-list .person").length === 1 && (__alone ||= Date.now())).observe(document.querySelector("#people-list"), {childList: true})`)
	ann.run(`addEventListener("pageshow", (e) => (globalThis.__persisted = e.persisted))`)
	left := time.Now()
	ann.goTo(host.URL)
	bob.until("Bob to be alone", "__alone")
	if took := time.UnixMilli(ask[int64](bob, "__alone")).Sub(left); took > 2*time.Second {
		t.Errorf("she was there for %s more", took)
	}
	bob.says("While she was away")
	ann.run("void setTimeout(() => history.back())")
	ann.online()
	ann.gets("While she was away")
	bob.until("both to be there", `document.querySelectorAll("#people-list .person").length === 2`)
	kept = ask[bool](ann, "!!globalThis.__persisted")
	ann.says("Back again")
	bob.gets("Back again")
	if kept {
		for _, words := range ann.heard() {
			if strings.Contains(words, "went away") {
				t.Errorf("the bar says %q", words)
			}
		}
	}
	ann.sound()
	return kept
}

// behind serves a node through a proxy that changes what it is asked.
func behind(t *testing.T, node string, change func(*http.Request) bool, keepHost bool) string {
	t.Helper()
	to, err := url.Parse(node)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to) // as most do, unless they are told otherwise: with the node's Host
		if keepHost {
			r.Out.Host = r.In.Host
		}
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if change(r) {
			proxy.ServeHTTP(w, r)
			return
		}
		http.Error(w, "no", http.StatusBadGateway)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestThePageSaysWhyItCanNotConnect(t *testing.T) {
	t.Parallel()
	node := start(t).url(1)
	for name, test := range map[string]struct {
		words  string
		change func(*http.Request) bool
	}{
		// The page's address is not the one by which the node is asked.
		"refused": {"The server does not let this page connect. Whoever runs it has to start it with --origin http://", func(*http.Request) bool { return true }},
		"no upgrades": {"The server is there, but WebSockets don't get to it.", func(r *http.Request) bool {
			r.Header.Del("Upgrade")
			r.Header.Del("Connection")
			return true
		}},
		"away": {"Offline. What you write is kept and goes out when you are back.", func(r *http.Request) bool {
			return r.URL.Path != "/ws" && r.URL.Path != "/readyz"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, behind(t, node, test.change, name != "refused")+"/r/lobby")
			p.bar(test.words)
			p.sound()
		})
	}
}

// A message that no node accepts, for whatever reason, delays no other.
func TestWhatNoNodeTakesHoldsUpNothing(t *testing.T) {
	t.Parallel()
	node := start(t).url(1)
	ann := open(t, node)
	ann.online()
	ann.run(`(async () => {
		const { connect } = await import("/client.js");
		globalThis.chat = await connect({room: "lobby", storage: "test."});
		globalThis.sent = [];
		chat.on("sent", ({text = "", kind = ""}) => sent.push(kind + text));
		for (const text of ["x".repeat(40_000), "🙂🙂".slice(0, 3), "x".repeat(4001), "hi"]) chat.say(text);
	})()`)
	ann.until("what can be sent to be sent", `sent.length === 2 && sent[0] === "🙂\ufffd" && sent[1] === "hi"`)
	if got := ask[[]string](ann, "chat.pending().map(({code}) => code)"); len(got) != 2 || got[0] != "too_long" || got[1] != "too_long" {
		t.Errorf("what can't be sent is refused as %q", got)
	}
	ann.gets("hi")
	ann.run(`chat.on("message", ({id, text}) => text === "bye" && chat.remove(id)); chat.say("bye")`)
	ann.until("the deletion to be told as sent", `sent.includes("delete")`)
	ann.run("chat.close()")
	if got := ask[string](ann, "chat.state.state"); got != "closed" {
		t.Errorf("after close the state is %q", got)
	}

	// The page's own field, as an input method may leave it.
	ann.run(`const field = document.querySelector("#say"); field.value = "a \ud83d"; field.dispatchEvent(new Event("input"))`)
	ann.focuses("#say")
	ann.presses("Enter")
	ann.gets("a \ufffd")
	ann.says("and on")
	ann.gets("and on")
	ann.sound()
}
