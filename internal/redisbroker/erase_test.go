package redisbroker_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
)

func change(kind, user, key string, target protocol.ID, text string) protocol.Draft {
	return protocol.Command{Type: kind, Key: key, Target: target, Text: text, Emoji: "👍", On: true}.Change(protocol.User{ID: user, Name: user}, "node", false)
}

// put appends and returns the receipts.
func (b *testBroker) put(t *testing.T, drafts ...protocol.Draft) []protocol.Receipt {
	t.Helper()
	list, err := b.Append(t.Context(), "lobby", drafts)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// everything returns all that Redis holds, by key.
func (b *testBroker) everything(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	dump := func(ctx context.Context, rdb redis.UniversalClient) error {
		keys, err := rdb.Keys(ctx, "*").Result()
		if err != nil {
			return err
		}
		slices.Sort(keys)
		for _, key := range keys {
			if !strings.HasPrefix(key, b.ns) || strings.HasSuffix(key, ":nodes") {
				continue // of another test, or changes all the time
			}
			var held any
			switch kind := rdb.Type(ctx, key).Val(); kind {
			case "stream":
				held = rdb.XRange(ctx, key, "-", "+").Val()
			case "zset":
				held = rdb.ZRangeWithScores(ctx, key, 0, -1).Val()
			case "hash":
				held = rdb.HGetAll(ctx, key).Val()
			case "set":
				held = rdb.SMembers(ctx, key).Val()
			case "string":
				held = rdb.Get(ctx, key).Val()
			default:
				return fmt.Errorf("%s is a %s", key, kind)
			}
			fmt.Fprintln(&all, key, held)
		}
		return nil
	}
	var err error
	if cluster, ok := b.rdb.(*redis.ClusterClient); ok {
		var mu sync.Mutex
		err = cluster.ForEachMaster(t.Context(), func(ctx context.Context, c *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			return dump(ctx, c)
		})
	} else {
		err = dump(t.Context(), b.rdb)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// The memory of deletions is bounded, as the log is.
func testWhatWasDeletedIsRememberedWithinBounds(t *testing.T, at *site) {
	b := open(t, at, "n1", 20)
	for i := range 60 {
		m := b.put(t, draft("a", fmt.Sprint("m", i), "x"))[0].ID
		b.put(t, change(protocol.Edit, "a", fmt.Sprint("e", i), m, "y"), change(protocol.React, "b", fmt.Sprint("r", i), m, ""))
		if i%2 == 0 {
			b.put(t, change(protocol.Delete, "a", fmt.Sprint("d", i), m, ""))
		}
	}
	// Of the newest 20 messages 20 - k were edited, and k were deleted and removed.
	for _, c := range []struct {
		kind        string
		least, most int64
	}{{"gone", 60, 2020}, {"stand", 2, 40}, {"marked", 1, 20}, {"reacts", 1, 20}} {
		key := strings.Replace(redisbroker.LogKey(b.ns, "lobby"), ":log:", ":"+c.kind+":", 1)
		n, err := b.rdb.ZCard(t.Context(), key).Result()
		if c.kind == "stand" {
			n, err = b.rdb.HLen(t.Context(), key).Result()
		}
		if err != nil || n > c.most || n < c.least {
			t.Errorf("%s holds %d, %v", c.kind, n, err)
		}
	}
	oldest := b.all(t)[0].ID
	if all := b.everything(t); strings.Contains(all, `"text":"y"`) && strings.Count(all, `"text":"y"`) > 20 {
		t.Errorf("edits of messages before %v are still there: %s", oldest, all)
	}
}

// A deletion that Redis's user may not execute changes nothing. With the commands of a
// version before deletions, Redis let the script write the deletion's entry and refused
// to remove the message: the repeat was a duplicate, and the text was still there.
func TestADeletionThatRedisForbidsIsNotBegun(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	redistest.SetUser(s)
	at := &site{
		client:  single("redis://"+redistest.User+":"+redistest.Password+"@"+s.Addr, nil),
		outside: single(s.URL, nil), servers: []*redistest.Server{s}, alone: true,
	}
	b := open(t, at, "n1", 100)
	m := b.put(t, draft("a", "1", "secret"))[0].ID
	for _, command := range []string{"xdel", "zremrangebyrank", "hdel", "zrem"} {
		s.Do("ACL", "SETUSER", redistest.User, "-"+command)
		before := b.everything(t)
		if _, err := b.Append(t.Context(), "lobby", []protocol.Draft{change(protocol.Delete, "a", "2", m, "")}); err == nil {
			t.Errorf("a deletion was taken without %s", command)
		}
		if after := b.everything(t); after != before {
			t.Errorf("without %s it became\n%s\nof\n%s", command, after, before)
		}
		b.put(t, draft("a", command, "a message needs none of them"))
		s.Do("ACL", "SETUSER", redistest.User, "+"+command)
	}
	if got := b.put(t, change(protocol.Delete, "a", "2", m, ""))[0]; got.Duplicate || got.Refused != nil {
		t.Errorf("once Redis allowed it, the deletion became %+v", got)
	}
	if all := b.everything(t); strings.Contains(all, "secret") {
		t.Errorf("redis still holds it: %s", all)
	}
}

// Where replicas have to confirm, a call that adds nothing writes one key again, but never
// that of a refused draft: it would be used for good, without an entry, and a repeat would
// be a duplicate of nothing.
func TestARefusalTakesNoKeyWhereReplicasConfirm(t *testing.T) {
	t.Parallel()
	primary, _ := pair(t)
	at := &site{client: single(primary.URL, nil), outside: single(primary.URL, nil)}
	b := openWith(t, at, redisbroker.Config{History: 100, Replicas: 1, Node: cluster.NodeInfo{ID: "n1", Port: 1}})
	said := b.put(t, draft("a", "1", "x"))[0]
	never := change(protocol.Edit, "a", "2", protocol.ID{MS: said.ID.MS, Seq: 999}, "y")
	before := b.everything(t)
	for range 2 {
		got, err := b.Append(t.Context(), "lobby", []protocol.Draft{never})
		if err != nil || got[0].Refused != protocol.ErrTargetGone || got[0].Duplicate {
			t.Errorf("alone it got %+v, %v", got, err)
		}
	}
	got, err := b.Append(t.Context(), "lobby", []protocol.Draft{never, draft("a", "1", "x")})
	if err != nil || got[0].Refused != protocol.ErrTargetGone || !got[1].Duplicate || got[1].ID != said.ID {
		t.Errorf("before a repeat it got %+v, %v", got, err)
	}
	if after := b.everything(t); after != before {
		t.Errorf("redis holds\n%s\nof\n%s", after, before)
	}
}

// Where replicas have to confirm, a deleted message is gone from them too before the
// deletion is acknowledged; where they don't, it may not be.
func TestADeletionIsConfirmedByReplicas(t *testing.T) {
	t.Parallel()
	primary, replica := pair(t)
	at := &site{client: single(primary.URL, nil), outside: single(primary.URL, nil)}
	b := openWith(t, at, redisbroker.Config{History: 100, Replicas: 1, Node: cluster.NodeInfo{ID: "n1", Port: 1}})
	said := b.put(t, draft("a", "1", "secret-one"), draft("a", "2", "secret-two"))
	deleted := b.put(t, change(protocol.Delete, "a", "3", said[0].ID, ""))[0]
	held := *b
	held.rdb = replica.Client()
	if all := held.everything(t); deleted.Refused != nil || strings.Contains(all, "secret-one") || !strings.Contains(all, "secret-two") {
		t.Errorf("acknowledged as %+v the replica holds %s", deleted, all)
	}
	replica.Freeze()
	late := []protocol.Draft{change(protocol.Delete, "a", "4", said[1].ID, "")}
	if got, err := b.Append(t.Context(), "lobby", late); err == nil {
		t.Errorf("without a replica it got %+v", got)
	}
	replica.Thaw()
	chattest.Eventually(t, "the deletion's repeat", func() bool {
		got, err := b.Append(t.Context(), "lobby", late)
		return err == nil && got[0].Duplicate && got[0].Refused == nil && !got[0].ID.IsZero()
	})
	if all := held.everything(t); strings.Contains(all, "secret") {
		t.Errorf("the replica holds %s", all)
	}
}
