package redisbroker_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
)

// A list of named rooms has these in the order of the list of all rooms, however many
// other rooms there are, and no others.
func testNamedRoomsAreListedAlone(t *testing.T, at *site) {
	b := open(t, at, "n1", 10)
	directory := b.ns + ":{cluster}:directory"
	pipe := b.rdb.Pipeline()
	var named []string
	for i := range 600 {
		for _, kind := range []string{"mine", "secret"} {
			room := fmt.Sprintf("%s%03d", kind, i)
			pipe.ZAdd(t.Context(), directory, redis.Z{Score: float64(1000 + i/300), Member: room})
			pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: redisbroker.LogKey(b.ns, room), ID: "1-1", Values: []string{"m", "x"}})
		}
		named = append(named, fmt.Sprintf("mine%03d", i))
	}
	pipe.ZAdd(t.Context(), directory, redis.Z{Score: 9000, Member: "without-log"})
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	for room, users := range map[string]int{"mine-busy": 1, "mine-busiest": 2, "mine-also": 1, "secret-busy": 2, "mine000": 1} {
		for i := range users {
			user := protocol.User{ID: fmt.Sprint("u", i), Name: "x"}
			if _, err := b.Here(t.Context(), b.Instance(), room, []protocol.Change{{User: user, Here: true}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	named = append(named, "mine-busy", "mine-busiest", "mine-also", "mine-busy", "without-log", "absent", "", "Secret000", "not a name", "secret-busy*")
	pages := func() (list []protocol.RoomCount, lengths []int) {
		t.Helper()
		for after := ""; len(lengths) < 10; {
			page, err := b.RoomsOf(t.Context(), named, after)
			if err != nil {
				t.Fatal(err)
			}
			list, lengths = append(list, page.Rooms...), append(lengths, len(page.Rooms))
			if after = page.Next; after == "" {
				break
			}
			if _, room, _ := strings.Cut(after, "-"); room != list[len(list)-1].Room {
				t.Errorf("next is %q after %q", after, list[len(list)-1].Room)
			}
		}
		return list, lengths
	}
	chattest.Eventually(t, "the named rooms as in the list of all", func() bool {
		all, _ := b.allRooms(t)
		want := slices.DeleteFunc(all, func(r protocol.RoomCount) bool { return !slices.Contains(named, r.Room) })
		got, lengths := pages()
		return slices.Equal(got, want) && slices.Equal(lengths, []int{500, 103}) && got[0] == (protocol.RoomCount{Room: "mine-busiest", Count: 2}) &&
			got[3] == (protocol.RoomCount{Room: "mine000", Count: 1, Last: 1000})
	})
	for _, after := range []string{"u2-secret-busy", "t1001-secret300", "t1000-secret000", "t5000-a"} {
		page, err := b.RoomsOf(t.Context(), named, after)
		if err != nil || strings.Contains(fmt.Sprint(page), "secret") || len(page.Rooms) == 0 && after != "t1000-secret000" {
			t.Errorf("after %s: %v %v", after, page, err)
		}
	}
	if page, err := b.RoomsOf(t.Context(), []string{}, ""); err != nil || len(page.Rooms) != 0 || page.Next != "" {
		t.Errorf("of no rooms: %v %v", page, err)
	}
	var refused *protocol.Error
	if _, err := b.RoomsOf(t.Context(), named, "x"); !errors.As(err, &refused) || refused.Code != protocol.CodeBadField {
		t.Errorf("an invalid after: %v", err)
	}
}
