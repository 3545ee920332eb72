package brokertest

import (
	"fmt"
	"slices"
	"testing"

	"example.com/chat/internal/protocol"
)

// The users of a node are removed with it.
func presenceEndsWithItsNode(t *testing.T, at *Site) {
	n1, n2 := at.node(t, "n1", 10), at.node(t, "n2", 10)
	n2.follow(t, "lobby")
	ann, bob := protocol.User{ID: "a", Name: "Ann B"}, protocol.User{ID: "b", Name: "Bob"}
	write := func(b *node, want int, changes ...protocol.Change) {
		t.Helper()
		if n, err := b.Here(t.Context(), b.Instance(), "lobby", changes); err != nil || n != want {
			t.Errorf("here: %d %v, want %d", n, err, want)
		}
	}
	write(n1, 2, protocol.Change{User: ann, Here: true}, protocol.Change{User: bob, Here: true})
	write(n1, 2, protocol.Change{User: ann, Here: true})
	write(n2, 2, protocol.Change{User: ann, Here: true})
	write(n1, 2, protocol.Change{User: ann})
	write(n1, 1, protocol.Change{User: bob})
	n2.Has(t, "the changes", func() bool { return len(n2.Live) == 2 })
	if want := []string{"lobby presence 2\n+a Ann B\n+b Bob", "lobby presence 1\n-b Bob"}; !slices.Equal(n2.Live, want) {
		t.Errorf("published %q", n2.Live)
	}
	write(n1, 2, protocol.Change{User: bob, Here: true})
	n2.Has(t, "the change", func() bool { return n2.Live[len(n2.Live)-1] == "lobby presence 2\n+b Bob" })
	users, err := n1.Present(t.Context(), "lobby")
	if err != nil || len(users) != 2 {
		t.Errorf("present: %v %v", users, err)
	}
	// The first node dies. The second detects that and removes its users.
	n1.claim(t, protocol.NameClaim{User: "b", Name: "Bob"}, "Bob")
	n2.claim(t, protocol.NameClaim{User: "x", Name: "BOB"}, "")
	n1.stop()
	n2.Has(t, "the users of the dead node to leave", func() bool { return n2.Live[len(n2.Live)-1] == "lobby presence 1\n-b Bob" })
	n2.claimed(t, protocol.NameClaim{User: "x", Name: "BOB"})
	// Users that a node removes itself leave at once.
	if err := n2.Vacate(t.Context(), n2.Instance(), "lobby"); err != nil {
		t.Fatal(err)
	}
	if users, err := n2.Present(t.Context(), "lobby"); err != nil || len(users) != 0 {
		t.Errorf("present: %v %v", users, err)
	}
	n2.Has(t, "the end", func() bool { return slices.Contains(n2.Live, "lobby presence 0\n-a Ann B") })
}

func namesAreClaimedRenamedAndReleased(t *testing.T, at *Site) {
	n1, n2 := at.node(t, "n1", 10), at.node(t, "n2", 10)
	claim := func(b *node, user, name string, keep bool, want string) {
		t.Helper()
		b.claim(t, protocol.NameClaim{User: user, Name: name, Keep: keep}, want)
	}
	release := func(b *node, user string, keep bool) { t.Helper(); b.release(t, user, keep) }
	claim(n1, "a", "Ann", false, "Ann")
	claim(n2, "b", "ＡNN", false, "")
	claim(n2, "a", "Ann", true, "Ann") // the same user on a second node
	release(n1, "a", false)
	claim(n1, "b", "ann", false, "") // still online on the second
	if _, err := n2.Rename(t.Context(), protocol.NameClaim{User: "a", Name: "Anna"}, "mark"); err != nil {
		t.Fatal(err)
	}
	n1.Has(t, "the rename", func() bool { return slices.Contains(n1.News, "renamed mark a Anna") })
	claim(n1, "b", "ann", false, "ann")
	claim(n1, "a", "Ann", true, "Anna") // the present name has precedence over the one in the token
	release(n1, "a", true)
	release(n2, "a", true)
	claim(n2, "a", "Ann", true, "Anna") // remembered
	release(n2, "a", false)
	claim(n1, "c", "Anna", false, "Anna")
	claim(n2, "a", "Anna", true, "")
}

