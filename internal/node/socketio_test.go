package node_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/protocol"
	"example.com/chat/test/socketio/wiretest"
)

// ioBase is a node's address for wiretest, up to the transport.
func ioBase(url string) string { return url + "/socket.io/?EIO=4&transport=" }

// ioPeer is a client of Socket.IO over a WebSocket that writes the packets by hand.
type ioPeer struct {
	*wiretest.Socket
	t *testing.T
}

// ioDial opens a connection, and does not connect to the namespace yet.
func ioDial(t *testing.T, url string) *ioPeer {
	t.Helper()
	p := &ioPeer{wiretest.Dial(t, ioBase(url)+"polling"), t}
	wiretest.ParseHello(t, p.Next())
	return p
}

// ioEnter connects under a name and joins a room.
func ioEnter(t *testing.T, url, name, room string) *ioPeer {
	t.Helper()
	p := ioDial(t, url)
	p.connect(`{"name":"` + name + `"}`)
	if f := p.ask("join", `{"room":"`+room+`"}`); f.Code != "" || f.Room != room {
		t.Fatalf("join: %s", f.Raw)
	}
	return p
}

// connect connects to the namespace, and returns the welcome, which follows at once.
func (p *ioPeer) connect(auth string) chattest.Frame {
	p.t.Helper()
	p.Sends("40" + auth)
	if got := p.Event(); !strings.HasPrefix(got, `40{"sid":"`) {
		p.t.Fatalf("want the confirmation of the connect, got %q", got)
	}
	name, f := p.event()
	if name != "welcome" || f.Token == "" || f.Version != 1 {
		p.t.Fatalf("want a welcome, got %s %s", name, f.Raw)
	}
	return f
}

// event returns the next event, or "ack" and the arguments of an acknowledgement.
func (p *ioPeer) event() (name string, f chattest.Frame) {
	p.t.Helper()
	got := p.Event()
	var parts []json.RawMessage
	text := got[strings.IndexByte(got, '[')+1:]
	if !strings.HasPrefix(got, "42[") && !strings.HasPrefix(got, "43") || json.Unmarshal([]byte("["+text), &parts) != nil {
		p.t.Fatalf("want an event, got %q", got)
	}
	name = "ack"
	if got[1] == '2' {
		if len(parts) != 2 || json.Unmarshal(parts[0], &name) != nil {
			p.t.Fatalf("want an event with one argument, got %q", got)
		}
		parts = parts[1:]
	}
	if json.Unmarshal(parts[0], &f) != nil || len(parts) != 1 {
		p.t.Fatalf("want one object, got %q", got)
	}
	f.Raw = got
	return name, f
}

// next returns the next event of the name, and skips others.
func (p *ioPeer) next(want string) chattest.Frame {
	p.t.Helper()
	for {
		if name, f := p.event(); name == want {
			return f
		}
	}
}

// ask sends a command and returns the acknowledgement.
func (p *ioPeer) ask(command, argument string) chattest.Frame {
	p.t.Helper()
	p.Sends(`427["` + command + `",` + argument + `]`)
	f := p.next("ack")
	if !strings.HasPrefix(f.Raw, "437[") {
		p.t.Fatalf("%s: another acknowledgement: %q", command, f.Raw)
	}
	return f
}

// Users of both transports are in the same rooms, whichever nodes they are on.
func TestSocketIOAndWebSocketUsersTalk(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	one, two := startNode(t, b.URL()), startNode(t, b.URL())
	ann := chattest.Enter(t, one.url, "Ann", "lobby")
	bob := ioEnter(t, two.url, "Bob", "lobby")
	ann.Say("lobby", "from Ann", "a1")
	if m := bob.next("message"); m.Text != "from Ann" || m.User != ann.Me || m.Room != "lobby" {
		t.Errorf("message: %s", m.Raw)
	}
	sent := bob.ask("send", `{"room":"lobby","text":"from Bob\u001e","key":"b1","ref":5}`)
	if sent.Code != "bad_field" || sent.Ref != 5.0 || sent.Key != "b1" {
		t.Errorf("a control character: %s", sent.Raw)
	}
	sent = bob.ask("send", `{"room":"lobby","text":"from Bob","key":"b1","ref":"r"}`)
	if sent.Key != "b1" || sent.Duplicate || sent.Ref != "r" {
		t.Errorf("sent: %s", sent.Raw)
	}
	m := ann.Message("from Bob")
	if m.ID != sent.ID || m.User.Name != "Bob" {
		t.Errorf("message: %s", m.Raw)
	}
	// Without an acknowledgement the reply is an event.
	bob.Sends(`42["send",{"room":"lobby","text":"from Bob","key":"b1"}]`)
	if f := bob.next("sent"); !f.Duplicate || f.ID != sent.ID {
		t.Errorf("sent again: %s", f.Raw)
	}
	bob.Sends(`42["ping"]`)
	bob.next("pong")
	bob.Sends(`42["join",{"room":"a b","ref":"q"}]`)
	if f := bob.next("error"); f.Code != "bad_room" || f.Ref != "q" {
		t.Errorf("error: %s", f.Raw)
	}
	if f := bob.ask("members", `{"room":"lobby"}`); f.Count != 2 {
		t.Errorf("members: %s", f.Raw)
	}
	if f := bob.ask("hello", `{}`); f.Code != "forbidden" {
		t.Errorf("a second hello: %s", f.Raw)
	}
	for !chattest.Seen(ann.Next("presence").Joined, m.User.ID) {
	} // users who join and leave within 200 ms are not announced
	bob.Sends("41")
	for !chattest.Seen(ann.Next("presence").Left, m.User.ID) {
	}
}

