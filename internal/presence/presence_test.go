package presence

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/protocol"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type user struct{ protocol.User }

func (u user) Public() protocol.User { return u.User }

func named(id string) protocol.User { return protocol.User{ID: id, Name: "name of " + id} }

func here(ids ...string) (list []protocol.User) {
	for _, id := range ids {
		list = append(list, named(id))
	}
	return list
}

// known returns a room whose list holds these users.
func known(ids ...string) *Room {
	r := newRoom()
	r.Refresh()
	r.Replace(here(ids...), start)
	r.Changes()
	return r
}

func joined(count int, ids ...string) protocol.PresenceDelta {
	return protocol.PresenceDelta{Joined: here(ids...), Count: count}
}

func left(count int, ids ...string) protocol.PresenceDelta {
	return protocol.PresenceDelta{Left: here(ids...), Count: count}
}

// announced writes the changes since the last call.
func announced(r *Room) string {
	joined, left, count, changed := r.Changes()
	if !changed {
		return ""
	}
	var out []string
	for _, u := range joined {
		out = append(out, "+"+u.ID)
	}
	for _, u := range left {
		out = append(out, "-"+u.ID)
	}
	slices.Sort(out)
	return fmt.Sprint(strings.Join(out, " "), " = ", count)
}

// newRoom returns a room without an owner.
func newRoom() *Room { return New(func(string, bool) {}) }

func TestChangesWithinAWindowAreOneEvent(t *testing.T) {
	t.Parallel()
	r := known("ann")
	if e := r.Apply(joined(2, "bob"), start); e != (Effects{Announce: window}) {
		t.Errorf("%+v", e)
	}
	for _, d := range []protocol.PresenceDelta{joined(3, "eve"), left(2, "eve"), left(1, "ann"), joined(2, "ann"), joined(3, "dan"), left(2, "bob"), joined(3, "bob"), left(2, "ann")} {
		if e := r.Apply(d, start); e.Announce != 0 || e.Read {
			t.Errorf("%+v", e)
		}
	}
	if got := announced(r); got != "+bob +dan -ann = 2" {
		t.Error(got)
	}
	// A user who joined and left within a window is not announced.
	r.Apply(joined(3, "eve"), start)
	r.Apply(left(2, "eve"), start)
	if got := announced(r); got != "" {
		t.Error(got)
	}
	if _, left, _, _ := func() (a, b []protocol.User, n int, c bool) {
		r.Apply(left(1, "bob"), start)
		return r.Changes()
	}(); len(left) != 1 || left[0] != named("bob") {
		t.Errorf("%v left", left)
	}
}

func TestALargeRoomIsAnnouncedLessOften(t *testing.T) {
	t.Parallel()
	var ids []string
	for i := range 20 * protocol.MaxListed {
		ids = append(ids, fmt.Sprint("u", i))
	}
	r := known(ids[:3*protocol.MaxListed]...)
	if e := r.Apply(joined(0, ids[3*protocol.MaxListed:4*protocol.MaxListed]...), start); e.Announce != 3*window {
		t.Errorf("announced after %s", e.Announce)
	}
	if joined, _, count, _ := r.Changes(); len(joined) != maxNamed || count != 4*protocol.MaxListed {
		t.Errorf("%d named, %d counted", len(joined), count)
	}
	r = known(ids...)
	if e := r.Apply(left(len(ids)-1, "u1"), start); e.Announce != windowMax {
		t.Errorf("announced after %s", e.Announce)
	}
	if list, count := r.Members(); len(list) != protocol.MaxListed || count != len(ids)-1 {
		t.Errorf("%d listed, %d counted", len(list), count)
	}
}

// Changes that are published during a read of the list are applied after it.
func TestChangesWaitForTheList(t *testing.T) {
	t.Parallel()
	r := newRoom()
	r.Apply(joined(2, "bob"), start)
	if e := r.Refresh(); !e.Read || r.Known() {
		t.Errorf("%+v", e)
	}
	r.Apply(left(1, "ann"), start)
	if e := r.Replace(here("ann"), start); !e.Settled || !r.Known() {
		t.Errorf("%+v", e)
	}
	if list, count := r.Members(); count != 1 || list[0] != named("bob") {
		t.Errorf("%v", list)
	}
	r.Changes()
	// The list is read again, and replaces what was published.
	if e := r.Refresh(); !e.Read {
		t.Errorf("%+v", e)
	}
	if e := r.Refresh(); e.Read {
		t.Error("two reads at once")
	}
	if e := r.Replace(here("ann", "eve"), start); e.Settled || e.Announce != window {
		t.Errorf("%+v", e)
	}
	if e := r.Replace(here("eve"), start); !e.Settled {
		t.Errorf("%+v", e)
	}
	if got := announced(r); got != "+eve -bob = 1" {
		t.Error(got)
	}
	// If more changes arrive than may wait, the list is read once more.
	r.Refresh()
	for i := range maxEarly + 1 {
		r.Apply(joined(2+i, fmt.Sprint("u", i)), start)
	}
	if e := r.Replace(here("eve"), start); e.Settled {
		t.Error("no further read is due")
	}
}

