package redisbroker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
)

// partitionOf is the hash tag of a room.
func partitionOf(room string) string {
	_, rest, _ := strings.Cut(redisbroker.LogKey("chat", room), "{")
	tag, _, _ := strings.Cut(rest, "}")
	return tag
}

// roomsApart returns rooms of n partitions, and two more of the first one's.
func roomsApart(n int) []string {
	seen := make(map[string]bool)
	var rooms []string
	for i := 0; len(rooms) < n; i++ {
		room := fmt.Sprintf("room-%d", i)
		if tag := partitionOf(room); !seen[tag] {
			seen[tag] = true
			rooms = append(rooms, room)
		}
	}
	for i := 1000; len(rooms) < n+2; i++ {
		if room := fmt.Sprintf("room-%d", i); partitionOf(room) == partitionOf(rooms[0]) {
			rooms = append(rooms, room)
		}
	}
	return rooms
}

// subscribers counts the subscribed connections.
func subscribers(at *site) int {
	n := 0
	for _, s := range at.servers {
		text, _ := s.Do("CLIENT", "LIST", "TYPE", "pubsub").(string)
		n += strings.Count(text, "user="+redistest.User+" ")
	}
	return n
}

func testOneSubscriptionAPartition(t *testing.T, at *site) {
	chattest.Eventually(t, "the tests before to end", func() bool { return subscribers(at) == 0 })
	b := open(t, at, "n1", 10)
	rooms := roomsApart(5)
	for _, room := range rooms {
		b.Follow(room)
	}
	b.Has(t, "to follow", func() bool { return b.Heard.Following == 7 })
	if n := subscribers(at); n != 6 {
		t.Errorf("%d subscriptions for five partitions and the cluster's news", n)
	}
	for i, room := range rooms {
		if _, err := b.Append(t.Context(), room, []protocol.Draft{draft("a", fmt.Sprint(i), "x")}); err != nil {
			t.Fatal(err)
		}
	}
	b.Has(t, "all that is published", func() bool { return len(b.Live) == 7 })
	for _, room := range rooms[1:] {
		b.Unfollow(room)
	}
	chattest.Eventually(t, "two subscriptions to be left", func() bool { return subscribers(at) == 2 })
	if err := b.Typing(t.Context(), rooms[0], protocol.User{ID: "x"}); err != nil {
		t.Fatal(err)
	}
	b.Has(t, "what is published in the last", func() bool { return slices.Contains(b.Live, rooms[0]+" typing x") })
	// A channel that is removed and added again at once is confirmed again.
	b.Unfollow(rooms[0])
	b.Follow(rooms[0])
	b.Has(t, "to follow again", func() bool { return b.Heard.Following == 8 })
	chattest.Eventually(t, "no third subscription", func() bool { return subscribers(at) == 2 })
}

// talk appends to a room until it works, and returns the entry's id.
func talk(t *testing.T, b *testBroker, room, key string) protocol.ID {
	t.Helper()
	var id protocol.ID
	chattest.Eventually(t, "an append to "+room, func() bool {
		r, err := b.Append(t.Context(), room, []protocol.Draft{draft("a", key, "x")})
		if err == nil {
			id = r[0].ID
		}
		return err == nil
	})
	return id
}

// When a slot moves, the server ends its subscription, and the rooms in it are confirmed
// again at the new node.
func testASlotIsMoved(t *testing.T, cluster *redistest.Cluster, at *site) {
	b := open(t, at, "n1", 10)
	room, other := roomsApart(2)[0], roomsApart(2)[1]
	b.Follow(room)
	b.Follow(other)
	b.Has(t, "to follow", func() bool { return b.Heard.Following == 2 })
	first := talk(t, b, room, "1")
	slot := cluster.Slot(redisbroker.LogKey(b.ns, room))
	from := cluster.Owner(cluster.Servers[0], slot)
	to := cluster.Servers[0]
	if to == from {
		to = cluster.Servers[1]
	}
	cluster.Move(slot, from, to)
	b.Has(t, "to follow the room anew", func() bool { return b.Heard.Following >= 3 })
	second := talk(t, b, room, "2")
	b.Has(t, "what is published there", func() bool {
		return slices.ContainsFunc(b.Live, func(s string) bool { return strings.Contains(s, second.String()) })
	})
	list, _, err := b.newest(t, room, 10)
	if err != nil || len(list) != 2 || list[0].ID != first || list[1].ID != second {
		t.Errorf("%s %v", ids(list), err)
	}
	chattest.Eventually(t, "to be ready", func() bool { return b.Ready() == nil })
	if again, err := b.Append(t.Context(), room, []protocol.Draft{draft("a", "1", "x")}); err != nil || !again[0].Duplicate || again[0].ID != first {
		t.Errorf("a key from before the move: %+v %v", again, err)
	}
}

// It restarts as a replica of its former replica.
func testAPrimaryDies(t *testing.T, cluster *redistest.Cluster, at *site) {
	b := open(t, at, "n1", 10)
	rooms := roomsApart(8)
	for i, room := range rooms {
		b.Follow(room)
		talk(t, b, room, fmt.Sprint(i))
	}
	b.Has(t, "to follow", func() bool { return b.Heard.Following == len(rooms) })
	slot := cluster.Slot(redisbroker.LogKey(b.ns, rooms[0]))
	dead := cluster.Owner(cluster.Servers[3], slot)
	var away []string
	for _, room := range rooms {
		if cluster.Owner(cluster.Servers[3], cluster.Slot(redisbroker.LogKey(b.ns, room))) == dead {
			away = append(away, room)
		}
	}
	dead.Kill()
	began := time.Now()
	for _, room := range away {
		b.Has(t, "to follow "+room+" anew", func() bool { return slices.Contains(b.Followed[len(rooms):], room) })
	}
	for i, room := range rooms {
		id := talk(t, b, room, fmt.Sprint("after ", i))
		b.Has(t, "what is published in "+room, func() bool {
			return slices.ContainsFunc(b.Live, func(s string) bool { return strings.Contains(s, `"`+id.String()+`"`) })
		})
	}
	t.Logf("all rooms, %d of them of the dead primary, were back after %s", len(away), time.Since(began).Round(time.Millisecond))
	chattest.Eventually(t, "to be ready", func() bool { return b.Ready() == nil })
	list, _, err := b.newest(t, rooms[0], 10)
	if err != nil || ids(list) != "1 2" {
		t.Errorf("%s %v", ids(list), err)
	}
	dead.Restart()
	chattest.Eventually(t, "the dead one to follow", func() bool {
		return dead.Info("replication", "role") == "slave" && dead.Info("replication", "master_link_status") == "up"
	})
}
