package node_test

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

func TestBadCommandsGetTheirCode(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--text-limit=20", "--rate=0")
	p := chattest.Enter(t, n.url, "Ann", "lobby")
	long := strings.Repeat("x", 65)
	for _, c := range []struct{ frame, code string }{
		{`not JSON`, "bad_json"},
		{``, "bad_json"},
		{`[1,2]`, "bad_json"},
		{`"hello"`, "bad_json"},
		{`{"type":"ping"`, "bad_json"},
		{`{"type":"ping"} {"type":"ping"}`, "bad_json"},
		{`{"type":"ping","type":"ping"}`, "bad_json"},
		{`{"type":"send","room":"lobby","key":"\ud800","text":"x"}`, "bad_field"},
		{`{"type":"send","room":"lobby\ud800","key":"k","text":"x"}`, "bad_room"},
		{`{"type":"rename","name":"Ann\udc00"}`, "bad_name"},
		{strings.Repeat(`{"type":`, 300), "bad_json"},
		{strings.Repeat(`[`, 2000), "bad_json"},
		{`{}`, "unknown_type"},
		{`{"type":"shout","room":"lobby"}`, "unknown_type"},
		{`{"type":"edit","room":"lobby"}`, "bad_field"},
		{`{"type":"dance"}`, "unknown_type"},
		{`{"type":5}`, "unknown_type"},
		{`{"type":"__proto__"}`, "unknown_type"},
		{`{"type":"ping","ref":{}}`, "bad_field"},
		{`{"type":"ping","ref":1.5}`, "bad_field"},
		{`{"type":"ping","ref":"` + long + `"}`, "bad_field"},
		{`{"type":"join"}`, "bad_room"},
		{`{"type":"join","room":null}`, "bad_room"},
		{`{"type":"join","room":""}`, "bad_room"},
		{`{"type":"join","room":".hidden"}`, "bad_room"},
		{`{"type":"join","room":"a b"}`, "bad_room"},
		{`{"type":"join","room":"a:b"}`, "bad_room"},
		{`{"type":"join","room":"a{1}"}`, "bad_room"},
		{`{"type":"join","room":"../x"}`, "bad_room"},
		{`{"type":"join","room":"ä"}`, "bad_room"},
		{`{"type":"join","room":"` + long + `"}`, "bad_room"},
		{`{"type":"join","room":7}`, "bad_field"},
		{`{"type":"join","room":["lobby"]}`, "bad_field"},
		{`{"type":"join","room":"lobby","after":"garbage"}`, "bad_field"},
		{`{"type":"join","room":"lobby","after":"-1-1"}`, "bad_field"},
		{`{"type":"join","room":"lobby","after":"1-` + strings.Repeat("9", 30) + `"}`, "bad_field"},
		{`{"type":"join","room":"lobby","after":17}`, "bad_field"},
		{`{"type":"send","room":"lobby","key":"k","text":""}`, "bad_field"},
		{`{"type":"send","room":"lobby","key":"k"}`, "bad_field"},
		{`{"type":"send","room":"lobby","key":"k","text":5}`, "bad_field"},
		{`{"type":"send","room":"lobby","key":"k","text":"a\u0000b"}`, "bad_field"},
		{`{"type":"send","room":"lobby","key":"k","text":"a\rb"}`, "bad_field"},
		{`{"type":"send","room":"lobby","text":"a"}`, "bad_field"},
		{`{"type":"send","room":"lobby","key":"","text":"a"}`, "bad_field"},
		{`{"type":"send","room":"lobby","key":1,"text":"a"}`, "bad_field"},
		{`{"type":"send","room":"lobby","key":"` + long + `","text":"a"}`, "bad_field"},
		{`{"type":"send","room":"lobby","key":"k","text":"` + strings.Repeat("é", 11) + `"}`, "too_long"},
		{`{"type":"send","room":"elsewhere","key":"k","text":"a"}`, "not_joined"},
		{`{"type":"leave","room":"elsewhere"}`, "not_joined"},
		{`{"type":"typing","room":"elsewhere"}`, "not_joined"},
		{`{"type":"history","room":"elsewhere"}`, "not_joined"},
		{`{"type":"history","room":"lobby","limit":0}`, "bad_field"},
		{`{"type":"history","room":"lobby","limit":201}`, "bad_field"},
		{`{"type":"history","room":"lobby","limit":1.5}`, "bad_field"},
		{`{"type":"history","room":"lobby","limit":` + strings.Repeat("9", 100) + `}`, "bad_field"},
		{`{"type":"history","room":"lobby","limit":"5"}`, "bad_field"},
		{`{"type":"history","room":"lobby","before":"x"}`, "bad_field"},
		{`{"type":"rename"}`, "bad_name"},
		{`{"type":"rename","name":""}`, "bad_name"},
		{`{"type":"rename","name":5}`, "bad_field"},
		{`{"type":"rename","name":"` + strings.Repeat("x", 33) + `"}`, "bad_name"},
		{`{"type":"rename","name":"a  b"}`, "bad_name"},
		{`{"type":"rename","name":"a\u202eb"}`, "bad_name"},
		{`{"type":"rename","name":"a\u200bb"}`, "bad_name"},
		{`{"type":"rename","name":"<b>"}`, "bad_name"},
		{`{"type":"rename","name":"😀"}`, "bad_name"},
		{`{"type":"moderate","action":"kick","user":"x"}`, "forbidden"},
		{`{"type":"moderate","action":"tickle"}`, "bad_field"},
		{`{"type":"moderate","action":"ban"}`, "bad_field"},
		{`{"type":"hello"}`, "forbidden"},
	} {
		p.Write(websocket.TextMessage, c.frame)
		if f := p.Next("error"); f.Code != c.code || f.Message == "" {
			t.Errorf("%.80s: want %s, got %s", c.frame, c.code, f.Raw)
		}
	}
	// Half a surrogate pair in a ref is echoed as U+FFFD.
	p.Write(websocket.TextMessage, `{"type":"ping","ref":"\ud800"}`)
	if f := p.Next("pong"); f.Ref != "\ufffd" {
		t.Errorf("pong: %s", f.Raw)
	}
	// Unknown fields are ignored, and so are those that a client can't set.
	p.Write(websocket.TextMessage, `{"type":"send","room":"LOBBY","key":"good","text":"a\n\tb","id":"1-1","user":{"id":"x"},"time":1,"node":"x"}`)
	if f := p.Next("sent"); f.Room != "lobby" || f.Key != "good" {
		t.Errorf("sent: %s", f.Raw)
	}
	if m := p.Message("a\n\tb"); m.User != p.Me || m.Time < 1e12 || m.Node == "x" {
		t.Errorf("message: %s", m.Raw)
	}
}