// token and after have the same effect on both transports.
func TestSocketIOMessagesAreEditedDeletedAndReactedTo(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	one, two := startNode(t, b.URL()), startNode(t, b.URL())
	ann := chattest.Enter(t, one.url, "Ann", "lobby")
	bob, cleo := ioEnter(t, two.url, "Bob", "lobby"), ioEnter(t, one.url, "Cleo", "lobby")
	said := bob.ask("send", `{"room":"lobby","text":"frist","key":"1"}`)
	ann.Message("frist")
	cleo.next("message")
	about := `"room":"lobby","target":"` + said.ID + `"`
	for _, c := range []struct{ command, fields, heard string }{
		{"edit", `"text":"first","key":"2"`, `"kind":"edit","target":"` + said.ID + `"`},
		{"react", `"emoji":"👍","on":true,"key":"3"`, `"emoji":"👍","on":true`},
		{"delete", `"key":"4"`, `"kind":"delete","target":"` + said.ID + `"`},
	} {
		sent := bob.ask(c.command, "{"+about+","+c.fields+"}")
		for _, f := range []chattest.Frame{ann.Next("message"), cleo.next("message")} {
			if sent.ID == "" || f.ID != sent.ID || !strings.Contains(f.Raw, c.heard) {
				t.Errorf("%s: the reply is %s and the event %s", c.command, sent.Raw, f.Raw)
			}
		}
	}
	if f := bob.ask("edit", "{"+about+`,"text":"x","key":"5"}`); f.Code != "not_found" || f.Key != "5" {
		t.Errorf("a change of a deleted message: %s", f.Raw)
	}
	if f := bob.ask("react", "{"+about+`,"emoji":"thumb","on":true,"key":"6"}`); f.Code != "bad_field" {
		t.Errorf("words in place of an emoji: %s", f.Raw)
	}
	if f := bob.ask("history", `{"room":"lobby"}`); strings.Contains(f.Raw, "frist") || strings.Contains(f.Raw, `"first"`) || len(f.Messages) != 0 {
		t.Errorf("history: %s", f.Raw)
	}
}

func TestSocketIOComesBackWhereItWas(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	one, two := startNode(t, b.URL()), startNode(t, b.URL())
	ann := chattest.Enter(t, one.url, "Ann", "lobby")
	first := ann.Say("lobby", "1", "k1")
	bob := ioDial(t, one.url)
	token := bob.connect(`{"name":"Bob"}`).Token
	_ = bob.Close()
	for i := range 60 {
		chattest.Eventually(t, "a message to be acknowledged", func() bool {
			ann.Send("send", "room", "lobby", "text", "x", "key", fmt.Sprint("m", i))
			f := ann.Next("sent", "error")
			for f.Type == "error" {
				time.Sleep(time.Duration(f.Retry) * time.Millisecond)
				return false
			}
			return true
		})
	}
	bob = ioDial(t, two.url)
	if w := bob.connect(`{"token":"` + token + `"}`); w.User.Name != "Bob" {
		t.Errorf("welcome: %s", w.Raw)
	}
	j := bob.ask("join", `{"room":"lobby","after":"`+first.ID+`"}`)
	if !j.Recovered || len(j.Messages) != 60 || j.Messages[0].Seq() != first.Seq()+1 {
		t.Errorf("%t, %d messages", j.Recovered, len(j.Messages))
	}
}

