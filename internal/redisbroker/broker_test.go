package redisbroker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"

	"example.com/chat/internal/chattest"
)

// heard is a listener that keeps what it is told.
type heard struct {
	mu        sync.Mutex // guards the fields below
	live      []string
	entries   []protocol.Entry
	following int
	followed  []string // the rooms, each time
	news      []string
	nodes     []redisbroker.NodeInfo
	lost      int
	up        bool
}

// listening is heard as a broker delivers to it.
type listening struct{ *heard }

func (h *heard) note(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

func (h listening) Entries(room string, before protocol.ID, list []protocol.Entry) {
	text := room + " entries after " + before.Head()
	for _, e := range list {
		text += "\n" + string(e.Raw)
	}
	h.note(func() { h.live, h.entries = append(h.live, text), append(h.entries, list...) })
}
func (h listening) Presence(room string, d protocol.PresenceDelta) {
	text := fmt.Sprint(room, " presence ", d.Count)
	for _, u := range d.Joined {
		text += "\n+" + u.ID + " " + u.Name
	}
	for _, u := range d.Left {
		text += "\n-" + u.ID + " " + u.Name
	}
	h.note(func() { h.live = append(h.live, text) })
}
func (h listening) Typing(room string, u protocol.User) {
	h.note(func() { h.live = append(h.live, room+" typing "+u.ID) })
}
func (h listening) Moderated(d protocol.Decision) {
	h.note(func() {
		if d.Room == "" {
			h.news = append(h.news, d.Action)
		} else {
			h.live = append(h.live, d.Room+" "+d.Action)
		}
	})
}
func (h listening) Renamed(mark string, u protocol.User) {
	h.note(func() { h.news = append(h.news, "renamed "+mark+" "+u.ID+" "+u.Name) })
}
func (h listening) Doubt(room string) { h.note(func() { h.live = append(h.live, room+" doubt") }) }
func (h listening) Following(room string) {
	h.note(func() { h.following++; h.followed = append(h.followed, room) })
}
func (h listening) Nodes(live []redisbroker.NodeInfo) { h.note(func() { h.nodes = live }) }
func (h listening) Lost()                             { h.note(func() { h.lost++ }) }
func (h listening) Reachable(up bool)                 { h.note(func() { h.up = up }) }

// has polls a condition on what was heard.
func (h *heard) has(t *testing.T, what string, ok func() bool) {
	t.Helper()
	chattest.Eventually(t, what, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return ok()
	})
}

type testBroker struct {
	*redisbroker.Broker
	*heard
	rdb  redis.UniversalClient // from outside
	ns   string                // its namespace
	stop func()                // ends Run
}

// open opens a broker of a node, which runs until the test's end.
func open(t *testing.T, at *site, id string, history int) *testBroker {
	t.Helper()
	return openWith(t, at, redisbroker.Config{History: history, Node: redisbroker.NodeInfo{ID: id, Port: 1}})
}

func openWith(t *testing.T, at *site, cfg redisbroker.Config) *testBroker {
	t.Helper()
	cfg.Client, cfg.Namespace = at.client(t), "chat:"+t.Name()
	if at.namespace != "" {
		cfg.Namespace = at.namespace
	}
	if single, ok := cfg.Client.(*redis.Client); ok && at.database != 0 {
		opts := *single.Options()
		opts.DB = at.database
		_ = single.Close()
		cfg.Client = redis.NewClient(&opts)
	}
	b, err := redisbroker.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &heard{}
	done := make(chan struct{})
	go func() { // ends with ctx; the cleanup waits for it
		b.Run(ctx, listening{h})
		close(done)
	}()
	outside := at.outside(t)
	stop := func() { cancel(); <-done }
	t.Cleanup(func() { stop(); _ = cfg.Client.Close(); _ = outside.Close() })
	h.has(t, "the broker to be up", func() bool { return h.up })
	return &testBroker{b, h, outside, cfg.Namespace, stop}
}

func decision(action, room, field string, rule *protocol.Rule) protocol.Decision {
	return protocol.Decision{ModeratedEvent: protocol.ModeratedEvent{Action: action, Room: room}, Field: field, Rule: rule}
}

