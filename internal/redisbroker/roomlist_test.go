package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chat/internal/protocol"
)

// Concurrent requests for the list of rooms share one read of Redis, and a request whose
// context ends does not wait for it.
func TestTheListOfRoomsIsReadOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l roomList
		var reads atomic.Int64
		read := func(context.Context) (any, error) {
			time.Sleep(time.Second)
			return reads.Add(1), nil
		}
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if v, err := l.once(t.Context(), "k", read); err != nil || v != int64(1) {
					t.Errorf("%v %v", v, err)
				}
			})
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		if _, err := l.once(ctx, "k", read); !errors.Is(err, context.Canceled) || time.Since(began) != 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		all.Wait()
		if v, _ := l.once(t.Context(), "k", read); v != int64(1) { // still fresh
			t.Errorf("read %v times", v)
		}
		time.Sleep(roomsFresh)
		failed := errors.New("failed")
		if _, err := l.once(t.Context(), "k", func(context.Context) (any, error) { return nil, failed }); !errors.Is(err, failed) {
			t.Errorf("%v", err)
		}
		if v, _ := l.once(t.Context(), "k", read); v != int64(2) { // a failure is not kept
			t.Errorf("read %v times", v)
		}
	})
}

// The pages of a list of given rooms contain each of them once, in the list's order, and
// neither their rows nor their Next depend on what after names.
func TestPagesOfGivenRooms(t *testing.T) {
	t.Parallel()
	var want []protocol.RoomCount
	for count := 3; count > 0; count-- {
		for i := range 200 {
			want = append(want, protocol.RoomCount{Room: fmt.Sprintf("busy%d-%03d", count, i), Count: count, Last: int64(i)})
		}
	}
	for ms := int64(3000); ms > 0; ms -= 1000 {
		for i := range 200 {
			want = append(want, protocol.RoomCount{Room: fmt.Sprintf("idle%d-%03d", ms, 199-i), Last: ms})
		}
	}
	shuffled := func() []protocol.RoomCount {
		rows := slices.Clone(want)
		rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		return rows
	}
	var got []protocol.RoomCount
	var lengths []int
	for after := ""; len(lengths) < 10; {
		at, err := parsePlace(after)
		if err != nil {
			t.Fatal(err)
		}
		page := pageOf(shuffled(), at)
		got, lengths = append(got, page.Rooms...), append(lengths, len(page.Rooms))
		if after = page.Next; after == "" {
			break
		}
	}
	if !slices.Equal(got, want) || !slices.Equal(lengths, []int{500, 500, 200}) {
		t.Errorf("pages of %v rooms, in their order: %t", lengths, slices.Equal(got, want))
	}
	for after, first := range map[string]int{
		"u9007199254740991-secret": 0, "u3-busy3-000": 1, "u3-busy3-0000": 1, "u2-a": 200, "u2-z": 400, "u0-z": 600,
		beforeIdle.String(): 600, "t3000-z": 600, "t3000-idle3000-199": 601, "t3000-a": 800, "t2500-secret": 800, "t0-z": 1200,
	} {
		at, err := parsePlace(after)
		if err != nil {
			t.Fatal(err)
		}
		page := pageOf(shuffled(), at)
		end := min(first+protocol.MaxListed, len(want))
		next := ""
		if end < len(want) {
			next = placeOf(want[end-1]).String()
		}
		if !slices.Equal(page.Rooms, want[first:end]) || page.Next != next {
			t.Errorf("after %s: %d rooms, next %q; want %d and %q", after, len(page.Rooms), page.Next, end-first, next)
		}
	}
	if page := pageOf(nil, listPlace{}); len(page.Rooms) != 0 || page.Next != "" {
		t.Errorf("of no rooms: %v", page)
	}
}