// Users with a JWT are distinguished by their subject: before, two users with the same
// name locked each other out. They share a name, which no other user gets as long as one
// of them is online, on any node.
func namesAreShared(t *testing.T, at *Site) {
	n1, n2 := at.node(t, "n1", 10), at.node(t, "n2", 10)
	claim := func(b *node, user, name string, shared, want bool) {
		t.Helper()
		got := name
		if !want {
			got = ""
		}
		b.claim(t, protocol.NameClaim{User: user, Name: name, Shared: shared}, got)
	}
	release := func(b *node, user string) { t.Helper(); b.release(t, user, false) }
	claim(n1, "a", "Ann", true, true)
	claim(n2, "b", "ann", true, true)
	claim(n1, "guest", "ANN", false, false)
	release(n1, "a")
	claim(n1, "guest", "Ann", false, false) // b still has the name
	release(n2, "b")
	claim(n1, "guest", "Ann", false, true)
	claim(n2, "a", "Ann", true, true) // although a guest has it
	claim(n2, "guest2", "Ann", false, false)
	release(n1, "guest")
	claim(n1, "guest", "Ann", false, false) // now it is a's name
	if got, err := n2.Rename(t.Context(), protocol.NameClaim{User: "a", Name: "Anna", Shared: true}, "m"); err != nil || got != "Anna" {
		t.Error(got, err)
	}
	claim(n1, "guest", "Ann", false, true)
	if got, err := n2.Rename(t.Context(), protocol.NameClaim{User: "a", Name: "Ann", Shared: true}, "m"); err != nil || got != "Ann" {
		t.Error(got, err)
	}
	for i := range 40 {
		claim(n2, fmt.Sprint("many", i), "Many", true, true)
	}
	claim(n1, "guest3", "Many", false, false)
	// A node that dies releases the shared names of its users.
	n2.stop()
	n1.claimed(t, protocol.NameClaim{User: "guest3", Name: "Many"})
}

// A loss removes what a node wrote about its users. The node must write it again, under
// another identity.
func aLossIsReported(t *testing.T, at *Site) {
	b := at.node(t, "n1", 10)
	b.claim(t, protocol.NameClaim{User: "a", Name: "Ann"}, "Ann")
	b.put(t, draft("a", "1", "x"))
	was := b.Instance()
	at.Wipe(t)
	b.Has(t, "the loss", func() bool { return b.Heard.Lost == 1 })
	if b.Instance() == was {
		t.Error("the instance is the same after the loss")
	}
	b.claim(t, protocol.NameClaim{User: "b", Name: "Ann"}, "Ann")
	if got := b.put(t, draft("a", "1", "x"))[0]; got.Duplicate || got.ID.Seq != 1 {
		t.Errorf("a key of the log that is lost: %+v", got)
	}
}

func decision(action, room, field string, rule *protocol.Rule) protocol.Decision {
	return protocol.Decision{ModeratedEvent: protocol.ModeratedEvent{Action: action, Room: room}, Field: field, Rule: rule}
}

func aRoomsRulesAreKeptAndTold(t *testing.T, at *Site) {
	b := at.node(t, "n1", 10)
	b.follow(t, "lobby")
	if err := b.Decide(t.Context(), decision(protocol.Lock, "lobby", "lock", &protocol.Rule{Reason: "r"})); err != nil {
		t.Fatal(err)
	}
	if err := b.Decide(t.Context(), decision(protocol.Ban, "", "ban|a", &protocol.Rule{Until: 5})); err != nil {
		t.Fatal(err)
	}
	here, err1 := b.Rules(t.Context(), "lobby")
	all, err2 := b.Rules(t.Context(), "")
	if err1 != nil || err2 != nil || here["lock"].Reason != "r" || all["ban|a"].Until != 5 || len(here)+len(all) != 2 {
		t.Errorf("%v %v %v %v", here, all, err1, err2)
	}
	if err := b.Decide(t.Context(), decision(protocol.Unlock, "lobby", "lock", nil)); err != nil {
		t.Fatal(err)
	}
	if here, err := b.Rules(t.Context(), "lobby"); err != nil || len(here) != 0 {
		t.Errorf("%v %v", here, err)
	}
	b.Has(t, "the decisions", func() bool {
		return slices.Equal(b.Live, []string{"lobby lock", "lobby unlock"}) && slices.Contains(b.News, "ban")
	})
}
