package node_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/client"
)

// A name is free once the close of its client was answered, so a script can call `chat
// send --name deploybot` again and again. A call with the token of another call that
// still runs is the same user, and shares the name.
func TestOneShotSendersAreNotInTheirOwnWay(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--rate=0")
	for i := range 50 {
		p := chattest.Enter(t, n.url, "deploybot", "lobby")
		p.Say("lobby", "x", fmt.Sprint(i))
		bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		_ = p.Conn.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second))
		p.Closes(websocket.CloseNormalClosure)

		q := ioDial(t, n.url)
		q.connect(`{"name":"deploybot","join":{"lobby":""}}`)
		q.ask("send", `{"room":"lobby","text":"x","key":"`+fmt.Sprint(i)+`"}`)
		q.Sends("41", `42["ping"]`) // disconnects, and then breaks the protocol, which closes the connection
		q.Closes()
	}
	p := chattest.Dial(t, n.url)
	p.Hello("name", "deploybot")
	for range 3 { // while p is connected
		s, err := client.Open(t.Context(), client.Options{URL: n.url, Name: "deploybot", Token: p.Token})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Send(t.Context(), "lobby", "x", client.NewKey()); err != nil {
			t.Error(err)
		}
		s.Close()
	}
}