func draft(user, key, text string) protocol.Draft {
	return protocol.Message(protocol.User{ID: user, Name: user}, key, text, "node")
}

func ids(list []protocol.Entry) string {
	var seqs []string
	for _, e := range list {
		seqs = append(seqs, strconv.FormatInt(e.ID.Seq, 10))
	}
	return strings.Join(seqs, " ")
}

// newest are the newest n messages, as they were entered.
func (b *testBroker) newest(t *testing.T, room string, n int) (list []protocol.Entry, more bool, err error) {
	t.Helper()
	page, err := b.Messages(t.Context(), room, protocol.ID{}, n)
	for _, s := range page.List {
		list = append(list, s.Entry)
	}
	return list, page.More, err
}

// all are the entries of the lobby of any kind, by their seq.
func (b *testBroker) all(t *testing.T) (list []protocol.Entry) {
	t.Helper()
	for _, key := range []string{redisbroker.LogKey(b.ns, "lobby"), redisbroker.ChangesKey(b.ns, "lobby")} {
		found, err := b.rdb.XRange(t.Context(), key, "-", "+").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range found {
			if e, ok := redisbroker.DecodeEntry(x); ok {
				list = append(list, e)
			}
		}
	}
	slices.SortFunc(list, func(a, b protocol.Entry) int { return int(a.ID.Seq - b.ID.Seq) })
	return list
}

func testAppendTakesEachKeyOnceInOrder(t *testing.T, at *site) {
	b := open(t, at, "n1", 100)
	b.Follow("lobby")
	b.has(t, "to follow", func() bool { return b.following == 1 })
	first, err := b.Append(t.Context(), "lobby", []protocol.Draft{draft("a", "1", "x"), draft("a", "2", `"key":"1","user":{"id":"a",`), draft("a", "1", "again")})
	if err != nil {
		t.Fatal(err)
	}
	if first[0].ID.Seq != 1 || first[1].ID.Seq != 2 || first[0].Duplicate || !first[2].Duplicate || first[2].ID != first[0].ID {
		t.Errorf("receipts %+v", first)
	}
	again, err := b.Append(t.Context(), "lobby", []protocol.Draft{draft("a", "2", "x"), draft("b", "2", "y"), draft("a", "1", "x")})
	if err != nil {
		t.Fatal(err)
	}
	if !again[0].Duplicate || again[0].ID != first[1].ID || again[1].Duplicate || again[1].ID.Seq != 3 || again[2].ID != first[0].ID ||
		again[2].Time != first[0].Time {
		t.Errorf("receipts %+v, first %+v", again, first)
	}
	b.has(t, "what was published", func() bool { return len(b.live) == 2 })
	start := "lobby entries after 0-0\n" + `{"id":"` + first[0].ID.String() + `","room":"lobby","time":`
	if lines := strings.Count(b.live[0], "\n"); lines != 2 || !strings.HasPrefix(b.live[0], start) {
		t.Errorf("published %q", b.live)
	}
	if !strings.HasPrefix(b.live[1], "lobby entries after "+first[1].ID.String()+"\n") {
		t.Errorf("published %q, which does not follow %s", b.live[1], first[1].ID)
	}
	list, more, err := b.newest(t, "lobby", 10)
	if err != nil || more || ids(list) != "1 2 3" || !strings.HasSuffix(b.live[1], string(list[2].Raw)) {
		t.Errorf("%v %v %s", err, more, ids(list))
	}
}

