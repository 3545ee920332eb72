package node_test

import (
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// A refusal has the key of its command, for each command, on both transports, and also
// where the JSON is only partly valid. Otherwise the client repeats the command for ever,
// and all others wait behind it.
func TestErrorsNameTheirCommandOnBothTransports(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--text-limit=20", "--rate=0")
	ann, bob := chattest.Enter(t, n.url, "Ann", "lobby"), ioEnter(t, n.url, "Bob", "lobby")
	const about = `"ref":"r","room":"lobby","key":"k"`
	for _, c := range []struct{ command, fields, code string }{
		{"send", about + `,"text":"` + strings.Repeat("x", 21) + `"`, "too_long"},
		{"send", about + `,"text":"a\u0000"`, "bad_field"},
		{"edit", about + `,"target":"9-9","text":"\ud83d"`, "not_found"},
		{"edit", about + `,"target":"x","text":"a"`, "bad_field"},
		{"delete", about + `,"target":"9-9"`, "not_found"},
		{"react", about + `,"target":"9-9","emoji":"\ud83d","on":true`, "bad_field"},
		{"join", about + `,"after":"x"`, "bad_field"},
		{"history", about + `,"limit":0`, "bad_field"},
		{"moderate", about + `,"action":"lift"`, "bad_field"},
		{"dance", about, "unknown_type"},
		{"rename", about + `,"name":5`, "bad_field"},
		{"send", about + `,"text":"a","text":"b"`, "bad_json"},
		{"typing", about + `,"x":{"a":1,"a":2}`, "bad_json"},
	} {
		ann.Write(websocket.TextMessage, `{"type":"`+c.command+`",`+c.fields+`}`)
		bob.Sends(`42["` + c.command + `",{` + c.fields + `}]`)
		for _, f := range []chattest.Frame{ann.Next("error"), bob.next("error"), bob.ask(c.command, "{"+c.fields+"}")} {
			if f.Code != c.code || f.Ref != "r" || f.Room != "lobby" || f.Key != "k" {
				t.Errorf("%s %s: want %s with all names, got %s", c.command, c.fields, c.code, f.Raw)
			}
		}
	}
	// On /ws a frame may be no JSON at all, and on Socket.IO contain binary data.
	ann.Write(websocket.TextMessage, `{"type":"send",`+about+`,"text":"cut o`)
	if f := ann.Error("bad_json"); f.Ref != "r" || f.Room != "lobby" || f.Key != "k" {
		t.Errorf("of half a frame: %s", f.Raw)
	}
	bob.Sends(`451-["send",{` + about + `,"text":{"_placeholder":true,"num":0}}]`)
	bob.SendsBinary("x")
	if f := bob.next("error"); f.Code != "bad_field" || f.Ref != "r" || f.Room != "lobby" || f.Key != "k" {
		t.Errorf("of something binary: %s", f.Raw)
	}
	// A lone surrogate in a text becomes U+FFFD, and the next commands work.
	ann.Write(websocket.TextMessage, `{"type":"send","room":"lobby","key":"half","text":"a \ud83d"}`)
	for _, f := range []chattest.Frame{ann.Message("a \ufffd"), bob.next("message")} {
		if f.Key != "half" || f.Text != "a \ufffd" {
			t.Errorf("half an emoji: %s", f.Raw)
		}
	}
	if f := bob.ask("send", `{"room":"lobby","key":"half","text":"\ude42 b"}`); f.Code != "" || f.Key != "half" {
		t.Errorf("half an emoji: %s", f.Raw)
	}
	ann.Message("\ufffd b")
}
