package main

import (
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/chat/internal/chattest"
)

// Edits, deletions and reactions reach the members on all nodes, live and at
// later joins, and what was deleted is nowhere any more.
func TestMessagesAreEditedDeletedAndReactedTo(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	n1, n2 := startNode(t, b.URL(), "--rate=0"), startNode(t, b.URL(), "--rate=0")
	ann, bob := enter(t, n1.url, "Ann", "lobby"), enter(t, n2.url, "Bob", "lobby")
	id := ann.say("lobby", "secret-one", "k1").ID
	bob.message("secret-one")

	do := func(p *peer, command, key string, fields ...any) frame {
		t.Helper()
		p.send(command, append([]any{"room", "lobby", "target", id, "key", key}, fields...)...)
		for {
			if f := p.next("sent", "error"); f.Key == key {
				return f
			}
		}
	}
	if f := do(ann, "edit", "k2", "text", "secret-two"); f.Type != "sent" {
		t.Fatalf("the edit got %s", f.raw)
	}
	if f := bob.message("secret-two"); f.seq() != 2 || !strings.Contains(f.raw, `"kind":"edit","target":"`+id+`"`) {
		t.Errorf("he was told %s", f.raw)
	}
	if f := do(bob, "react", "k3", "emoji", "👍", "on", true); f.Type != "sent" {
		t.Fatalf("the reaction got %s", f.raw)
	}
	chattest.Eventually(t, "the reaction", func() bool { return strings.Contains(ann.next("message").raw, `"emoji":"👍","on":true`) })

	// Not another's; and nothing that is no message.
	for _, c := range []struct {
		p       *peer
		command string
		target  string
		code    string
	}{
		{bob, "edit", id, "forbidden"}, {bob, "delete", id, "forbidden"}, {ann, "delete", "1-999", "not_found"},
		{ann, "delete", "", "bad_field"}, {ann, "edit", "x", "bad_field"},
	} {
		c.p.send(c.command, "room", "lobby", "target", c.target, "key", "bad", "text", "x")
		if f := c.p.error(c.code); f.Key != "bad" || f.Room != "lobby" {
			t.Errorf("refused by %s", f.raw)
		}
	}

	deleted := do(ann, "delete", "k4")
	if deleted.Type != "sent" || deleted.seq() != 4 {
		t.Fatalf("the deletion got %s", deleted.raw)
	}
	chattest.Eventually(t, "the deletion", func() bool {
		return strings.Contains(bob.next("message").raw, `"kind":"delete","target":"`+id+`"`)
	})
	if again := do(ann, "delete", "k4"); !again.Duplicate || again.ID != deleted.ID {
		t.Errorf("repeated, it got %s", again.raw)
	}
	if f := do(ann, "delete", "k5"); f.Code != "not_found" {
		t.Errorf("of a deleted message, it got %s", f.raw)
	}
	for _, n := range []*testNode{n1, n2} {
		late := dial(t, n.url)
		late.hello()
		j := late.join("lobby", "after", id)
		if !j.Recovered || len(j.Messages) != 2 || j.Messages[0].seq() != 3 || j.Messages[1].seq() != 4 {
			t.Errorf("joined with %s", j.raw)
		}
		late.send("history", "room", "lobby")
		if h := late.next("history"); len(h.Messages) != 0 || strings.Contains(h.raw, "secret") {
			t.Errorf("history is %s", h.raw)
		}
	}
}

// known is a user whom a JWT names.
func known(t *testing.T, url, key, sub string, mod bool) *peer {
	t.Helper()
	p := dial(t, url)
	p.hello("auth", token(t, key, jwt.MapClaims{"sub": sub, "name": sub, "mod": mod, "exp": time.Now().Add(time.Hour).Unix()}))
	return p
}

// Moderators edit and delete what others said; who is muted neither edits nor
// reacts, and may still delete.
func TestWhoMayChangeMessages(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	key := strings.Repeat("k", 32)
	n := startNode(t, b.URL(), "--jwt-secret="+key)
	mod, ann := known(t, n.url, key, "Mod", true), known(t, n.url, key, "Ann", false)
	mod.join("lobby")
	ann.join("lobby")
	one, two := ann.say("lobby", "one", "1").ID, ann.say("lobby", "two", "2").ID
	mod.send("edit", "room", "lobby", "target", one, "text", "mended", "key", "1")
	mod.next("sent")
	mod.send("delete", "room", "lobby", "target", one, "key", "2")
	mod.next("sent")
	mod.send("moderate", "action", "mute", "room", "lobby", "user", "Ann")
	mod.next("moderated")
	ann.next("moderated")
	ann.send("edit", "room", "lobby", "target", two, "text", "x", "key", "3")
	ann.error("muted")
	ann.send("react", "room", "lobby", "target", two, "emoji", "👍", "on", true, "key", "4")
	ann.error("muted")
	ann.send("delete", "room", "lobby", "target", two, "key", "5")
	if f := ann.next("sent"); f.Key != "5" {
		t.Errorf("the deletion got %s", f.raw)
	}
}

// Whoever is not in a room changes nothing in it, a moderator neither.
func TestWhoIsNotInARoomChangesNothingInIt(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	key := strings.Repeat("k", 32)
	n := startNode(t, b.URL(), "--jwt-secret="+key)
	ann, left, never := known(t, n.url, key, "Ann", false), known(t, n.url, key, "Ann", false), known(t, n.url, key, "Mod", true)
	ann.join("lobby")
	left.join("lobby")
	id := ann.say("lobby", "one", "1").ID
	left.send("leave", "room", "lobby")
	for _, p := range []*peer{left, never} {
		for _, fields := range [][]any{{"edit", "text", "x"}, {"delete"}, {"react", "emoji", "👍", "on", true}} {
			p.send(fields[0].(string), append([]any{"room", "lobby", "target", id, "key", "k"}, fields[1:]...)...)
			if f := p.error("not_joined"); f.Key != "k" {
				t.Errorf("%v: %s", fields[0], f.raw)
			}
		}
	}
	ann.send("history", "room", "lobby")
	if h := ann.next("history"); len(h.Messages) != 1 || h.Messages[0].Text != "one" {
		t.Errorf("the room holds %s", h.raw)
	}
}