func TestHelloComesFirst(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	p := chattest.Dial(t, n.url)
	p.Send("ping", "ref", "r")
	if f := p.Error("hello_first"); f.Ref != "r" {
		t.Errorf("error: %s", f.Raw)
	}
	p.Send("hello", "name", "a\nb")
	p.Error("bad_name")
	p.Hello("name", "Ann")
	p.Send("ping", "ref", 1<<53)
	if f := p.Next("pong"); f.Ref != float64(1<<53) {
		t.Errorf("pong: %s", f.Raw)
	}
	silent := chattest.Dial(t, n.url)
	silent.Closes(4001)
}

func TestTheHundredAndFirstRoom(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	p := chattest.Dial(t, n.url)
	p.Hello()
	for i := range 100 {
		p.Join("room-" + strconv.Itoa(i))
	}
	p.Send("join", "room", "room-100")
	if f := p.Error("too_many_rooms"); f.Room != "room-100" {
		t.Errorf("error: %s", f.Raw)
	}
	p.Join("room-5") // joining it again adds no room
	p.Send("leave", "room", "room-7")
	p.Next("left")
	p.Join("room-100")
}

func TestFramesOutsideTheRulesAreClosed(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--text-limit=100")
	for _, c := range []struct {
		name string
		kind int
		data string
		code int
	}{
		{"binary", websocket.BinaryMessage, `{"type":"ping"}`, 1003},
		{"not UTF-8", websocket.TextMessage, "{\"type\":\"p\xff\"}", 1007},
		{"too large", websocket.TextMessage, `{"type":"ping","x":"` + strings.Repeat("x", 6*100+4096) + `"}`, 1009},
	} {
		p := chattest.Enter(t, n.url, "", "lobby")
		p.Write(c.kind, c.data)
		p.Closes(c.code)
	}
	// A text of the largest allowed size is accepted, also in JSON's longest escapes.
	p := chattest.Enter(t, n.url, "", "lobby")
	p.Write(websocket.TextMessage, `{"type":"send","room":"lobby","key":"k","text":"`+strings.Repeat(`\u0041`, 100)+`"}`)
	p.Message(strings.Repeat("A", 100))
}

