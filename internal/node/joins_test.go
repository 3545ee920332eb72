package node_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/protocol"
)

// The rooms that a hello names are joined before the next command. A Socket.IO client
// sends its buffered messages before its own code can join: without these rooms all
// are refused as not_joined.
func TestAHelloJoinsItsRoomsFirst(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--max-rooms=3")
	ann := chattest.Enter(t, n.url, "Ann", "one")
	first := ann.Say("one", "before", "1")
	ann.Say("one", "missed", "2")
	ann.Message("missed")
	const rooms = `"join":{"One":"%s","two":"","a b":"","three":"x","four":"0-0","five":""}`
	hello := fmt.Sprintf(rooms, first.ID)
	check := func(who string, answers []chattest.Frame, two string) {
		t.Helper()
		got := make(map[string]string)
		for _, f := range answers {
			got[f.Room] = f.Code
			if f.Code == "" {
				got[f.Room] = fmt.Sprint(f.Recovered, " ", len(f.Messages))
			}
		}
		want := map[string]string{"one": "true 1", "two": two, "a b": "bad_room", "three": "bad_field", "four": "true 0", "five": "too_many_rooms"}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", who, got, want)
		}
	}

	// Over Socket.IO: the hello and the buffered messages arrive together.
	bob := ioDial(t, n.url)
	bob.Sends("40{" + hello + "}")
	bob.Sends(`423["send",{"room":"two","text":"kept","key":"k"}]`)
	if got := bob.Event(); !strings.HasPrefix(got, `40{"sid":"`) {
		t.Fatalf("want the confirmation of the connect, got %q", got)
	}
	if name, f := bob.event(); name != "welcome" || strings.Contains(f.Raw, "renewed") {
		t.Fatalf("want a welcome, got %s", f.Raw)
	}
	var answers []chattest.Frame
	for len(answers) < 6 {
		name, f := bob.event()
		if name == "joined" || name == "error" {
			answers = append(answers, f)
		} else if name != "presence" {
			t.Fatalf("before all rooms are joined: %s", f.Raw)
		}
	}
	check("Socket.IO", answers, "false 0")
	if f := bob.next("ack"); f.Code != "" || f.Key != "k" || f.Room != "two" {
		t.Errorf("a buffered message: %s", f.Raw)
	}

	// Over /ws.
	cleo := chattest.Dial(t, n.url)
	cleo.Write(websocket.TextMessage, `{"type":"hello",`+hello+`}`)
	cleo.Write(websocket.TextMessage, `{"type":"send","room":"two","text":"kept","key":"k"}`)
	cleo.Next("welcome")
	answers = nil
	for len(answers) < 6 {
		answers = append(answers, cleo.Next("joined", "error"))
	}
	check("/ws", answers, "false 1")
	if f := cleo.Next("sent"); f.Key != "k" || f.Duplicate {
		t.Errorf("a buffered message: %s", f.Raw)
	}

	// A hello whose join is no list of rooms is refused.
	for _, bad := range []string{`"join":["one"]`, `"join":"one"`} {
		dan := chattest.Dial(t, n.url)
		dan.Write(websocket.TextMessage, `{"type":"hello",`+bad+`}`)
		dan.Error("bad_field")
		dan.Hello()
	}
}

// Each room of a hello costs as much as a join, and rooms above the limit are refused.
func TestTheRoomsOfAHelloAreCounted(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--max-rooms=1000", "--rate=1", "--burst=1")
	list := func(rooms int) string {
		var names []string
		for i := range rooms {
			names = append(names, fmt.Sprintf(`"r%d":""`, i))
		}
		return `{"type":"hello","join":{` + strings.Join(names, ",") + `}}`
	}
	p := chattest.Dial(t, n.url)
	began := time.Now()
	p.Write(websocket.TextMessage, list(300))
	joined, limited := 0, 0
	for joined+limited < 300 {
		f := p.Next("joined", "error")
		switch {
		case f.Type == "joined":
			joined++
		case f.Code == "rate_limited" && f.Room != "" && f.Retry > 0:
			limited++
		default:
			t.Fatalf("%s", f.Raw)
		}
	}
	// The budget is 500, refilled by 100 a second; a join costs two.
	if most := 260 + int(50*time.Since(began).Seconds()); joined < 250 || joined > most {
		t.Errorf("%d were joined, %d refused", joined, limited)
	}
	q := chattest.Dial(t, n.url)
	q.Write(websocket.TextMessage, list(900))
	q.Closes(protocol.CloseAbuse)
	chattest.Eventually(t, "all users to leave", func() bool {
		_ = p.Conn.Close()
		users, _ := n.Hub().Size()
		return users == 0
	})
}
