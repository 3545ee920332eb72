package redisbroker

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/protocol"
)

func parseMS(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64) // only called with numbers that our scripts wrote
	return n
}

// skip counts an entry of a stream that chat did not write: it was added by hand, with
// other fields or with the id of another entry.
func (b *Log) skip(id string) {
	b.counts.skipped.Add(1)
	b.log.Warn("an entry of a log is not one of ours and is skipped", "id", id)
}

// The kinds of calls about rooms, as /readyz and the log name them.
const (
	reading   = "reading logs"
	appending = "appending to logs"
)

// Append appends drafts to the room's log, in their order, each at most once by its user
// and key, and publishes the new ones. It is atomic. A call that fails may have been
// executed nevertheless; if replicas have to confirm and don't, it has been.
func (b *Log) Append(ctx context.Context, room string, drafts []protocol.Draft) ([]protocol.Receipt, error) {
	b.directory.enter(ctx, room)
	began := time.Now()
	list, err := b.append(ctx, room, drafts)
	added, newest := 0, int64(0)
	for _, r := range list {
		if !r.Duplicate && r.Refused == nil {
			added++
			newest = r.Time
		}
	}
	if added > 0 {
		b.directory.entry(room, newest)
	}
	b.counts.appended(began, added, err)
	b.did(appending, room, err)
	return list, err
}

// did records the result of a call about a room.
func (b *core) did(what, room string, err error) {
	w := work{what: what}
	if b.cluster != nil {
		w.tag = b.keys.tagOf(b.keys.room("log", room))
	}
	b.health.refusals.note(w, err)
}

// changesKept is how many of a room's newest changes (edits, deletions and reactions) are
// kept. A join recovers at most protocol.MaxRecovered entries, and a node that catches up
// has to find the changes of some seconds.
const changesKept = 2 * protocol.MaxRecovered

func (b *Log) append(ctx context.Context, room string, drafts []protocol.Draft) ([]protocol.Receipt, error) {
	args := make([]any, 0, 5+4*len(drafts))
	args = append(args, b.keys.live(room), b.publishCommand(), b.cfg.History, room, min(b.cfg.Replicas, 1))
	for _, d := range drafts {
		args = append(args, d.User, d.Key, d.Kind, d.Tail)
		switch {
		case d.Kind == protocol.React:
			args = append(args, d.Target.String(), true, d.Emoji, d.On)
		case d.Kind != "":
			args = append(args, d.Target.String(), d.Moderator, d.Text, false)
		}
	}
	keys := append(b.keys.log(room), b.keys.room("keys", room), b.keys.room("oldkeys", room), b.keys.room("reacts", room),
		b.keys.room("marked", room), b.keys.moved(partition(room)))
	reply, err := b.runConfirmed(ctx, appendScript, keys, args...).Slice()
	if err != nil {
		return nil, err
	}
	return receipts(drafts, reply)
}

// member returns a draft's field in the hash of accepted keys. A user's id has no "|".
func member(d protocol.Draft) string { return d.User + "|" + d.Key }

// Outcomes of the append script for a key that was accepted before.
const (
	repeated     = 1
	repeatedGone = 7 // the log no longer holds the entry
)

// refused maps those outcomes of the script that are refusals to their errors.
var refused = map[int64]*protocol.Error{
	2: protocol.ErrTargetGone, 3: protocol.ErrNotAuthor, 4: protocol.ErrTooManyEdits, 5: protocol.ErrTooManyKinds,
	6: protocol.ErrTooManyReactions,
}

