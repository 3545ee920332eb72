package redisbroker_test

import (
	"slices"
	"strings"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
)

// Channels contain the number of the database, because Pub/Sub ignores it: two chats in
// two databases of one Redis, with the same namespace and rooms, are separate.
func TestDatabasesDoNotHearEachOther(t *testing.T) {
	each(t, func(t *testing.T, at *site) {
		opened := func(database int) *testBroker {
			own := *at
			own.database, own.namespace = database, "chat"
			return openWith(t, &own, redisbroker.Config{History: 10, Node: cluster.NodeInfo{ID: "n1", Port: 1}})
		}
		first, second, third := opened(0), opened(1), opened(0)
		for _, b := range []*testBroker{first, second, third} {
			b.Follow("lobby")
			b.Has(t, "to follow", func() bool { return b.Heard.Following == 1 })
		}
		if err := second.Typing(t.Context(), "lobby", protocol.User{ID: "x"}); err != nil {
			t.Fatal(err)
		}
		if _, err := second.Append(t.Context(), "lobby", []protocol.Draft{draft("a", "1", "of the second")}); err != nil {
			t.Fatal(err)
		}
		if err := second.Decide(t.Context(), decision("news", "", "", nil)); err != nil {
			t.Fatal(err)
		}
		second.Has(t, "its own", func() bool { return len(second.Live) == 2 && slices.Contains(second.News, "news") })
		// A later message on the same connection arrived, so none of the above is still
		// on its way.
		if _, err := first.Append(t.Context(), "lobby", []protocol.Draft{draft("a", "1", "of the first")}); err != nil {
			t.Fatal(err)
		}
		for _, b := range []*testBroker{first, third} {
			b.Has(t, "what the first says", func() bool { return len(b.Live) > 0 && strings.Contains(b.Live[len(b.Live)-1], "of the first") })
			b.Note(func() {
				if len(b.Live) != 1 || slices.Contains(b.News, "news") {
					t.Errorf("of another database came %q %q", b.Live, b.News)
				}
			})
		}
		second.Note(func() {
			if len(second.Live) != 2 {
				t.Errorf("of another database came %q", second.Live)
			}
		})
		second.Note(func() {
			if len(second.nodes) != 1 {
				t.Errorf("the second chat has the nodes %v", second.nodes)
			}
		})
	})
}

// The number in the channels comes from the configuration, so the nodes still receive each
// other's messages after Redis was wiped.
func TestNodesHearEachOtherAfterAFlush(t *testing.T) {
	t.Parallel()
	site := at(redistest.Start(t))
	site.database, site.namespace = 3, "chat"
	n1, n2 := open(t, site, "n1", 10), open(t, site, "n2", 10)
	n2.Follow("lobby")
	n2.Has(t, "to follow", func() bool { return n2.Heard.Following == 1 })
	if err := n1.rdb.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	chattest.Eventually(t, "what the other says", func() bool {
		if _, err := n1.Append(t.Context(), "lobby", []protocol.Draft{draft("a", "1", "after the flush")}); err != nil {
			t.Fatal(err)
		}
		heard := false
		n2.Note(func() {
			heard = slices.ContainsFunc(n2.Live, func(s string) bool { return strings.Contains(s, "after the flush") })
		})
		return heard
	})
	if want := redisbroker.LiveChannel("chat", 3, "lobby"); !strings.HasPrefix(want, "chat:{") || !strings.HasSuffix(want, "}:3:live:lobby") {
		t.Errorf("the channel is %s", want)
	}
}
