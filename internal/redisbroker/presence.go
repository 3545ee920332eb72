package redisbroker

import (
	"context"
	"slices"
	"strings"
	"time"

	"example.com/chat/internal/protocol"
)

// noteHolds is for how long it may be relied on that a room, once noted as one
// that this instance has written in, still is.
const noteHolds = 50 * time.Millisecond

// Here writes which of this node's users are in the room, under the given
// instance, and tells the room what changed. It may be repeated. It returns how
// many users are in the room.
//
// The room is noted first, so that whoever finds this instance dead knows where
// to look. A node that is frozen in between may be found dead and the note taken
// away before it goes on: so what took long is noted again. Leaving leaves
// nothing behind and needs no note, so a full Redis takes it; where it refuses
// changes of both kinds, those who leave have left although the call fails.
func (b *Presence) Here(ctx context.Context, instance, room string, changes []protocol.Change) (int, error) {
	leaving := slices.DeleteFunc(slices.Clone(changes), func(c protocol.Change) bool { return c.Here })
	if len(leaving) == len(changes) {
		return b.here(ctx, instance, room, "", leaving)
	}
	count, err := b.noted(ctx, instance, room, changes)
	if err != nil && kinds[kind(err)].name == "oom" && len(leaving) > 0 {
		_, _ = b.here(ctx, instance, room, "", leaving)
	}
	return count, err
}

// noted is here, between notes of the room.
func (b *Presence) noted(ctx context.Context, instance, room string, changes []protocol.Change) (int, error) {
	note := func() error { return b.rdb.SAdd(ctx, b.keys.cluster("rooms:"+instance), room).Err() }
	began := time.Now()
	if err := note(); err != nil {
		return 0, err
	}
	count, err := b.here(ctx, instance, room, "", changes)
	if err == nil && time.Since(began) > noteHolds {
		err = note()
	}
	return count, err
}

func (b *Presence) here(ctx context.Context, instance, room, mode string, changes []protocol.Change) (int, error) {
	args := make([]any, 0, 4+3*len(changes))
	args = append(args, b.keys.live(room), b.publishCommand(), instance, mode)
	for _, c := range changes {
		here := 0
		if c.Here {
			here = 1
		}
		args = append(args, c.User.ID, here, c.User.Name)
	}
	keys := []string{b.keys.room("here", room), b.keys.room("users", room), b.keys.nothing(partition(room))}
	count, err := b.run(ctx, hereScript, keys, args...).Int()
	b.did("writing who is in rooms", room, err)
	if err == nil {
		b.directory.present(room, count)
	}
	return count, err
}

// Vacate takes away all that the instance wrote about who is in the room.
func (b *Presence) Vacate(ctx context.Context, instance, room string) error {
	if _, err := b.here(ctx, instance, room, "all", nil); err != nil {
		return err
	}
	return b.rdb.SRem(ctx, b.keys.cluster("rooms:"+instance), room).Err()
}

// Present reads who is in the room, each user once, in no order.
func (b *Presence) Present(ctx context.Context, room string) ([]protocol.User, error) {
	all, err := b.rdb.HGetAll(ctx, b.keys.room("here", room)).Result()
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(all))
	users := make([]protocol.User, 0, len(all))
	for field, name := range all {
		id, _, _ := strings.Cut(field, "|")
		if !seen[id] {
			seen[id] = true
			users = append(users, protocol.User{ID: id, Name: name})
		}
	}
	return users, nil
}