// receipts decodes the reply of the append script, and checks that it belongs to this
// call: the late reply to an earlier call must not acknowledge other messages.
func receipts(drafts []protocol.Draft, reply []any) ([]protocol.Receipt, error) {
	const width = 3
	if len(reply) != width*len(drafts) {
		return nil, errReply
	}
	list := make([]protocol.Receipt, len(drafts))
	for i, d := range drafts {
		row := reply[i*width : (i+1)*width]
		echo, ok1 := row[0].(string)
		text, ok2 := row[1].(string)
		outcome, ok3 := row[2].(int64)
		if !ok1 || !ok2 || !ok3 || echo != member(d) {
			return nil, errReply
		}
		r := protocol.Receipt{Duplicate: outcome == repeated || outcome == repeatedGone, Refused: refused[outcome]}
		if r.Refused == nil {
			id, err := protocol.ParseID(text)
			if err != nil {
				return nil, errReply
			}
			r.ID, r.Time = id, id.MS
		}
		if outcome == repeatedGone {
			r.ID = protocol.ID{}
		}
		list[i] = r
	}
	return list, nil
}

// read runs scripts/read.lua. rest has the entries, in rows of the given width.
func (b *Log) read(ctx context.Context, room, what string, id protocol.ID, n, width int) (first any, more bool, rest []string, err error) {
	reply, err := b.run(ctx, readLog, b.keys.log(room), what, id.String(), n).Slice()
	b.did(reading, room, err)
	if err != nil {
		return nil, false, nil, err
	}
	if len(reply) < 3 || (len(reply)-3)%width != 0 {
		return nil, false, nil, errReply
	}
	skipped, ok := reply[2].([]any)
	if !ok {
		return nil, false, nil, errReply
	}
	for _, id := range skipped {
		if id, ok := id.(string); ok {
			b.skip(id)
		}
	}
	if rest, ok = stringsOf(reply[3:]); !ok {
		return nil, false, nil, errReply
	}
	return reply[0], reply[1] == int64(1), rest, nil
}

// stringsOf returns the elements of a list in a reply; ok is false if it is not a list of
// strings.
func stringsOf(reply any) (list []string, ok bool) {
	values, ok := reply.([]any)
	list = make([]string, len(values))
	for i, v := range values {
		s, isString := v.(string)
		list[i], ok = s, ok && isString
	}
	return list, ok
}

// Messages reads the newest n messages before an id, or of all if the id is zero, as they
// stand. The id need not be in the log.
func (b *Log) Messages(ctx context.Context, room string, before protocol.ID, n int) (protocol.Page, error) {
	const width = entryWidth + 2
	first, more, rest, err := b.read(ctx, room, "stand", before, n, width)
	page := protocol.Page{More: more}
	if err != nil {
		return page, err
	}
	if head, ok := stringsOf(first); !ok || len(head) > 0 && len(head) != entryWidth {
		return page, errReply
	} else if len(head) > 0 {
		if page.Head, err = entry(head); err != nil {
			return page, err
		}
	}
	for i := len(rest) - width; i >= 0; i -= width {
		e, err := entry(rest[i : i+entryWidth])
		if err != nil {
			return page, err
		}
		s := protocol.Standing{Entry: e}
		if edits := rest[i+entryWidth]; edits != "" {
			// "MS COUNT ID,ID,… TEXT", as scripts/append.lua keeps it.
			parts := strings.SplitN(edits, " ", 4)
			if len(parts) != 4 {
				return page, errReply
			}
			s.Edited, s.Text = parseMS(parts[0]), []byte(parts[3])
		}
		if s.Reactions, err = reactions(rest[i+entryWidth+1]); err != nil {
			return page, err
		}
		page.List = append(page.List, s)
	}
	return page, nil
}

// reactions decodes a message's reactions as scripts/append.lua stores them: a line
// "EMOJI COUNT ID,ID,…" for each emoji.
func reactions(kept string) (list []protocol.Reaction, err error) {
	if kept == "" {
		return nil, nil
	}
	for line := range strings.SplitSeq(kept, "\n") {
		parts := strings.Split(line, " ")
		if len(parts) != 3 {
			return nil, errReply
		}
		count, err := strconv.Atoi(parts[1])
		if err != nil {
			return nil, errReply
		}
		r := protocol.Reaction{Emoji: parts[0], Count: count}
		if parts[2] != "" {
			r.Users = strings.Split(parts[2], ",")
		}
		list = append(list, r)
	}
	return list, nil
}

