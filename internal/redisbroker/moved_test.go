package redisbroker

import (
	"fmt"
	"slices"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/cluster"
	"example.com/chat/internal/protocol"
)

// A stream of appends that has lost the node's last record says nothing about the rooms of
// its partition: all are to be compared. That of another partition is not affected.
func TestALostRecordOfAppendsHasAllRoomsCompared(t *testing.T) {
	server := miniredis.RunT(t)
	b, err := New(t.Context(), Config{
		Client: redis.NewClient(&redis.Options{Addr: server.Addr()}), Namespace: "t", History: 100, Node: cluster.NodeInfo{ID: "n1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	// Rooms of two partitions, neither of which is checked as a whole in the next turns.
	byTag := make(map[string][]string)
	var tags []string
	for i := 0; len(tags) < 2; i++ {
		name := fmt.Sprint("room-", i)
		tag := partition(name)
		if n := len(tag); tag[n-1] != '9' {
			continue // turns 9 and 19 of 20
		}
		if byTag[tag] = append(byTag[tag], name); len(byTag[tag]) == 3 {
			tags = append(tags, tag)
		}
	}
	var rooms []protocol.RoomHead
	key := 0
	put := func(name string) protocol.ID {
		t.Helper()
		key++
		list, err := b.Append(t.Context(), name, []protocol.Draft{protocol.Message(protocol.User{ID: "u"}, fmt.Sprint(key), "x", "n1")})
		if err != nil {
			t.Fatal(err)
		}
		return list[0].ID
	}
	for _, tag := range tags {
		for _, name := range byTag[tag] {
			rooms = append(rooms, protocol.RoomHead{Room: name, Head: put(name)})
		}
	}
	expect := func(when string, want ...string) {
		t.Helper()
		names, err := b.Log.Moved(t.Context(), rooms)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		slices.Sort(want)
		if !slices.Equal(names, want) {
			t.Errorf("%s: %q are to be compared, want %q", when, names, want)
		}
	}
	first, second := byTag[tags[0]][:3], byTag[tags[1]][:3]
	expect("at the first call", slices.Concat(first, second)...)
	expect("without news")
	put(first[1])
	put(first[1])
	expect("after two appends", first[1])
	put(first[1])
	for range 300 {
		put(second[2])
	}
	expect("after more appends than the stream holds", append([]string{first[1]}, second...)...)
	expect("without news since")
	server.Del(b.keys.moved(tags[0]))
	expect("after the loss of the stream", first...)
	put(first[0])
	expect("after a new stream", first...)
	server.Del(b.keys.moved(tags[0]))
	_ = server.Set(b.keys.moved(tags[0]), "a string") // fails only on a stopped server
	expect("with a key of another type", first...)
	put(first[2])
	expect("with a key of another type", first...)
	server.Del(b.keys.moved(tags[0]))
	expect("after that", first...)
}