func TestFloodsAreLimitedAndThenClosed(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--rate=5", "--burst=5")
	p := chattest.Enter(t, n.url, "Ann", "lobby")
	for i := range 6 {
		p.Send("send", "room", "lobby", "text", "x", "key", strconv.Itoa(i))
	}
	f := p.Error("rate_limited")
	if f.Key != "5" || f.Retry < 1 || f.Retry > 1000 {
		t.Errorf("error: %s", f.Raw)
	}
	deadline := time.Now().Add(chattest.Patience)
	for i := 0; p.Conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"send","room":"lobby","text":"x","key":"f`+strconv.Itoa(i)+`"}`)) == nil; i++ {
		if time.Now().After(deadline) {
			t.Fatal("the flood did not end the connection")
		}
	}
	p.Closes(4009)
	shows(t, n, map[string]float64{"chat_connections_closed_abusive_total": 1, "chat_rate_limited_total": 10})
	// Other commands have a budget too.
	q := chattest.Enter(t, n.url, "Bob", "lobby")
	for range 200 {
		q.Send("history", "room", "lobby")
	}
	q.Error("rate_limited")
}

func TestASlowReaderIsClosedAndOthersDoNotFeelIt(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--rate=0")
	quick := chattest.Enter(t, n.url, "Quick", "busy")
	slow, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	_ = slow.(*net.TCPConn).SetReadBuffer(4096)
	fmt.Fprintf(slow, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		slow.RemoteAddr(), base64.StdEncoding.EncodeToString(make([]byte, 16)))
	answer := make([]byte, 1024)
	if _, err := slow.Read(answer); err != nil || !strings.Contains(string(answer), "101") {
		t.Fatalf("%v: %s", err, answer)
	}
	for _, command := range []string{`{"type":"hello","name":"Slow"}`, `{"type":"join","room":"busy"}`} {
		_, _ = slow.Write(append([]byte{0x81, 0x80 | byte(len(command)), 0, 0, 0, 0}, command...))
	}
	for f := quick.Next("presence"); f.Count < 2; f = quick.Next("presence") {
	}
	text := strings.Repeat("x", 4000)
	for i := 0; n.Conns().Stats().Slow == 0; i++ {
		if i > 5000 {
			t.Fatal("the slow reader was never closed")
		}
		quick.Say("busy", text, strconv.Itoa(i)) // waits for its sent each time
	}
	shows(t, n, map[string]float64{"chat_connections_closed_slow_total": 1})
	for f := quick.Next("presence"); f.Count != 1; f = quick.Next("presence") {
	}
}

func TestAFullNodeSaysSo(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--max-conns=2")
	// It is not defined which of several concurrent connections exceeds the limit.
	chattest.Dial(t, n.url).Hello()
	chattest.Dial(t, n.url).Hello()
	chattest.Dial(t, n.url).Closes(1013)
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n1 := startNode(t, b.URL(), "--origin=https://app.example.org")
	n2 := startNode(t, b.URL())
	chattest.Eventually(t, "both nodes to be known", func() bool { return len(n1.Sessions().Cluster.NodesFor("http://x")) == 2 })
	for origin, allowed := range map[string]bool{
		n1.url:                                   true,
		n2.url:                                   true, // a page of another node goes on here
		strings.ToUpper(n1.url[:4]) + n1.url[4:]: true,
		"https://app.example.org":                true,
		"https://APP.example.org:443":            true,
		"http://app.example.org":                 false,
		"https://app.example.org.evil.org":       false,
		"https://evil.org":                       false,
		"null":                                   false,
		"":                                       false,
		"http://user@" + n1.url[7:]:              false,
		"http://127.0.0.1":                       false,
		"file://":                                false,
	} {
		p, err := chattest.TryDial(t, n1.url, http.Header{"Origin": {origin}})
		if (err == nil) != allowed {
			t.Errorf("origin %q: %v", origin, err)
		}
		if err == nil {
			p.Hello()
		}
		r, _ := http.NewRequest("GET", n1.url+"/client.js", nil)
		r.Header.Set("Origin", origin)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if shared := res.Header.Get("Access-Control-Allow-Origin"); res.StatusCode != 200 || (shared == origin && origin != "") != allowed {
			t.Errorf("client.js for origin %q: %d, allowed to %q", origin, res.StatusCode, shared)
		}
	}
}

func TestHTTPErrorsAreJSON(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	for path, want := range map[string]string{
		"/api/rooms/a%20b/messages":                "400 bad_room",
		"/api/rooms/lobby/messages?limit=0":        "400 bad_field",
		"/api/rooms/lobby/messages?limit=x":        "400 bad_field",
		"/api/rooms/lobby/messages?before=garbage": "400 bad_field",
		"/api/nothing":                             "404 not_found",
		"/ws":                                      "",
	} {
		var answer struct {
			Error struct{ Code, Message string }
		}
		if want == "" {
			res, err := http.Get(n.url + path)
			if err != nil || res.StatusCode != 400 {
				t.Errorf("%s: %v %v", path, res, err)
			}
			continue
		}
		status := chattest.GetJSON(t, n.url+path, &answer)
		if got := fmt.Sprint(status, " ", answer.Error.Code); got != want || answer.Error.Message == "" {
			t.Errorf("%s: %s", path, got)
		}
	}
	res, err := http.Post(n.url+"/api/rooms", "text/plain", strings.NewReader("x"))
	if err != nil || res.StatusCode != 405 || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %v %v", res, err)
	}
}

// token signs a JWT for tests.
func token(t *testing.T, key string, claims jwt.MapClaims) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestModeratorsAndTheirDecisions(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	key := strings.Repeat("k", 32)
	n1, n2 := startNode(t, b.URL(), "--jwt-secret="+key), startNode(t, b.URL(), "--jwt-secret="+key)
	enterAs := func(url string, claims jwt.MapClaims) *chattest.Client {
		p := chattest.Dial(t, url)
		p.Hello("auth", token(t, key, claims))
		p.Join("lobby")
		return p
	}
	mod := enterAs(n1.url, jwt.MapClaims{"sub": "m", "name": "Mod", "mod": true})
	ann := enterAs(n2.url, jwt.MapClaims{"sub": "a", "name": "Ann", "rooms": []string{"lobby"}})
	if ann.Me != (chattest.User{ID: "a", Name: "Ann"}) {
		t.Errorf("the moderator's user is %v", ann.Me)
	}
	ann.Send("join", "room", "secret")
	ann.Error("forbidden")
	ann.Send("moderate", "action", "lock", "room", "lobby")
	ann.Error("forbidden")

	act := func(fields ...any) chattest.Frame {
		t.Helper()
		mod.Send("moderate", append(fields, "ref", "r")...)
		for {
			if f := mod.Next("moderated"); f.Ref == "r" {
				return f
			}
		}
	}
	say := func(code string) chattest.Frame {
		t.Helper()
		ann.Send("send", "room", "lobby", "text", "x", "key", "k-"+code)
		return ann.Error(code)
	}
	act("action", "mute", "room", "lobby", "user", "a", "seconds", 60, "reason", "too loud")
	if f := ann.Next("moderated"); f.Action != "mute" || f.User.ID != "a" || f.Reason != "too loud" || f.Until == 0 {
		t.Errorf("moderated: %s", f.Raw)
	}
	if f := say("muted"); f.Retry < 1 || f.Retry > 60_000 {
		t.Errorf("error: %s", f.Raw)
	}
	act("action", "unmute", "room", "lobby", "user", "a")
	ann.Next("moderated")
	ann.Say("lobby", "I'm back", "k1")
	act("action", "lock", "room", "lobby")
	ann.Next("moderated")
	say("locked")
	mod.Say("lobby", "moderators speak", "k1")
	act("action", "unlock", "room", "lobby")
	act("action", "slow", "room", "lobby", "seconds", 60)
	ann.Next("moderated")
	ann.Next("moderated")
	ann.Say("lobby", "one", "k2")
	if f := say("slow_mode"); f.Retry < 1 || f.Retry > 60_000 {
		t.Errorf("error: %s", f.Raw)
	}
	act("action", "slow", "room", "lobby", "seconds", 0)
	ann.Next("moderated")
	ann.Say("lobby", "two", "k3")
	act("action", "ban", "user", "a", "reason", "enough")
	ann.Closes(4003)
	if ann.Closed.Text != "enough" {
		t.Errorf("reason %q", ann.Closed.Text)
	}
	again := chattest.Dial(t, n1.url)
	again.Send("hello", "auth", token(t, key, jwt.MapClaims{"sub": "a"}))
	again.Error("forbidden")
	act("action", "unban", "user", "a")
	chattest.Eventually(t, "the ban to end", func() bool {
		again.Send("hello", "auth", token(t, key, jwt.MapClaims{"sub": "a"}))
		return again.Next("welcome", "error").Type == "welcome"
	})
	again.Join("lobby")
	act("action", "kick", "room", "lobby", "user", "a")
	again.Closes(4003)
}

func TestANodeThatDemandsAJWT(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	key := strings.Repeat("k", 32)
	n := startNode(t, b.URL(), "--jwt-secret="+key)
	good := jwt.MapClaims{"sub": "a", "exp": time.Now().Add(time.Hour).Unix()}
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, good).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	for name, auth := range map[string]string{
		"none given":    "",
		"alg none":      none,
		"another key":   token(t, strings.Repeat("x", 32), good),
		"expired":       token(t, key, jwt.MapClaims{"sub": "a", "exp": 1}),
		"not yet valid": token(t, key, jwt.MapClaims{"sub": "a", "nbf": time.Now().Add(time.Hour).Unix()}),
		"no subject":    token(t, key, jwt.MapClaims{"name": "a"}),
		"truncated":     token(t, key, good)[:40],
	} {
		p := chattest.Dial(t, n.url)
		p.Send("hello", "auth", auth)
		if f := p.Next("error"); f.Code != "unauthorized" {
			t.Errorf("%s: %s", name, f.Raw)
		}
		p.Closes(4001)
	}
	res, err := http.Get(n.url + "/api/rooms")
	if err != nil || res.StatusCode != 401 {
		t.Errorf("the API without a JWT: %v %v", res, err)
	}
	req, _ := http.NewRequest(http.MethodGet, n.url+"/api/rooms", nil)
	req.Header.Set("Authorization", "Bearer "+token(t, key, good))
	if res, err = http.DefaultClient.Do(req); err != nil || res.StatusCode != 200 {
		t.Errorf("the API with a JWT: %v %v", res, err)
	}
}
