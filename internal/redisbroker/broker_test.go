package redisbroker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest/brokertest"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
	"example.com/chat/internal/room"

	"example.com/chat/internal/chattest"
)

// heard holds what a broker has delivered.
type heard struct {
	brokertest.Heard
	nodes []cluster.NodeInfo // guarded like the others
}

// listener delivers to heard.
type listener struct {
	room.Feed
	heard *heard
}

func (l listener) Nodes(live []cluster.NodeInfo) { l.heard.Note(func() { l.heard.nodes = live }) }

func (h *heard) listener() listener { return listener{h.Feed(), h} }

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
	return openWith(t, at, redisbroker.Config{History: history, Node: cluster.NodeInfo{ID: id, Port: 1}})
}

func openWith(t *testing.T, at *site, cfg redisbroker.Config) *testBroker {
	t.Helper()
	return openFor(t, at, cfg, nil)
}

// openFor is openWith with another feed than heard.
func openFor(t *testing.T, at *site, cfg redisbroker.Config, feed room.Feed) *testBroker {
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
	to := h.listener()
	if feed != nil {
		to.Feed = feed
	}
	done := make(chan struct{})
	go func() { // ends with ctx; the cleanup waits for it
		b.Run(ctx, to)
		close(done)
	}()
	outside := at.outside(t)
	stop := func() { cancel(); <-done }
	t.Cleanup(func() { stop(); _ = cfg.Client.Close(); _ = outside.Close() })
	if feed == nil {
		h.Has(t, "the broker to be up", func() bool { return h.Up })
	}
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

// newest returns the newest n messages, without their changes.
func (b *testBroker) newest(t *testing.T, room string, n int) (list []protocol.Entry, more bool, err error) {
	t.Helper()
	page, err := b.Messages(t.Context(), room, protocol.ID{}, n)
	for _, s := range page.List {
		list = append(list, s.Entry)
	}
	return list, page.More, err
}

// all returns the lobby's entries of all kinds, by their seq.
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
	// A log of another type affects its own room only, and no call is executed in part.
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
	n2.Has(t, "to follow", func() bool { return n2.Heard.Following > 0 })
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
	n2.Has(t, "the changes", func() bool { return len(n2.Live) == 2 })
	if want := []string{"lobby presence 2\n+a Ann B\n+b Bob", "lobby presence 1\n-b Bob"}; !slices.Equal(n2.Live, want) {
		t.Errorf("published %q", n2.Live)
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
	// The first node dies; the second notices, and removes what it left.
	if _, err := n1.Claim(t.Context(), protocol.NameClaim{User: "b", Name: "Bob"}); err != nil {
		t.Fatal(err)
	}
	if _, err := n2.Claim(t.Context(), protocol.NameClaim{User: "x", Name: "BOB"}); !errors.Is(err, protocol.ErrNameTaken) {
		t.Errorf("a held name: %v", err)
	}
	n2.Has(t, "both nodes", func() bool { return len(n2.nodes) == 2 })
	n1.stop()
	n2.Has(t, "the end of its presence", func() bool { return slices.Contains(n2.Live, "lobby presence 1\n-b Bob") })
	n2.Has(t, "one node", func() bool { return len(n2.nodes) == 1 })
	chattest.Eventually(t, "the name to be free", func() bool {
		_, err := n2.Claim(t.Context(), protocol.NameClaim{User: "x", Name: "BOB"})
		return err == nil
	})
	chattest.Eventually(t, "nothing to be left of the dead node", func() bool {
		return len(n2.find(t, ":*n1~*")) == 0
	})
}

// What an instance wrote is removed also if no node was alive for longer than dead instances
// stay listed.
func testADeadInstanceIsFoundLate(t *testing.T, at *site) {
	n1 := open(t, at, "n1", 10)
	if _, err := n1.Here(t.Context(), n1.Instance(), "lobby", []protocol.Change{{User: protocol.User{ID: "u", Name: "x"}, Here: true}}); err != nil {
		t.Fatal(err)
	}
	n1.stop()
	long := float64(n1.rdb.Time(t.Context()).Val().Add(-10 * time.Minute).UnixMilli())
	if err := n1.rdb.ZAdd(t.Context(), n1.ns+":{cluster}:nodes", redis.Z{Score: long, Member: n1.Instance()}).Err(); err != nil {
		t.Fatal(err)
	}
	n2 := open(t, at, "n2", 10)
	chattest.Eventually(t, "the room to be empty", func() bool {
		list, err := n2.Present(t.Context(), "lobby")
		return err == nil && len(list) == 0
	})
	// Then it is listed as long as any other, and no longer.
	if err := n2.rdb.ZAdd(t.Context(), n2.ns+":{cluster}:nodes", redis.Z{Score: long, Member: n1.Instance()}).Err(); err != nil {
		t.Fatal(err)
	}
	chattest.Eventually(t, "nothing to be left of the dead node", func() bool {
		return n2.rdb.ZScore(t.Context(), n2.ns+":{cluster}:nodes", n1.Instance()).Err() != nil && len(n2.find(t, ":*n1~*")) == 0 &&
			!n2.rdb.HExists(t.Context(), n2.ns+":{cluster}:info", n1.Instance()+"#").Val()
	})
}

// Redis's clock goes back by 20 minutes just after a node renewed its lease for the last
// time. Its users must not stay online for 20 minutes.
func testALeaseIsNeverLongerThanLeasesAre(t *testing.T, at *site) {
	n1, n2 := open(t, at, "n1", 10), open(t, at, "n2", 10)
	n2.Follow("lobby")
	n2.Has(t, "to follow", func() bool { return n2.Heard.Following == 1 })
	if _, err := n1.Here(t.Context(), n1.Instance(), "lobby", []protocol.Change{{User: protocol.User{ID: "a", Name: "Ann"}, Here: true}}); err != nil {
		t.Fatal(err)
	}
	n1.stop()
	ends := float64(time.Now().Add(20 * time.Minute).UnixMilli())
	if err := n2.rdb.ZAdd(t.Context(), n2.ns+":{cluster}:nodes", redis.Z{Score: ends, Member: n1.Instance()}).Err(); err != nil {
		t.Fatal(err)
	}
	n2.Has(t, "the end of its presence", func() bool { return slices.Contains(n2.Live, "lobby presence 0\n-a Ann") })
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
	b.Has(t, "the loss", func() bool { return b.Heard.Lost == 1 })
	if b.Instance() == was {
		t.Error("the instance is still the same")
	}
	// The secret is restored, so that tokens stay valid.
	chattest.Eventually(t, "the secret", func() bool {
		n, err := b.rdb.Exists(t.Context(), b.ns+":{cluster}:secret").Result()
		return err == nil && n == 1
	})
	other := open(t, at, "n2", 10)
	if again, err := other.Secret(t.Context()); err != nil || string(again) != string(secret) {
		t.Errorf("another node has another secret: %v", err)
	}
}

// Redis may end a subscription at any time. Messages published meanwhile are lost, so
// each channel has to be confirmed again.
func testAKilledSubscriptionIsMadeAnew(t *testing.T, at *site) {
	if !at.alone || at.servers == nil {
		t.Skip("tried where no other test's subscriptions are killed, and there is a CLIENT KILL")
	}
	b := open(t, at, "n1", 10)
	for i := range 3 {
		b.Follow(fmt.Sprintf("room-%d", i))
	}
	b.Has(t, "to follow", func() bool { return b.Heard.Following == 3 })
	for _, s := range at.servers {
		s.Do("CLIENT", "KILL", "TYPE", "pubsub")
	}
	b.Has(t, "to follow again", func() bool { return b.Heard.Following == 6 })
	if err := b.Typing(t.Context(), "room-1", protocol.User{ID: "x"}); err != nil {
		t.Fatal(err)
	}
	b.Has(t, "what is published", func() bool { return slices.Contains(b.Live, "room-1 typing x") })
	// A channel that is added again is confirmed again, and one that was removed delivers
	// nothing.
	b.Unfollow("room-1")
	b.Follow("room-1")
	b.Has(t, "to follow once more", func() bool { return b.Heard.Following == 7 })
}