// A refused hello is a connect_error, with all the fields of the error on /ws.
func TestSocketIOHelloRefused(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	chattest.Enter(t, n.url, "Ann", "lobby")
	p := ioDial(t, n.url)
	for _, c := range []struct{ auth, code string }{
		{`{"name":"a\nb"}`, "bad_name"},
		{`{"name":5}`, "bad_field"},
		{`{"name":"ann"}`, "name_taken"},
		{`{"name":"a","name":"b"}`, "bad_json"},
		{`{"token":5}`, "bad_field"},
	} {
		p.Sends("40" + c.auth)
		got, ok := strings.CutPrefix(p.Event(), "44")
		var answer struct {
			Message string
			Data    struct{ Code, Message string }
		}
		if !ok || json.Unmarshal([]byte(got), &answer) != nil || answer.Data.Code != c.code || answer.Message == "" || answer.Message != answer.Data.Message {
			t.Errorf("%s: want %s, got %q", c.auth, c.code, got)
		}
	}
	p.connect("") // a guest is accepted after all
	p = ioDial(t, n.url)
	for range 20 {
		p.Sends(`40{"name":""}`)
	}
	p.Sends("40")
	if closed := p.Closes(); closed.Code != protocol.CloseAbuse {
		t.Errorf("closed with %v", closed)
	}
	// A connection without a hello, and one that leaves and does nothing else.
	p, left := ioDial(t, n.url), ioDial(t, n.url)
	left.connect("")
	left.Sends("41")
	p.Closes()
	left.Closes()
	chattest.Eventually(t, "all slots to be released", func() bool { return n.Limiter().Stats().InFlight == 0 && n.SocketIO().Engine.Open == 1 })
}

// A hello while Redis is away ends the connection instead of being refused: official
// clients retry then, and do not after a refusal.
func TestSocketIOHelloWithoutRedis(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	b.Close()
	p := ioDial(t, n.url)
	p.Sends("40")
	if closed := p.Closes(); closed.Code != protocol.CloseFull {
		t.Errorf("closed with %v", closed)
	}
}

const (
	unknownType = "unknown_type"
	badField    = "bad_field"
	badJSON     = "bad_json"
)

func TestSocketIOBadCommandsGetTheirCode(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--rate=0")
	p := ioEnter(t, n.url, "Ann", "lobby")
	for _, c := range []struct{ event, code string }{
		{`["dance",{}]`, unknownType},
		{`["",{}]`, unknownType},
		{`["prototype"]`, unknownType},
		{`[1,{}]`, unknownType},
		{`["type",{"type":"ping"}]`, unknownType},
		{`["dance"]`, unknownType},
		{`["ping",5]`, badJSON},
		{`["ping",null]`, badJSON},
		{`["ping","{}"]`, badJSON},
		{`["ping",[{}]]`, badJSON},
		{`["ping",{"a":1,"a":2}]`, badJSON},
		{`["send",{"room":"lobby","key":"\ud800","text":"x"}]`, badField},
		{`["ping",{},{}]`, badField},
		{`["send",{"room":"lobby","key":"k"}]`, badField},
		{`["history",{"room":"lobby","limit":0}]`, badField},
		{`["join",{"room":"../x"}]`, "bad_room"},
		{`["send",{"room":"elsewhere","key":"k","text":"a"}]`, "not_joined"},
		{`["moderate",{"action":"kick","user":"x"}]`, "forbidden"},
	} {
		p.Sends("427" + c.event)
		if f := p.next("ack"); f.Code != c.code || f.Message == "" {
			t.Errorf("%s: want %s, got %s", c.event, c.code, f.Raw)
		}
		p.Sends("42" + c.event)
		if f := p.next("error"); f.Code != c.code || f.Message == "" {
			t.Errorf("%s: want %s, got %s", c.event, c.code, f.Raw)
		}
	}
	p.Sends(`451-7["send",{"room":"lobby","key":"k","text":{"_placeholder":true,"num":0}}]`)
	p.SendsBinary("binary")
	if f := p.next("ack"); f.Code != badField {
		t.Errorf("binary: %s", f.Raw)
	}
}

