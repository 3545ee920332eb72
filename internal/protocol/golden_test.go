package protocol

import (
	"flag"
	"os"
	"strings"
	"testing"
)

// update rewrites the golden file: go test ./internal/protocol -run Golden -update.
var update = flag.Bool("update", false, "rewrite testdata/events.golden")

// goldenEvents holds every event with all its fields, and with none of the optional
// ones. Each is one line of testdata/events.golden, as a WebSocket frame.
func goldenEvents() []Event {
	ann, bob := User{ID: "u1", Name: "Ann"}, User{ID: "u2", Name: "Bob \"B\""}
	one, two := Node{ID: "n1", URL: "http://a"}, Node{ID: "n2", URL: "http://b"}
	limits := Limits{Text: 4000, Rooms: 100, Rate: 10, Burst: 30}
	entry := func(ms, seq int64, d Draft, count int) Entry {
		return d.Entry(ID{ms, seq}, "lobby", count)
	}
	message := entry(5, 1, Message(ann, "k1", "a <b> \u2028 \"c\"\n", "n1"), 0)
	edit := entry(6, 2, Command{Type: Edit, Key: "k2", Target: ID{5, 1}, Text: "d"}.Change(ann, "n1", false), 0)
	react := entry(7, 3, Command{Type: React, Key: "k3", Target: ID{5, 1}, Emoji: "👍", On: true}.Change(bob, "n2", false), 1)
	unreact := entry(8, 4, Command{Type: React, Key: "k4", Target: ID{5, 1}, Emoji: "👍"}.Change(bob, "n2", false), 0)
	remove := entry(9, 5, Command{Type: Delete, Key: "k5", Target: ID{5, 1}}.Change(ann, "n1", false), 0)
	current := Standing{Entry: message, Edited: 6, Text: []byte(`"d"`), Reactions: []Reaction{{Emoji: "👍", Count: 2, Users: []string{"u1", "u2"}}}}.Stands()
	refused := *Errorf(CodeRateLimited, "wait")
	refused.Room, refused.Key, refused.RetryAfter = "lobby", "k1", 250
	return []Event{
		WelcomeEvent{User: ann, Token: "t", Node: one, Nodes: []Node{one, two}, Limits: limits, Version: Version, Renewed: true}.Event(),
		WelcomeEvent{User: ann, Token: "t", Node: one, Nodes: []Node{one}, Version: Version}.Event(),
		Joined("lobby", ID{9, 5}, true, []Entry{message, edit, react}, true, []User{ann, bob}, 2, []BindingRule{{Action: Mute, Room: "lobby", Until: 9, By: &ann, Reason: "noise", RetryAfter: 4}, {Action: Slow, Seconds: 30}}),
		Joined("lobby", ID{}, false, nil, false, nil, 0, nil),
		Left("lobby"),
		Sent("lobby", "k1", ID{5, 1}, 5, false),
		Sent("lobby", "k1", ID{}, 5, true),
		message.Event(), edit.Event(), react.Event(), unreact.Event(), remove.Event(), current.Event(),
		Histories("lobby", []Entry{current}, true),
		Histories("lobby", nil, false),
		TypingIn("lobby", ann),
		Presence("lobby", []User{ann}, nil, 2),
		Presence("lobby", nil, []User{ann, bob}, 0),
		Renamed(bob),
		RoomPage{Rooms: []RoomCount{{Room: "lobby", Count: 2, Last: 9}, {Room: "empty"}}, Next: "x"}.Event(),
		RoomPage{}.Event(),
		MemberList("lobby", []User{ann, bob}, 2),
		MemberList("lobby", nil, 0),
		NodeList([]Node{one, two}),
		NodeList(nil),
		Status(true), Status(false), StatusElsewhere([]Node{two}),
		Reset("lobby", ID{9, 5}), Reset("lobby", ID{}),
		ModeratedEvent{Action: Mute, Room: "lobby", User: &bob, Until: 9, Seconds: 4, By: ann, Reason: "noise"}.Event(),
		ModeratedEvent{Action: Lock, By: ann}.Event(),
		Pong(),
		refused.Event(), ErrNotJoined.Event(),
	}
}

// TestEventsKeepTheirGoldenForm compares each event with its exact JSON, the order of
// its fields included.
func TestEventsKeepTheirGoldenForm(t *testing.T) {
	t.Parallel()
	const path = "testdata/events.golden"
	var got strings.Builder
	for _, e := range goldenEvents() {
		got.Write(e.AppendFrame(nil))
		got.WriteByte('\n')
	}
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(string(file), "\n")
	for i, line := range strings.Split(got.String(), "\n") {
		if i >= len(want) || line != want[i] {
			t.Errorf("line %d is %s", i+1, line)
		}
	}
}
