package node_test

import (
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// Edits, deletions and reactions reach the members on all nodes, live and at later joins,
// and a deleted message can no longer be read anywhere.
func TestMessagesAreEditedDeletedAndReactedTo(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n1, n2 := startNode(t, b.URL(), "--rate=0"), startNode(t, b.URL(), "--rate=0")
	ann, bob := chattest.Enter(t, n1.url, "Ann", "lobby"), chattest.Enter(t, n2.url, "Bob", "lobby")
	id := ann.Say("lobby", "secret-one", "k1").ID
	bob.Message("secret-one")

	do := func(p *chattest.Client, command, key string, fields ...any) chattest.Frame {
		t.Helper()
		p.Send(command, append([]any{"room", "lobby", "target", id, "key", key}, fields...)...)
		for {
			if f := p.Next("sent", "error"); f.Key == key {
				return f
			}
		}
	}
	if f := do(ann, "edit", "k2", "text", "secret-two"); f.Type != "sent" {
		t.Fatalf("the reply to the edit is %s", f.Raw)
	}
	if f := bob.Message("secret-two"); f.Seq() != 2 || !strings.Contains(f.Raw, `"kind":"edit","target":"`+id+`"`) {
		t.Errorf("the other member got %s", f.Raw)
	}
	if f := do(bob, "react", "k3", "emoji", "👍", "on", true); f.Type != "sent" {
		t.Fatalf("the reply to the reaction is %s", f.Raw)
	}
	chattest.Eventually(t, "the reaction", func() bool { return strings.Contains(ann.Next("message").Raw, `"emoji":"👍","on":true`) })

	// Messages of other users, and entries that are no messages, can't be changed.
	for _, c := range []struct {
		p       *chattest.Client
		command string
		target  string
		code    string
	}{
		{bob, "edit", id, "forbidden"}, {bob, "delete", id, "forbidden"}, {ann, "delete", "1-999", "not_found"},
		{ann, "delete", "", "bad_field"}, {ann, "edit", "x", "bad_field"},
	} {
		c.p.Send(c.command, "room", "lobby", "target", c.target, "key", "bad", "text", "x")
		if f := c.p.Error(c.code); f.Key != "bad" || f.Room != "lobby" {
			t.Errorf("refused with %s", f.Raw)
		}
	}

	deleted := do(ann, "delete", "k4")
	if deleted.Type != "sent" || deleted.Seq() != 4 {
		t.Fatalf("the reply to the deletion is %s", deleted.Raw)
	}
	chattest.Eventually(t, "the deletion", func() bool {
		return strings.Contains(bob.Next("message").Raw, `"kind":"delete","target":"`+id+`"`)
	})
	if again := do(ann, "delete", "k4"); !again.Duplicate || again.ID != deleted.ID {
		t.Errorf("the reply to the repeated deletion is %s", again.Raw)
	}
	if f := do(ann, "delete", "k5"); f.Code != "not_found" {
		t.Errorf("the reply to a change of a deleted message is %s", f.Raw)
	}
	for _, n := range []*testNode{n1, n2} {
		late := chattest.Dial(t, n.url)
		late.Hello()
		j := late.Join("lobby", "after", id)
		if !j.Recovered || len(j.Messages) != 2 || j.Messages[0].Seq() != 3 || j.Messages[1].Seq() != 4 {
			t.Errorf("the join brought %s", j.Raw)
		}
		late.Send("history", "room", "lobby")
		if h := late.Next("history"); len(h.Messages) != 0 || strings.Contains(h.Raw, "secret") {
			t.Errorf("history is %s", h.Raw)
		}
	}
}

// known is a user of a JWT.
func known(t *testing.T, url, key, sub string, mod bool) *chattest.Client {
	t.Helper()
	p := chattest.Dial(t, url)
	p.Hello("auth", token(t, key, jwt.MapClaims{"sub": sub, "name": sub, "mod": mod, "exp": time.Now().Add(time.Hour).Unix()}))
	return p
}

// Moderators can edit and delete messages of others. A muted user can delete, but
// neither edit nor react.
func TestWhoMayChangeMessages(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	key := strings.Repeat("k", 32)
	n := startNode(t, b.URL(), "--jwt-secret="+key)
	mod, ann := known(t, n.url, key, "Mod", true), known(t, n.url, key, "Ann", false)
	mod.Join("lobby")
	ann.Join("lobby")
	one, two := ann.Say("lobby", "one", "1").ID, ann.Say("lobby", "two", "2").ID
	mod.Send("edit", "room", "lobby", "target", one, "text", "mended", "key", "1")
	mod.Next("sent")
	mod.Send("delete", "room", "lobby", "target", one, "key", "2")
	mod.Next("sent")
	mod.Send("moderate", "action", "mute", "room", "lobby", "user", "Ann")
	mod.Next("moderated")
	ann.Next("moderated")
	ann.Send("edit", "room", "lobby", "target", two, "text", "x", "key", "3")
	ann.Error("muted")
	ann.Send("react", "room", "lobby", "target", two, "emoji", "👍", "on", true, "key", "4")
	ann.Error("muted")
	ann.Send("delete", "room", "lobby", "target", two, "key", "5")
	if f := ann.Next("sent"); f.Key != "5" {
		t.Errorf("the reply to the deletion is %s", f.Raw)
	}
}

// Only members can change messages of a room; this holds for moderators too.
func TestWhoIsNotInARoomChangesNothingInIt(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	key := strings.Repeat("k", 32)
	n := startNode(t, b.URL(), "--jwt-secret="+key)
	ann, left, never := known(t, n.url, key, "Ann", false), known(t, n.url, key, "Ann", false), known(t, n.url, key, "Mod", true)
	ann.Join("lobby")
	left.Join("lobby")
	id := ann.Say("lobby", "one", "1").ID
	left.Send("leave", "room", "lobby")
	for _, p := range []*chattest.Client{left, never} {
		for _, fields := range [][]any{{"edit", "text", "x"}, {"delete"}, {"react", "emoji", "👍", "on", true}} {
			p.Send(fields[0].(string), append([]any{"room", "lobby", "target", id, "key", "k"}, fields[1:]...)...)
			if f := p.Error("not_joined"); f.Key != "k" {
				t.Errorf("%v: %s", fields[0], f.Raw)
			}
		}
	}
	ann.Send("history", "room", "lobby")
	if h := ann.Next("history"); len(h.Messages) != 1 || h.Messages[0].Text != "one" {
		t.Errorf("the room holds %s", h.Raw)
	}
}
