package redisbroker_test

import (
	"strings"
	"testing"

	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
)

// A full Redis refuses messages, edits and reactions, also in one batch. Redis checks its
// memory before the first write of a script only, so that write must be a checked one.
func TestAFullRedisTakesDeletionsAlone(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	redistest.SetUser(server)
	site := at(server)
	site.client = single("redis://"+redistest.User+":"+redistest.Password+"@"+server.Addr, nil)
	b := open(t, site, "n1", 100)
	said := b.put(t, draft("a", "1", "one"), draft("a", "2", "two"), draft("a", "3", "three"))
	server.Do("CONFIG", "SET", "maxmemory", "1")
	before := b.everything(t)
	long := strings.Repeat("x", 3000)
	for name, drafts := range map[string][]protocol.Draft{
		"a message":                 {draft("a", "4", long)},
		"an edit":                   {change(protocol.Edit, "a", "4", said[0].ID, long)},
		"a reaction":                {change(protocol.React, "b", "4", said[0].ID, "")},
		"a message after an edit":   {change(protocol.Edit, "a", "4", said[0].ID, long), draft("a", "5", long)},
		"a message after a removal": {change(protocol.Delete, "a", "4", said[0].ID, ""), draft("a", "5", long)},
		"an edit after a removal":   {change(protocol.Delete, "a", "4", said[0].ID, ""), change(protocol.Edit, "a", "5", said[1].ID, long)},
	} {
		for range 3 {
			if got, err := b.Append(t.Context(), "lobby", drafts); err == nil || !strings.Contains(err.Error(), "OOM") {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
	}
	// The first entry of a room first removes the remains of an earlier log.
	if got, err := b.Append(t.Context(), "empty", []protocol.Draft{draft("a", "1", long)}); err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("the first message of a room: %+v, %v", got, err)
	}
	if after := b.everything(t); after != before {
		t.Errorf("redis holds\n%s\nof\n%s", after, before)
	}
	got := b.put(t, draft("a", "1", "one"), change(protocol.Delete, "a", "6", said[0].ID, ""), change(protocol.Delete, "a", "7", said[1].ID, ""))
	if !got[0].Duplicate || got[0].ID != said[0].ID || got[1].Refused != nil || got[2].Refused != nil {
		t.Errorf("deletions, and what had been taken before: %+v", got)
	}
	if list, _, err := b.newest(t, "lobby", 10); err != nil || ids(list) != "3" {
		t.Errorf("the log holds %s, %v", ids(list), err)
	}
	server.Do("CONFIG", "SET", "maxmemory", "0")
	b.put(t, draft("a", "4", "four"), change(protocol.Edit, "a", "5", said[2].ID, "edited"))
}

// Where replicas confirm, a repeat writes its key again, on a full Redis too.
func TestAFullRedisAcknowledgesWhatItHasWhereReplicasConfirm(t *testing.T) {
	t.Parallel()
	primary, _ := pair(t)
	at := &site{client: single(primary.URL, nil), outside: single(primary.URL, nil)}
	b := openWith(t, at, redisbroker.Config{History: 100, Replicas: 1, Node: cluster.NodeInfo{ID: "n1", Port: 1}})
	said := b.put(t, draft("a", "1", "x"))[0]
	primary.Do("CONFIG", "SET", "maxmemory", "1")
	before := b.everything(t)
	if again := b.put(t, draft("a", "1", "x"))[0]; !again.Duplicate || again.ID != said.ID {
		t.Errorf("a repeat got %+v", again)
	}
	if after := b.everything(t); after != before {
		t.Errorf("redis holds\n%s\nof\n%s", after, before)
	}
}