// What is published of an entry is what the log holds of it, in all fields: author,
// key, kind and target too, whatever the texts hold.
func testWhatIsPublishedIsWhatIsRead(t *testing.T, at *site) {
	b := open(t, at, "n1", 100)
	b.Follow("lobby")
	b.has(t, "to follow", func() bool { return b.following == 1 })
	const hard = "1:x \n\"|\\ },\"kind\":\"delete\",\"target\":\"1-1\" é😀"
	ann := protocol.User{ID: "ann", Name: hard}
	put := func(list ...protocol.Draft) []protocol.Receipt {
		t.Helper()
		got, err := b.Append(t.Context(), "lobby", list)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	said := put(protocol.Message(ann, hard, hard, "n"), protocol.Message(ann, "", "", "n"))
	for i, c := range []protocol.Command{
		{Type: protocol.Edit, Text: hard}, {Type: protocol.React, Emoji: "👍", On: true}, {Type: protocol.React, Emoji: "👍"},
	} {
		c.Key, c.Target = fmt.Sprint(hard, i), said[0].ID
		put(c.Change(ann, "n", false))
	}
	b.has(t, "what was published", func() bool { return len(b.entries) == 5 })
	list, found, _, err := b.After(t.Context(), "lobby", protocol.ID{}, 10)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	if !reflect.DeepEqual(list, b.entries) {
		t.Errorf("the log holds\n%+v, and published was\n%+v", list, b.entries)
	}
	for i, e := range list {
		var fields struct {
			ID, Key, Kind, Target string
			User                  protocol.User
		}
		if err := json.Unmarshal(e.Raw, &fields); err != nil {
			t.Fatal(err)
		}
		target := ""
		if i > 1 {
			target = said[0].ID.String()
		}
		if e.ID.String() != fields.ID || e.Key != fields.Key || e.Kind != fields.Kind || e.Author != fields.User.ID || fields.Target != target || e.Target.IsZero() != (i < 2) {
			t.Errorf("%+v of %s", e, e.Raw)
		}
	}
	page, err := b.Messages(t.Context(), "lobby", protocol.ID{}, 10)
	if err != nil || !reflect.DeepEqual(page.Head, list[4]) || len(page.List) != 2 || !reflect.DeepEqual(page.List[0].Entry, list[0]) {
		t.Errorf("%v: the messages are %+v", err, page)
	}
	// By its key each is found again, in the log and among the changes.
	again := put(protocol.Message(ann, hard, "x", "n"), protocol.Command{Type: protocol.Edit, Key: hard + "0", Target: said[0].ID}.Change(ann, "n", false))
	if again[0].ID != list[0].ID || again[1].ID != list[2].ID || !again[1].Duplicate {
		t.Errorf("the same keys got %+v", again)
	}
}

func testTheLogIsCappedAndReadFromCursors(t *testing.T, at *site) {
	b := open(t, at, "n1", 20)
	var all []protocol.ID
	for i := range 30 {
		r, err := b.Append(t.Context(), "lobby", []protocol.Draft{draft("a", strconv.Itoa(i), "x")})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r[0].ID)
	}
	list, more, err := b.newest(t, "lobby", 5)
	if err != nil || !more || ids(list) != "26 27 28 29 30" {
		t.Errorf("newest: %v %v %s", err, more, ids(list))
	}
	list, more, err = b.Before(t.Context(), "lobby", all[13], 5)
	if err != nil || more || ids(list) != "11 12 13" {
		t.Errorf("before: %v %v %s", err, more, ids(list))
	}
	list, found, more, err := b.After(t.Context(), "lobby", all[26], 10)
	if err != nil || !found || more || ids(list) != "28 29 30" {
		t.Errorf("after: %v %v %v %s", err, found, more, ids(list))
	}
	list, found, more, err = b.After(t.Context(), "lobby", all[15], 3)
	if err != nil || !found || !more || ids(list) != "17 18 19" {
		t.Errorf("after, cut: %v %v %v %s", err, found, more, ids(list))
	}
	if list, found, _, err = b.After(t.Context(), "lobby", all[29], 3); err != nil || !found || len(list) != 0 {
		t.Errorf("after the last: %v %v %s", err, found, ids(list))
	}
	for _, gone := range []protocol.ID{all[2], {MS: 1, Seq: 25}, {MS: all[29].MS + 1, Seq: 31}} {
		if list, found, _, err = b.After(t.Context(), "lobby", gone, 3); err != nil || found || len(list) != 0 {
			t.Errorf("after %v: %v %v %s", gone, err, found, ids(list))
		}
	}
	if _, found, _, err = b.After(t.Context(), "lobby", protocol.ID{}, 3); err != nil || found {
		t.Errorf("from the start of a log that lost it: %v %v", err, found)
	}
	if _, found, _, err = b.After(t.Context(), "empty", protocol.ID{}, 3); err != nil || !found {
		t.Errorf("from the start of an empty log: %v %v", err, found)
	}
	heads, err := b.Heads(t.Context(), []string{"lobby", "empty"})
	if err != nil || heads[0] != all[29] || !heads[1].IsZero() {
		t.Errorf("heads %v %v", heads, err)
	}
	// The entry of an old key is gone from the log, the key is not.
	r, err := b.Append(t.Context(), "lobby", []protocol.Draft{draft("a", "0", "x")})
	if err != nil || !r[0].Duplicate || !r[0].ID.IsZero() || r[0].Time != all[0].MS {
		t.Errorf("an old key: %+v %v", r, err)
	}
}

