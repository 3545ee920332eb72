// Package brokertest checks every broker against the contract of room.Broker and
// room.Feed.
package brokertest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// Site joins the nodes of one test. The functions are called by the test's goroutine.
type Site struct {
	// Open starts a node whose rooms keep the given number of messages. It delivers to
	// the feed until the test ends, or stop is called: then the node ends without leaving,
	// as after a crash.
	Open func(t *testing.T, id string, history int, feed room.Feed) (b room.Broker, stop func())
	// DeleteLog deletes the messages of a room's log by hand, and DropChanges the edits,
	// deletions and reactions in it. Wipe removes all that the site holds.
	DeleteLog, DropChanges func(t *testing.T, room string)
	Wipe                   func(t *testing.T)
	// Dump returns all that the site holds, as text.
	Dump func(t *testing.T) string
}

// suite lists the tests by their names.
var suite = []struct {
	name string
	test func(t *testing.T, at *Site)
}{
	{"AppendTakesEachKeyOnceInOrder", appendTakesEachKeyOnceInOrder},
	{"WhatIsPublishedIsWhatIsRead", whatIsPublishedIsWhatIsRead},
	{"TheLogIsCappedAndReadFromCursors", theLogIsCappedAndReadFromCursors},
	{"LogsThatMovedAreFound", logsThatMovedAreFound},
	{"PresenceEndsWithItsNode", presenceEndsWithItsNode},
	{"NamesAreClaimedRenamedAndReleased", namesAreClaimedRenamedAndReleased},
	{"NamesAreShared", namesAreShared},
	{"ALossIsReported", aLossIsReported},
	{"ARoomsRulesAreKeptAndTold", aRoomsRulesAreKeptAndTold},
	{"ADeletedMessageIsGoneWithItsEdits", aDeletedMessageIsGoneWithItsEdits},
	{"OnlyMessagesOfOnesOwnAreChanged", onlyMessagesOfOnesOwnAreChanged},
	{"ADeletedCursorEndsWithWhatFollowsIt", aDeletedCursorEndsWithWhatFollowsIt},
	{"MessagesStandAsTheirEntriesSay", messagesStandAsTheirEntriesSay},
	{"SupersededChangesLeaveAGapThatIsTold", supersededChangesLeaveAGapThatIsTold},
	{"EditsLeaveWithTheirMessage", editsLeaveWithTheirMessage},
}

// Run runs the whole suite, each test in a Site of its own.
func Run(t *testing.T, open func(t *testing.T) *Site) {
	for _, c := range suite {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

// node is a broker under test.
type node struct {
	room.Broker
	*Heard
	stop func()
}

func (s *Site) node(t *testing.T, id string, history int) *node {
	t.Helper()
	h := &Heard{}
	b, stop := s.Open(t, id, history, h.Feed())
	h.Has(t, "the broker to be up", func() bool { return h.Up })
	return &node{b, h, stop}
}

// follow follows a room, and waits until that is in force.
func (n *node) follow(t *testing.T, name string) {
	t.Helper()
	n.Follow(name)
	n.Has(t, "to follow", func() bool { return n.Heard.Following > 0 })
}

// put appends to the lobby and returns the receipts.
func (n *node) put(t *testing.T, drafts ...protocol.Draft) []protocol.Receipt {
	t.Helper()
	list, err := n.Append(t.Context(), "lobby", drafts)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// newest returns the newest n messages of the lobby, as they were appended.
func (n *node) newest(t *testing.T, count int) (list []protocol.Entry, more bool, err error) {
	t.Helper()
	page, err := n.Messages(t.Context(), "lobby", protocol.ID{}, count)
	for _, s := range page.List {
		list = append(list, s.Entry)
	}
	return list, page.More, err
}

// all returns the entries of the lobby of any kind, up to a gap.
func (n *node) all(t *testing.T) []protocol.Entry {
	t.Helper()
	heads, err := n.Heads(t.Context(), []string{"lobby"})
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := n.Before(t.Context(), "lobby", protocol.ID{MS: heads[0].MS, Seq: heads[0].Seq + 1}, 5000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// stands returns the messages of the lobby as they stand.
func (n *node) stands(t *testing.T) (list []string) {
	t.Helper()
	page, err := n.Messages(t.Context(), "lobby", protocol.ID{}, 50)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range page.List {
		list = append(list, string(s.Stands().Raw))
	}
	return list
}

func ids(list []protocol.Entry) string {
	var seqs []string
	for _, e := range list {
		seqs = append(seqs, strconv.FormatInt(e.ID.Seq, 10))
	}
	return strings.Join(seqs, " ")
}

func draft(user, key, text string) protocol.Draft {
	return protocol.Message(protocol.User{ID: user, Name: user}, key, text, "node")
}

func change(kind, user, key string, target protocol.ID, text string) protocol.Draft {
	return protocol.Command{Type: kind, Key: key, Target: target, Text: text, Emoji: "👍", On: true}.Change(protocol.User{ID: user, Name: user}, "node", false)
}

func react(user, key string, target protocol.ID, emoji string, on bool) protocol.Draft {
	return protocol.Command{Type: protocol.React, Key: key, Target: target, Emoji: emoji, On: on}.Change(protocol.User{ID: user, Name: user}, "node", false)
}

// claim claims a name, and checks that it gets want; "" for a refusal.
func (n *node) claim(t *testing.T, c protocol.NameClaim, want string) {
	t.Helper()
	got, err := n.Claim(t.Context(), c)
	if want == "" && !errors.Is(err, protocol.ErrNameTaken) || want != "" && got != want {
		t.Errorf("claim %+v: %q %v, want %q", c, got, err, want)
	}
}

func (n *node) release(t *testing.T, user string, keep bool) {
	t.Helper()
	done := make(chan error, 1)
	n.Release(user, keep, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// claimed waits until the name is free.
func (n *node) claimed(t *testing.T, c protocol.NameClaim) {
	t.Helper()
	chattest.Eventually(t, fmt.Sprintf("%s to be free", c.Name), func() bool {
		_, err := n.Claim(t.Context(), c)
		return err == nil
	})
}