// Both transports have the same limits, and send the error before they close.
func TestSocketIOAbuseAndKicks(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	const secret = "0123456789abcdef0123456789abcdef"
	n := startNode(t, b.URL(), "--rate=1", "--burst=1", "--jwt-secret="+secret)
	hello := func(sub string, mod bool) string {
		return token(t, secret, jwt.MapClaims{"sub": sub, "name": sub, "mod": mod, "exp": time.Now().Add(time.Hour).Unix()})
	}
	p := ioDial(t, n.url)
	p.Sends("40")
	if got := p.Event(); !strings.HasPrefix(got, "44") || !strings.Contains(got, `"unauthorized"`) {
		t.Errorf("without a JWT: %q", got)
	}
	p = ioDial(t, n.url)
	p.connect(`{"auth":"` + hello("Ann", false) + `"}`)
	for range 300 {
		p.Sends(`42["send",{}]`)
	}
	last := ""
	for got := p.Event(); got != "41"; got = p.Event() {
		last = got
	}
	if !strings.HasPrefix(last, `42["error",{"code":"rate_limited"`) {
		t.Errorf("before the disconnect: %q", last)
	}
	bob := ioDial(t, n.url)
	bob.connect(`{"auth":"` + hello("Bob", false) + `"}`)
	bob.ask("join", `{"room":"lobby"}`)
	mod := chattest.Dial(t, n.url)
	mod.Hello("auth", hello("Mod", true))
	mod.Send("moderate", "action", "kick", "user", "Bob", "reason", "enough")
	mod.Next("moderated")
	last = ""
	for got := bob.Event(); got != "41"; got = bob.Event() {
		last = got
	}
	if last != `42["error",{"code":"forbidden","message":"enough"}]` {
		t.Errorf("before the disconnect: %q", last)
	}
	bob.Closes() // as this client does not close by itself
}

// Every request of a page of a foreign origin is refused. A page of an allowed origin can
// read the answers.
func TestSocketIOOrigins(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--origin=https://good.example")
	url := wiretest.Open(t, ioBase(n.url))
	const forbidden = `{"code":4,"message":"Forbidden"}`
	for _, u := range []string{ioBase(n.url) + "polling", url} {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			status, body := wiretest.Do(t, method, u, "", "Origin", "https://evil.example")
			if status != 403 || body != forbidden {
				t.Errorf("%s: %d %s", method, status, body)
			}
		}
		if _, res, err := websocket.DefaultDialer.Dial(wiretest.WebSocketURL(u), http.Header{"Origin": {"https://evil.example"}}); err == nil || res.StatusCode != 403 {
			t.Errorf("a WebSocket of another origin: %v", err)
		}
	}
	r, _ := http.NewRequest("OPTIONS", url, nil)
	r.Header.Set("Origin", "https://good.example")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if h := res.Header; res.StatusCode != 204 || h.Get("Access-Control-Allow-Origin") != "https://good.example" || h.Get("Access-Control-Allow-Credentials") != "true" {
		t.Errorf("%d %v", res.StatusCode, h)
	}
	if status, _ := wiretest.Do(t, "POST", url, "40", "Origin", "https://good.example"); status != 200 {
		t.Errorf("the good origin: %d", status)
	}
}

// --max-conns counts the connections of both transports, and admission their
// handshakes. A refused connection uses no slot.
func TestSocketIOIsCountedWithTheOthers(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--max-conns=2")
	ann := chattest.Enter(t, n.url, "Ann", "lobby")
	bob := ioEnter(t, n.url, "Bob", "lobby")
	status, body := wiretest.Do(t, "GET", ioBase(n.url)+"polling", "")
	if status != 503 || !strings.Contains(body, "full") {
		t.Errorf("%d %s", status, body)
	}
	chattest.Dial(t, n.url).Closes(protocol.CloseFull)
	chattest.Eventually(t, "the refused connection to end", func() bool { return n.Connections() == 2 })
	families, _ := scrape(t, n.url)
	got := values(families)
	if got["chat_connections"] != 2 || got["chat_socketio_sessions{transport=websocket}"] != 1 {
		t.Errorf("%v connections, %v of them on Socket.IO", got["chat_connections"], got["chat_socketio_sessions{transport=websocket}"])
	}
	_ = bob.Close()
	_ = ann.Conn.Close()
	chattest.Eventually(t, "all slots to be released", func() bool { return n.Connections() == 0 })
	if n.Limiter().Stats().InFlight != 0 || n.SocketIO().Engine.Opened != 1 {
		t.Errorf("%+v, %+v", n.Limiter().Stats(), n.SocketIO())
	}
	n.SetDraining()
	r, err := http.Get(ioBase(n.url) + "polling")
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("a draining node: %d %v", r.StatusCode, r.Header)
	}
}