func testEntriesPutInByHandAreSkipped(t *testing.T, at *site) {
	b := open(t, at, "n1", 1000)
	key := redisbroker.LogKey(b.ns, "lobby")
	hand := func(id string, fields ...any) {
		t.Helper()
		if err := b.rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: key, ID: id, Values: fields}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	hand("*", "m", `{"id":"1-1","room":"lobby"}`)
	hand("*", "id", "1-1", "author", "a", "key", "1", "kind", "", "target", "", "json", `{"id":"1-1","room":"lobby"}`) // a copy
	say := func(k string) protocol.ID {
		t.Helper()
		r, err := b.Append(t.Context(), "lobby", []protocol.Draft{draft("a", k, "x")})
		if err != nil {
			t.Fatal(err)
		}
		return r[0].ID
	}
	if id := say("1"); id.Seq != 1 {
		t.Errorf("the first of ours has %v", id)
	}
	before := say("2")
	hand("*", "other", "field")
	ahead := strconv.FormatInt(before.MS+60_000, 10)
	hand(ahead+"-500", "m", "garbage")
	after := say("3")
	if after.Seq != before.Seq+1 || after.MS < before.MS+60_000 {
		t.Errorf("after %v and one by hand of a later time came %v", before, after)
	}
	list, found, _, err := b.After(t.Context(), "lobby", before, 10)
	if err != nil || !found || len(list) != 1 || list[0].ID != after {
		t.Errorf("after: %v %v %s", err, found, ids(list))
	}
	hand("*", "x", "y")
	if heads, err := b.Heads(t.Context(), []string{"lobby"}); err != nil || heads[0] != after {
		t.Errorf("head %v %v, want %v", heads, err, after)
	}
	// A log that is of another type is its room's trouble alone, and nothing
	// is half done.
	if err := b.rdb.Set(t.Context(), redisbroker.LogKey(b.ns, "odd"), "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Append(t.Context(), "odd", []protocol.Draft{draft("a", "1", "x")}); err == nil {
		t.Error("a log that is a string took an entry")
	}
	if heads, err := b.Heads(t.Context(), []string{"odd", "lobby"}); err != nil || heads[1] != after {
		t.Errorf("heads %v %v", heads, err)
	}
}

