package redisbroker

import (
	"fmt"
	"slices"
	"testing"
)

// A channel more or less costs the same however many there are: the channels that did not
// change are not compared.
func TestFollowingOneMoreRoomLooksAtThatOneOnly(t *testing.T) {
	s := &subscription{changed: make(chan struct{}, 1), wanted: make(map[string]uint64), asked: make(map[string]uint64)}
	s.restart()
	const channels = 10_000
	for i := range channels {
		s.want(fmt.Sprint(i), true)
	}
	if add, drop := s.differences(); len(add) != channels || len(drop) != 0 {
		t.Fatalf("%d channels to add and %d to drop, want %d and none", len(add), len(drop), channels)
	}
	// These differ, but not by a call of want: a comparison of all would find them.
	s.asked["17"], s.wanted["18"] = 0, 0
	s.want("one more", true)
	s.want("17000", false) // was never there
	s.want("19", false)
	s.want("20", true) // is confirmed again
	add, drop := s.differences()
	slices.Sort(add)
	if !slices.Equal(add, []string{"20", "one more"}) || !slices.Equal(drop, []string{"19"}) {
		t.Errorf("to add %q, to drop %q", add, drop)
	}
	if add, drop := s.differences(); len(add)+len(drop) != 0 {
		t.Errorf("again to add %q, to drop %q", add, drop)
	}
	// A new connection needs all channels again.
	s.restart()
	if add, drop := s.differences(); len(add) != channels || len(drop) != 0 {
		t.Errorf("on a new connection %d channels to add and %d to drop, want %d and none", len(add), len(drop), channels)
	}
}
