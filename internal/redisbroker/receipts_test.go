package redisbroker

import (
	"errors"
	"testing"

	"example.com/chat/internal/protocol"
)

// A late reply to an earlier call, read as the reply to the next call on the same
// connection, acknowledges nothing.
func TestAReplyOfAnotherCallIsRefused(t *testing.T) {
	drafts := []protocol.Draft{{User: "a", Key: "1"}, {User: "b", Key: "2"}}
	good := func() []any {
		return []any{"a|1", "1764000000000-7", int64(0), "b|2", "1764000000000-8", int64(1)}
	}
	list, err := receipts(drafts, good())
	if err != nil || list[0].ID.Seq != 7 || list[0].Duplicate || list[1].ID.Seq != 8 || !list[1].Duplicate {
		t.Fatalf("%+v %v", list, err)
	}
	for name, spoil := range map[string]func(reply []any) []any{
		"another's keys":  func(r []any) []any { r[0] = "a|2"; return r },
		"another's order": func(r []any) []any { r[0], r[3] = r[3], r[0]; return r },
		"fewer":           func(r []any) []any { return r[:3] },
		"more":            func(r []any) []any { return append(r, r[:3]...) },
		"no id":           func(r []any) []any { r[1] = "rubbish"; return r },
		"numbers":         func(r []any) []any { r[1] = int64(5); return r },
		"nothing":         func([]any) []any { return nil },
	} {
		if list, err := receipts(drafts, spoil(good())); !errors.Is(err, errReply) {
			t.Errorf("%s: %+v %v", name, list, err)
		}
	}
}
