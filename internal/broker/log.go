package broker

import (
	"context"
	"errors"
	"strconv"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/protocol"
)

func parseMS(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64) // only called on what our scripts print
	return n
}

// entries keeps what is ours of what a stream holds: an entry put in by hand,
// without the field or with one that doesn't begin with its id, is skipped and
// counted.
func (b *Broker) entries(found []redis.XMessage) []protocol.Entry {
	list := make([]protocol.Entry, 0, len(found))
	for _, x := range found {
		m, _ := x.Values["m"].(string)
		raw := []byte(m)
		id, ok := protocol.EntryID(raw)
		if !ok || id.String() != x.ID {
			b.counts.skipped.Add(1)
			b.log.Warn("an entry of a log is not one of ours and is skipped", "id", x.ID)
			continue
		}
		list = append(list, protocol.Entry{ID: id, Raw: raw})
	}
	return list
}

// reading is what an operator is told that Redis refuses.
const reading = "reading logs"

// Newest reads the newest n entries of the room, oldest first, and whether the
// log holds older ones.
func (b *Broker) Newest(ctx context.Context, room string, n int) (list []protocol.Entry, more bool, err error) {
	return b.backwards(ctx, room, "+", n)
}

// Before reads the n entries before id, oldest first, and whether the log holds
// older ones. id itself need not be in the log.
func (b *Broker) Before(ctx context.Context, room string, id protocol.ID, n int) (list []protocol.Entry, more bool, err error) {
	return b.backwards(ctx, room, "("+id.String(), n)
}

// backwards fills n entries although some of what the log holds may not be
// ours, in a bounded number of reads.
func (b *Broker) backwards(ctx context.Context, room, from string, n int) (list []protocol.Entry, more bool, err error) {
	const reads = 10
	for range reads {
		found, err := b.rdb.XRevRangeN(ctx, b.keys.room("log", room), from, "-", int64(n+1)).Result()
		b.did(reading, room, err)
		if err != nil {
			return nil, false, err
		}
		list = append(list, b.entries(found)...)
		if len(found) <= n || len(list) > n {
			break
		}
		from = "(" + found[len(found)-1].ID
	}
	if more = len(list) > n; more {
		list = list[:n]
	}
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list, more, nil
}

// After reads up to n entries after the cursor, oldest first. found is false
// when the log does not hold the cursor any more, nor remembers it as deleted:
// then list is empty, and what lies between is not known. The zero cursor is
// before the first entry, and found as long as nothing fell off the log's end. more tells
// that the log went on after the list.
func (b *Broker) After(ctx context.Context, room string, cursor protocol.ID, n int) (list []protocol.Entry, found, more bool, err error) {
	log := b.keys.room("log", room)
	if cursor.IsZero() {
		read, err := b.rdb.XRangeN(ctx, log, "-", "+", int64(n+1)).Result()
		b.did(reading, room, err)
		if err != nil {
			return nil, false, false, err
		}
		list = b.entries(read)
		if len(list) > 0 {
			if next, err := b.erasedUpTo(ctx, room, 0, list[0].ID.Seq); err != nil || !next {
				return nil, false, false, err
			}
		}
		list, more = cut(list, n, len(read) > n)
		return list, true, more, nil
	}
	pipe := b.rdb.Pipeline()
	read := pipe.XRangeN(ctx, log, cursor.String(), "+", int64(n+2))
	gone := pipe.ZScore(ctx, b.keys.room("gone", room), cursor.String())
	defer func() { b.did(reading, room, read.Err()) }()
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, false, false, err
	}
	rest := read.Val()
	here := len(rest) > 0 && rest[0].ID == cursor.String()
	if here {
		rest = rest[1:]
	} else if gone.Err() != nil {
		return nil, false, false, nil
	}
	list = b.entries(rest)
	if !here {
		// A deletion's own entry comes after what it deletes: where there is none,
		// or others are missing between, this is no longer that log.
		if len(list) == 0 {
			return nil, false, false, nil
		}
		if next, err := b.erasedUpTo(ctx, room, cursor.Seq, list[0].ID.Seq); err != nil || !next {
			return nil, false, false, err
		}
	}
	list, more = cut(list, n, len(rest) > n)
	return list, true, more, nil
}

// erasedUpTo reports whether all entries between two seqs were deleted, and none
// of them has fallen off the log's end.
func (b *Broker) erasedUpTo(ctx context.Context, room string, after, next int64) (bool, error) {
	if next <= after+1 {
		return next == after+1, nil
	}
	between, err := b.rdb.ZCount(ctx, b.keys.room("gone", room),
		strconv.FormatInt(after+1, 10), strconv.FormatInt(next-1, 10)).Result()
	b.did(reading, room, err)
	return between == next-after-1, err
}

func cut(list []protocol.Entry, n int, more bool) ([]protocol.Entry, bool) {
	if len(list) > n {
		return list[:n], true
	}
	return list, more
}

// Heads reads the id of the newest entry of each room, zero where it has none
// or it can't be read: that shows when the room itself reads its log.
func (b *Broker) Heads(ctx context.Context, rooms []string) ([]protocol.ID, error) {
	pipe := b.rdb.Pipeline()
	reads := make([]*redis.XMessageSliceCmd, len(rooms))
	for i, room := range rooms {
		reads[i] = pipe.XRevRangeN(ctx, b.keys.room("log", room), "+", "-", 1)
	}
	// The key may be of another type, and of a Redis Cluster a part may be
	// away: that is the trouble of those rooms alone.
	if _, err := pipe.Exec(ctx); err != nil && allFailed(reads) && !redis.HasErrorPrefix(err, "WRONGTYPE") {
		return nil, err
	}
	heads := make([]protocol.ID, len(rooms))
	for i, read := range reads {
		if read.Err() != nil {
			continue
		}
		list := b.entries(read.Val())
		if len(list) == 0 && len(read.Val()) > 0 {
			// Its newest entry is not one of ours.
			var err error
			if list, _, err = b.Newest(ctx, rooms[i], 1); err != nil {
				return nil, err
			}
		}
		if len(list) > 0 {
			heads[i] = list[0].ID
		}
	}
	return heads, nil
}

// isReply reports whether err is what Redis answered, and not the failure to
// get an answer.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// allFailed reports whether none of a pipeline's commands was carried out.
func allFailed[C redis.Cmder](list []C) bool {
	for _, c := range list {
		if c.Err() == nil {
			return false
		}
	}
	return true
}