// After reads up to n entries of any kind after the cursor, oldest first. The zero cursor
// is before the first entry. found is false if the cursor is neither in the log nor known
// as deleted, or if entries after it are missing that are not deleted; then list is empty.
// more reports whether entries follow the list.
func (b *Log) After(ctx context.Context, room string, cursor protocol.ID, n int) (list []protocol.Entry, found, more bool, err error) {
	first, more, rest, err := b.read(ctx, room, "after", cursor, n, entryWidth)
	if err != nil || first != int64(1) {
		return nil, false, false, err
	}
	list, err = entries(rest)
	return list, err == nil, more, err
}

// Before reads up to n entries of any kind just before the id, oldest first. Only deleted
// entries are missing between them, and between them and the id, which need not be in
// the log. more reports whether further such entries precede the list.
func (b *Log) Before(ctx context.Context, room string, id protocol.ID, n int) (list []protocol.Entry, more bool, err error) {
	_, more, rest, err := b.read(ctx, room, "before", id, n, entryWidth)
	if err != nil {
		return nil, false, err
	}
	list, err = entries(rest)
	return list, more, err
}

func entries(rows []string) ([]protocol.Entry, error) {
	list := make([]protocol.Entry, 0, len(rows)/entryWidth)
	for i := 0; i < len(rows); i += entryWidth {
		e, err := entry(rows[i : i+entryWidth])
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

// Heads reads the id of the newest entry of each room. It is zero if the room has none, or
// if it can't be read, which the room finds when it reads its log.
func (b *Log) Heads(ctx context.Context, rooms []string) ([]protocol.ID, error) {
	pipe := b.rdb.Pipeline()
	reads := make([]*redis.XMessageSliceCmd, 2*len(rooms))
	for i, room := range rooms {
		reads[2*i] = pipe.XRevRangeN(ctx, b.keys.room("log", room), "+", "-", 1)
		reads[2*i+1] = pipe.XRevRangeN(ctx, b.keys.room("changes", room), "+", "-", 1)
	}
	// A key may have another type, and a part of a Redis Cluster may be away: that
	// affects those rooms only.
	if _, err := pipe.Exec(ctx); err != nil && allFailed(reads) && !redis.HasErrorPrefix(err, "WRONGTYPE") {
		return nil, err
	}
	heads := make([]protocol.ID, len(rooms))
	for i, room := range rooms {
		message, ok1 := newestOf(reads[2*i])
		change, ok2 := newestOf(reads[2*i+1])
		switch {
		case reads[2*i].Err() != nil || reads[2*i+1].Err() != nil:
			continue
		case ok1 && ok2 && (!message.IsZero() || change.IsZero()):
			heads[i] = message
			if change.Seq > message.Seq {
				heads[i] = change
			}
		default:
			// Its newest entry was not written by chat, or no messages are left.
			page, err := b.Messages(ctx, room, protocol.ID{}, 1)
			if err != nil {
				return nil, err
			}
			heads[i] = page.Head.ID
		}
		if !heads[i].IsZero() {
			b.directory.found(room, heads[i].MS)
		}
	}
	return heads, nil
}

// newestOf returns the id of the only entry that was read; ok is false if chat did not
// write it.
func newestOf(read *redis.XMessageSliceCmd) (id protocol.ID, ok bool) {
	for _, x := range read.Val() {
		e, ok := DecodeEntry(x)
		return e.ID, ok
	}
	return protocol.ID{}, true
}

// isReply reports whether err is an error reply of Redis, and not a failure to get a
// reply.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// allFailed reports whether all commands of a pipeline failed.
func allFailed[C redis.Cmder](list []C) bool {
	for _, c := range list {
		if c.Err() == nil {
			return false
		}
	}
	return true
}
