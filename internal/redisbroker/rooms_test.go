package redisbroker_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
)

// allRooms reads all pages of the list, which must be full except the last.
func (b *testBroker) allRooms(t *testing.T) (list []protocol.RoomCount, pages int) {
	t.Helper()
	after := ""
	for {
		page, err := b.Rooms(t.Context(), after)
		if err != nil {
			t.Fatal(err)
		}
		list, pages = append(list, page.Rooms...), pages+1
		if page.Next == "" {
			return list, pages
		}
		if len(page.Rooms) > protocol.MaxListed {
			t.Fatalf("a page of %d", len(page.Rooms))
		}
		after = page.Next
	}
}

// Rooms without users are listed if they have messages.
func testRoomsWithEntriesAreListed(t *testing.T, at *site) {
	dies, b := open(t, at, "n1", 10), open(t, at, "n2", 10)
	say := func(by *testBroker, room string) int64 {
		t.Helper()
		list, err := by.Append(t.Context(), room, []protocol.Draft{draft("a", fmt.Sprint(time.Now().UnixNano()), "x")})
		if err != nil {
			t.Fatal(err)
		}
		return list[0].Time
	}
	names := func(list []protocol.RoomCount) string {
		var text []string
		for _, r := range list {
			text = append(text, fmt.Sprint(r.Room, r.Count))
		}
		return strings.Join(text, " ")
	}
	// A node that dies just after it appended a message loses no room.
	say(dies, "of-the-dead")
	dies.stop()
	old := say(b, "old")
	chattest.Eventually(t, "the clock to go on", func() bool { return say(b, "new") > old })
	later := say(b, "new")
	for room, users := range map[string]int{"one": 1, "two": 2, "also-one": 1} {
		for i := range users {
			user := protocol.User{ID: fmt.Sprint("u", i), Name: "x"}
			if _, err := b.Here(t.Context(), b.Instance(), room, []protocol.Change{{User: user, Here: true}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	say(b, "one")
	chattest.Eventually(t, "all rooms in their order", func() bool {
		list, _ := b.allRooms(t)
		if names(list) != "two2 also-one1 one1 new0 old0 of-the-dead0" {
			t.Log(names(list))
			return false
		}
		return list[0].Last == 0 && list[2].Last >= later && list[3].Last == later && list[4].Last <= later && list[5].Last > 0
	})
	// A room whose log is gone leaves the list, and returns with its next entry.
	if err := b.rdb.Del(t.Context(), redisbroker.LogKey(b.ns, "old")).Err(); err != nil {
		t.Fatal(err)
	}
	chattest.Eventually(t, "the room to leave", func() bool {
		list, _ := b.allRooms(t)
		kept := b.rdb.ZScore(t.Context(), b.ns+":{cluster}:directory", "old").Err()
		return !strings.Contains(names(list), "old") && errors.Is(kept, redis.Nil)
	})
	say(b, "old")
	chattest.Eventually(t, "the room to be back", func() bool {
		list, _ := b.allRooms(t)
		return strings.Contains(names(list), "one1 old0 new0")
	})
	// A node that follows a room adds it to the directory if it is missing there.
	b.rdb.ZRem(t.Context(), b.ns+":{cluster}:directory", "of-the-dead")
	chattest.Eventually(t, "the room to be found", func() bool {
		if _, err := b.Heads(t.Context(), []string{"of-the-dead"}); err != nil {
			t.Fatal(err)
		}
		list, _ := b.allRooms(t)
		return strings.Contains(names(list), "of-the-dead")
	})
	for _, bad := range []string{"x", "u", "t1", "t1-", "t-1-old", "t1-a b", "é1-old", "tx-old", "t1-" + strings.Repeat("x", 65)} {
		var refused *protocol.Error
		if _, err := b.Rooms(t.Context(), bad); !errors.As(err, &refused) || refused.Code != protocol.CodeBadField {
			t.Errorf("after %q: %v", bad, err)
		}
	}
}

// While nothing changes, the pages of the list contain each room once, also where many
// have the same number of users or the same time.
func testTheListOfRoomsIsPaged(t *testing.T, at *site) {
	b := open(t, at, "n1", 10)
	directory := b.ns + ":{cluster}:directory"
	var want []string
	pipe := b.rdb.Pipeline()
	for i := range 1400 {
		room := fmt.Sprintf("r%04d", i)
		want = append(want, room)
		pipe.ZAdd(t.Context(), directory, redis.Z{Score: float64(1000 + i/700), Member: room})
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: redisbroker.LogKey(b.ns, room), ID: "1-1", Values: []string{"m", "x"}})
	}
	for i := range 600 {
		room := fmt.Sprintf("b%04d", i)
		want = append(want, room)
		pipe.SAdd(t.Context(), b.ns+":{cluster}:rooms:"+b.Instance(), room)
		pipe.ZAdd(t.Context(), directory, redis.Z{Score: 5000, Member: room})
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 600 {
		room := fmt.Sprintf("b%04d", i)
		if _, err := b.Here(t.Context(), b.Instance(), room, []protocol.Change{{User: protocol.User{ID: "u", Name: "x"}, Here: true}}); err != nil {
			t.Fatal(err)
		}
	}
	chattest.Eventually(t, "the list to be whole", func() bool {
		list, pages := b.allRooms(t)
		var got []string
		for i, r := range list {
			got = append(got, r.Room)
			if busy := i < 600; busy != (r.Count == 1) || r.Last == 0 {
				return false
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		return pages == 4 && slices.Equal(got, want)
	})
	// The directory is bounded: the oldest rooms leave it.
	for chunk := range 10 {
		pipe := b.rdb.Pipeline()
		for i := range 10_000 {
			pipe.ZAdd(t.Context(), directory, redis.Z{Score: float64(10_000 + chunk), Member: fmt.Sprintf("m%d-%d", chunk, i)})
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Append(t.Context(), "newest", []protocol.Draft{draft("a", "1", "x")}); err != nil {
		t.Fatal(err)
	}
	if n := b.rdb.ZCard(t.Context(), directory).Val(); n != 100_000 {
		t.Errorf("%d rooms are kept", n)
	}
	if err := b.rdb.ZScore(t.Context(), directory, "newest").Err(); err != nil {
		t.Errorf("the newest: %v", err)
	}
}

// The list has the true numbers of users after nodes changed those of the same rooms at the
// same time, and nothing remains of rooms that everybody left.
func testRoomsAreListedWithTheirUsers(t *testing.T, at *site) {
	nodes := [2]*testBroker{open(t, at, "n1", 10), open(t, at, "n2", 10)}
	const rooms, users = 5, 8
	change := func(b *testBroker, room string, user int, here bool) {
		u := protocol.User{ID: fmt.Sprint("u", user), Name: "x"}
		if _, err := b.Here(t.Context(), b.Instance(), room, []protocol.Change{{User: u, Here: here}}); err != nil {
			t.Error(err)
		}
	}
	listed := func(b *testBroker) string {
		list, _ := b.allRooms(t)
		return fmt.Sprint(list)
	}
	var all sync.WaitGroup
	for n, b := range nodes {
		for room := range rooms {
			all.Go(func() {
				name := fmt.Sprint("room-", room)
				for user := range users {
					change(b, name, user, true)
				}
				for user := range users {
					if n == 1 || user >= room {
						change(b, name, user, false)
					}
				}
			})
		}
	}
	all.Wait()
	for _, b := range nodes {
		chattest.Eventually(t, "the numbers of users", func() bool {
			return listed(b) == "[{room-4 4 0} {room-3 3 0} {room-2 2 0} {room-1 1 0}]"
		})
	}
	for room := range rooms {
		for user := range users {
			change(nodes[0], fmt.Sprint("room-", room), user, false)
		}
	}
	chattest.Eventually(t, "no room to be left", func() bool {
		left := nodes[0].rdb.Exists(t.Context(), nodes[0].ns+":{cluster}:busy", nodes[0].ns+":{cluster}:last").Val()
		return listed(nodes[1]) == "[]" && left == 0
	})
}
