package redisbroker_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/protocol"
	"example.com/chat/internal/redisbroker"
)

// A room remembers the keys of its newest 1,000 entries and of ten minutes, and forgets
// older ones at once.
func testKeysAreRememberedAsPromised(t *testing.T, at *site) {
	b := open(t, at, "n1", 10)
	key := func(kind string) string {
		return strings.Replace(redisbroker.LogKey(b.ns, "lobby"), ":log:", ":"+kind+":", 1)
	}
	write := func(from, to int) (list []protocol.Receipt) {
		for from < to {
			var drafts []protocol.Draft
			for ; from < to && len(drafts) < 100; from++ {
				drafts = append(drafts, draft("a", fmt.Sprint("m", from), "x"))
			}
			list = append(list, b.put(t, drafts...)...)
		}
		return list
	}
	// elapse lets the time of the newer keys have begun earlier.
	elapse := func(d time.Duration) {
		t.Helper()
		text := b.rdb.HGet(t.Context(), key("keys"), "since").Val()
		since, err := strconv.ParseInt(text[:20], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.rdb.HSet(t.Context(), key("keys"), "since", fmt.Sprintf("%020d", since-d.Milliseconds())+text[20:]).Err(); err != nil {
			t.Fatal(err)
		}
	}
	known := func(n int) bool { return b.put(t, draft("a", fmt.Sprint("m", n), "x"))[0].Duplicate }
	const many = protocol.KeysKept + 10

	first := write(0, many)
	elapse(9 * time.Minute)
	write(many, many+1)
	if !known(0) {
		t.Fatal("a key of the last ten minutes is forgotten")
	}
	elapse(2 * time.Minute)
	last := write(many+1, many+2) // replaces the older keys
	if n := b.rdb.HLen(t.Context(), key("keys")).Val(); n != 2 {
		t.Errorf("the newer keys are %d", n)
	}
	// Of a repeat the log still holds the last of these.
	for n, want := range map[int]protocol.Receipt{
		0: {Time: first[0].Time, Duplicate: true}, many - 1: {ID: first[many-1].ID, Time: first[many-1].Time, Duplicate: true},
		many + 1: {ID: last[0].ID, Time: last[0].Time, Duplicate: true},
	} {
		if got := b.put(t, draft("a", fmt.Sprint("m", n), "x"))[0]; got != want {
			t.Errorf("the repeat of %d: %+v, not %+v", n, got, want)
		}
	}
	elapse(time.Hour)
	write(many+2, many+3)
	if !known(0) {
		t.Error("a key is forgotten after less than 1,000 entries")
	}
	write(many+3, 2*many+3)
	elapse(time.Hour)
	write(2*many+3, 2*many+4)
	if !known(2*many+2) || !known(2*many+3) || !known(many+1) {
		t.Error("a key of the newest 1,000 entries is forgotten")
	}
	if known(many) || known(0) {
		t.Error("a key is remembered beyond ten minutes and 1,000 entries")
	}
	// Redis's clock goes back: the ten minutes begin again.
	elapse(-time.Hour)
	write(5*many, 5*many+1)
	since, _ := strconv.ParseInt(b.rdb.HGet(t.Context(), key("keys"), "since").Val()[:20], 10, 64)
	if now := b.rdb.Time(t.Context()).Val().UnixMilli(); since > now || since < now-60_000 {
		t.Errorf("the keys' time began at %d, it is %d", since, now)
	}
}