func testPresenceIsWorthAsMuchAsItsLease(t *testing.T, at *site) {
	n1, n2 := open(t, at, "n1", 10), open(t, at, "n2", 10)
	n2.Follow("lobby")
	n2.has(t, "to follow", func() bool { return n2.following > 0 })
	ann, bob := protocol.User{ID: "a", Name: "Ann B"}, protocol.User{ID: "b", Name: "Bob"}
	write := func(b *testBroker, want int, changes ...protocol.Change) {
		t.Helper()
		if n, err := b.Here(t.Context(), b.Instance(), "lobby", changes); err != nil || n != want {
			t.Errorf("here: %d %v, want %d", n, err, want)
		}
	}
	write(n1, 2, protocol.Change{User: ann, Here: true}, protocol.Change{User: bob, Here: true})
	write(n1, 2, protocol.Change{User: ann, Here: true})
	write(n2, 2, protocol.Change{User: ann, Here: true})
	write(n1, 2, protocol.Change{User: ann})
	write(n1, 1, protocol.Change{User: bob})
	n2.has(t, "the changes", func() bool { return len(n2.live) == 2 })
	if want := []string{"lobby presence 2\n+a Ann B\n+b Bob", "lobby presence 1\n-b Bob"}; !slices.Equal(n2.live, want) {
		t.Errorf("published %q", n2.live)
	}
	write(n1, 2, protocol.Change{User: bob, Here: true})
	users, err := n1.Present(t.Context(), "lobby")
	if err != nil || len(users) != 2 {
		t.Errorf("present: %v %v", users, err)
	}
	rooms, err := n1.Rooms(t.Context(), "")
	if err != nil || len(rooms.Rooms) != 1 || rooms.Rooms[0] != (protocol.RoomCount{Room: "lobby", Count: 2}) {
		t.Errorf("rooms: %v %v", rooms, err)
	}
	// The first node dies; the second finds out and clears up after it.
	if _, err := n1.Claim(t.Context(), protocol.NameClaim{User: "b", Name: "Bob"}); err != nil {
		t.Fatal(err)
	}
	if _, err := n2.Claim(t.Context(), protocol.NameClaim{User: "x", Name: "BOB"}); !errors.Is(err, protocol.ErrNameTaken) {
		t.Errorf("a held name: %v", err)
	}
	n2.has(t, "both nodes", func() bool { return len(n2.nodes) == 2 })
	n1.stop()
	n2.has(t, "the end of its presence", func() bool { return slices.Contains(n2.live, "lobby presence 1\n-b Bob") })
	n2.has(t, "one node", func() bool { return len(n2.nodes) == 1 })
	chattest.Eventually(t, "the name to be free", func() bool {
		_, err := n2.Claim(t.Context(), protocol.NameClaim{User: "x", Name: "BOB"})
		return err == nil
	})
	chattest.Eventually(t, "nothing to be left of the dead node", func() bool {
		return len(n2.find(t, ":*n1~*")) == 0
	})
}

// Redis's clock goes back by 20 minutes just after a node has renewed its lease
// for the last time: its users shall not be there for 20 minutes.
func testALeaseIsNeverLongerThanLeasesAre(t *testing.T, at *site) {
	n1, n2 := open(t, at, "n1", 10), open(t, at, "n2", 10)
	n2.Follow("lobby")
	n2.has(t, "to follow", func() bool { return n2.following == 1 })
	if _, err := n1.Here(t.Context(), n1.Instance(), "lobby", []protocol.Change{{User: protocol.User{ID: "a", Name: "Ann"}, Here: true}}); err != nil {
		t.Fatal(err)
	}
	n1.stop()
	ends := float64(time.Now().Add(20 * time.Minute).UnixMilli())
	if err := n2.rdb.ZAdd(t.Context(), n2.ns+":{cluster}:nodes", redis.Z{Score: ends, Member: n1.Instance()}).Err(); err != nil {
		t.Fatal(err)
	}
	n2.has(t, "the end of its presence", func() bool { return slices.Contains(n2.live, "lobby presence 0\n-a Ann") })
}

