package load

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// A user that reconnects sends unacknowledged messages again, under the same keys, once
// it has joined their room.
func TestAUserThatReconnectsRepeatsItsMessages(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_764_000_000, 0)
	history := check.NewHistory()
	u := newUser(Config{Name: "a", Rooms: []string{"r"}, History: history, Random: rand.New(rand.NewPCG(1, 2)), Every: time.Second, Window: 2})
	joined := protocol.Joined("r", protocol.ID{}, false, nil, false, nil, 0, nil)
	event := func(e protocol.Event) client.Event { return client.Event{Type: e.Name, Raw: e.AppendFrame(nil)} }
	for range 2 {
		u.welcomed(&refuser{answers: make(chan client.Event, 10)}, now)
		u.act(now)
		u.hear(event(joined), now)
		u.act(now)
		if !u.in() || !u.entered || len(u.outbox.pending) != 1 {
			t.Errorf("in %t, %d pending", u.in(), len(u.outbox.pending))
		}
		u.lost()
	}
	u.hear(event(protocol.Sent("r", "a-1", protocol.ID{MS: 5, Seq: 1}, 5, false)), now)
	if len(u.outbox.pending) != 0 || u.content(map[string]string{"r": "5-1"}) {
		t.Errorf("%d pending, or content without the message", len(u.outbox.pending))
	}
	u.end()
	u.lost() // not recorded any more
	type step struct {
		op  check.Op
		key string
	}
	var got []step
	for _, r := range history.Records() {
		got = append(got, step{r.Op, r.Key})
	}
	want := []step{
		{check.OpJoined, ""}, {check.OpSend, "a-1"}, {check.OpLost, ""}, {check.OpJoined, ""}, {check.OpSend, "a-1"}, {check.OpLost, ""},
		{check.OpSent, "a-1"}, {check.OpEnd, ""},
	}
	if !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
}