// A different count shows that a change was lost. The list is read again, but not at each
// event while it is being written.
func TestACountThatDiffersIsLookedInto(t *testing.T) {
	t.Parallel()
	r := known("ann")
	if e := r.Apply(joined(3, "bob"), start.Add(readEvery)); e.Read {
		t.Error("the list is read again at once")
	}
	if e := r.Apply(joined(4, "dan"), start.Add(2*readEvery)); !e.Read {
		t.Error("the list is not read again")
	}
	r = known("ann")
	if r.Doubt(start).Read || !r.Doubt(start.Add(2*readEvery)).Read || newRoom().Doubt(start.Add(time.Hour)).Read {
		t.Error("doubt reads at the wrong time")
	}
}

// A user with several connections is written when the first one joins and when the last
// one leaves.
func TestUsersAreWrittenOnce(t *testing.T) {
	t.Parallel()
	r := known()
	writes := func() string {
		var out []string
		for _, c := range r.Writes() {
			out = append(out, map[bool]string{true: "+", false: "-"}[c.Here]+c.User.ID)
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	ann := user{named("ann")}
	r.Enter(ann)
	r.Enter(ann)
	r.Enter(user{named("bob")})
	if got := writes(); got != "+ann +bob" || r.Dirty() {
		t.Error(got)
	}
	r.Leave("ann")
	r.Leave("unknown")
	if got := writes(); got != "" {
		t.Error(got)
	}
	r.Leave("ann")
	if got := writes(); got != "-ann" {
		t.Error(got)
	}
	// A change that could not be written is written as it is by then.
	r.Unwritten([]protocol.Change{{User: named("ann")}, {User: named("bob"), Here: true}})
	r.Enter(ann)
	r.Leave("bob")
	if got := writes(); got != "+ann -bob" {
		t.Error(got)
	}
	r.Rewrite()
	if got := writes(); got != "+ann" {
		t.Error(got)
	}
	for i := range 2*writeBatch + 1 {
		r.Enter(user{named(fmt.Sprint("u", i))})
	}
	if a, b, c, d := len(r.Writes()), len(r.Writes()), len(r.Writes()), r.Writes(); a != writeBatch || b != writeBatch || c != 1 || d != nil {
		t.Errorf("written in %d, %d, %d", a, b, c)
	}
}

func TestAUserIsRenamed(t *testing.T) {
	t.Parallel()
	r := known("ann", "bob")
	r.Enter(user{named("ann")})
	r.Writes()
	if !r.Rename(protocol.User{ID: "bob", Name: "B"}) || r.Name("bob") != "B" || r.Dirty() {
		t.Error("a user of another node")
	}
	if !r.Rename(protocol.User{ID: "ann", Name: "A"}) || !r.Dirty() {
		t.Error("a user of this node is not written again")
	}
	if r.Rename(protocol.User{ID: "eve", Name: "E"}) || r.Name("eve") != "" {
		t.Error("a user who is not here")
	}
}

// Users of this node and those that Redis lists are counted once each, in whatever order
// they come and go.
func TestEachUserIsCountedOnce(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		in := map[string]bool{}
		r := New(func(id string, now bool) {
			if in[id] == now {
				t.Fatalf("seed %d: %s in %v, as before", seed, id, now)
			}
			in[id] = now
		})
		mine, listed := map[string]int{}, map[string]bool{}
		for range 1000 {
			id := fmt.Sprint("u", rng.IntN(30))
			switch {
			case rng.IntN(100) == 0:
				r.Refresh()
				r.Replace(here(keys(listed)...), start)
			case rng.IntN(2) == 0:
				if mine[id] > 0 && rng.IntN(2) == 0 {
					mine[id]--
					r.Leave(id)
				} else {
					mine[id]++
					r.Enter(user{named(id)})
				}
			case listed[id]:
				delete(listed, id)
				r.Apply(left(len(listed), id), start)
			default:
				listed[id] = true
				r.Apply(joined(len(listed), id), start)
			}
			if !r.Known() {
				continue
			}
			want := map[string]bool{}
			for id := range listed {
				want[id] = true
			}
			for id, n := range mine {
				if n > 0 {
					want[id] = true
				}
			}
			list, count := r.Members()
			if count != len(want) || len(list) != len(want) {
				t.Fatalf("seed %d: %d counted, %d listed, want %d", seed, count, len(list), len(want))
			}
			for _, u := range list {
				if !want[u.ID] || !in[u.ID] {
					t.Fatalf("seed %d: %s is listed", seed, u.ID)
				}
			}
			if n := countIn(in); n != len(want) {
				t.Fatalf("seed %d: %d users came and did not leave, want %d", seed, n, len(want))
			}
		}
		if r.Close(); countIn(in) != 0 {
			t.Errorf("seed %d: %d users are left at the end", seed, countIn(in))
		}
	}
}

func countIn(m map[string]bool) (n int) {
	for _, in := range m {
		if in {
			n++
		}
	}
	return n
}

func keys(m map[string]bool) (list []string) {
	for id := range m {
		list = append(list, id)
	}
	return list
}