func testNamesAreClaimedRenamedAndReleased(t *testing.T, at *site) {
	n1, n2 := open(t, at, "n1", 10), open(t, at, "n2", 10)
	claim := func(b *testBroker, user, name string, keep bool, want string) {
		t.Helper()
		got, err := b.Claim(t.Context(), protocol.NameClaim{User: user, Name: name, Keep: keep})
		if want == "" && !errors.Is(err, protocol.ErrNameTaken) || want != "" && got != want {
			t.Errorf("claim of %s by %s: %q %v, want %q", name, user, got, err, want)
		}
	}
	release := func(b *testBroker, user string, keep bool) {
		t.Helper()
		done := make(chan error, 1)
		b.Release(user, keep, func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	claim(n1, "a", "Ann", false, "Ann")
	claim(n2, "b", "ＡNN", false, "")
	claim(n2, "a", "Ann", true, "Ann") // the same user on a second node
	release(n1, "a", false)
	claim(n1, "b", "ann", false, "") // still online on the second
	if _, err := n2.Rename(t.Context(), protocol.NameClaim{User: "a", Name: "Anna"}, "mark"); err != nil {
		t.Fatal(err)
	}
	n1.has(t, "the news", func() bool { return slices.Contains(n1.news, "renamed mark a Anna") })
	claim(n1, "b", "ann", false, "ann")
	claim(n1, "a", "Ann", true, "Anna") // who she is now goes before what her token tells
	release(n1, "a", true)
	release(n2, "a", true)
	claim(n2, "a", "Ann", true, "Anna") // remembered
	release(n2, "a", false)
	claim(n1, "c", "Anna", false, "Anna")
	claim(n2, "a", "Anna", true, "")
}

func testALostLeaseIsNoticed(t *testing.T, at *site) {
	b := open(t, at, "n1", 10)
	secret, err := b.Secret(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	was := b.Instance()
	for _, key := range b.find(t, ":*") {
		if err := b.rdb.Del(t.Context(), key).Err(); err != nil {
			t.Fatal(err)
		}
	}
	b.has(t, "the loss", func() bool { return b.lost == 1 })
	if b.Instance() == was {
		t.Error("the instance is still the same")
	}
	// The secret is put back, so that tokens hold.
	chattest.Eventually(t, "the secret", func() bool {
		n, err := b.rdb.Exists(t.Context(), b.ns+":{cluster}:secret").Result()
		return err == nil && n == 1
	})
	other := open(t, at, "n2", 10)
	if again, err := other.Secret(t.Context()); err != nil || string(again) != string(secret) {
		t.Errorf("another node has another secret: %v", err)
	}
}

// Redis may end a subscription at any time; what was published meanwhile is
// lost, so each channel has to be confirmed anew.
func testAKilledSubscriptionIsMadeAnew(t *testing.T, at *site) {
	if !at.alone || at.servers == nil {
		t.Skip("tried where no other test's subscriptions are killed, and there is a CLIENT KILL")
	}
	b := open(t, at, "n1", 10)
	for i := range 3 {
		b.Follow(fmt.Sprintf("room-%d", i))
	}
	b.has(t, "to follow", func() bool { return b.following == 3 })
	for _, s := range at.servers {
		s.Do("CLIENT", "KILL", "TYPE", "pubsub")
	}
	b.has(t, "to follow again", func() bool { return b.following == 6 })
	if err := b.Typing(t.Context(), "room-1", protocol.User{ID: "x"}); err != nil {
		t.Fatal(err)
	}
	b.has(t, "what is published", func() bool { return slices.Contains(b.live, "room-1 typing x") })
	// Asking again is confirmed again, and what is not wanted is not heard.
	b.Unfollow("room-1")
	b.Follow("room-1")
	b.has(t, "to follow once more", func() bool { return b.following == 7 })
}

func testARoomsRulesAreKeptAndTold(t *testing.T, at *site) {
	b := open(t, at, "n1", 10)
	b.Follow("lobby")
	b.has(t, "to follow", func() bool { return b.following == 1 })
	if err := b.Decide(t.Context(), decision(protocol.Lock, "lobby", "lock", &protocol.Rule{Reason: "r"})); err != nil {
		t.Fatal(err)
	}
	if err := b.Decide(t.Context(), decision(protocol.Ban, "", "ban|a", &protocol.Rule{Until: 5})); err != nil {
		t.Fatal(err)
	}
	here, err1 := b.Rules(t.Context(), "lobby")
	all, err2 := b.Rules(t.Context(), "")
	if err1 != nil || err2 != nil || here["lock"].Reason != "r" || all["ban|a"].Until != 5 || len(here)+len(all) != 2 {
		t.Errorf("%v %v %v %v", here, all, err1, err2)
	}
	if err := b.Decide(t.Context(), decision(protocol.Unlock, "lobby", "lock", nil)); err != nil {
		t.Fatal(err)
	}
	if here, err := b.Rules(t.Context(), "lobby"); err != nil || len(here) != 0 {
		t.Errorf("%v %v", here, err)
	}
	b.has(t, "the payloads", func() bool {
		return slices.Equal(b.live, []string{"lobby lock", "lobby unlock"}) && slices.Contains(b.news, "ban")
	})
}
