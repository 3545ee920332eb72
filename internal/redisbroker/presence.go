package redisbroker

import (
	"context"
	"slices"
	"strings"
	"time"

	"example.com/chat/internal/protocol"
)

// noteHolds is how long the record that this instance has written in a room is certain to
// exist.
const noteHolds = 50 * time.Millisecond

// Here writes which of this node's users are in the room, under the given instance, and
// publishes the changes. It is idempotent. It returns how many users are in the room.
//
// Before, the room is recorded as one in which the instance has written, so that others
// find it if the instance is found dead. Leaving needs no record, so a full Redis
// accepts it. If it refuses changes of both kinds, those who leave have left although the
// call fails.
func (b *Presence) Here(ctx context.Context, instance, room string, changes []protocol.Change) (int, error) {
	leaving := slices.DeleteFunc(slices.Clone(changes), func(c protocol.Change) bool { return c.Here })
	if len(leaving) == len(changes) {
		return b.here(ctx, instance, room, nothingMore, leaving)
	}
	count, err := b.recorded(ctx, instance, room, changes)
	if err != nil && kinds[kind(err)].name == "oom" && len(leaving) > 0 {
		_, _ = b.here(ctx, instance, room, nothingMore, leaving)
	}
	return count, err
}

// recorded is here, with a record of the room. A single Redis does both in one script. On
// a Redis Cluster the record is in another slot and is written first. If the node is frozen
// in between, it may be found dead, and the record removed before it continues; so if
// that took long, the record is written again.
func (b *Presence) recorded(ctx context.Context, instance, room string, changes []protocol.Change) (int, error) {
	record := b.keys.cluster("rooms:" + instance)
	if b.cluster == nil && !b.slots.Load() {
		count, err := b.here(ctx, instance, room, also{record: record}, changes)
		if err == nil || kinds[kind(err)].name != "crossslot" {
			return count, err
		}
		b.slots.Store(true) // a Redis Cluster of one node, used as a single Redis
	}
	write := func() error { return b.rdb.SAdd(ctx, record, room).Err() }
	began := time.Now()
	if err := write(); err != nil {
		return 0, err
	}
	count, err := b.here(ctx, instance, room, nothingMore, changes)
	if err == nil && time.Since(began) > noteHolds {
		err = write()
	}
	return count, err
}

// also is what scripts/here.lua does besides the changes.
type also struct {
	record string // the key of the set to which it adds the room
	vacate bool   // it removes all that the instance wrote in the room
}

var nothingMore also

// here runs scripts/here.lua.
func (b *Presence) here(ctx context.Context, instance, room string, more also, changes []protocol.Change) (int, error) {
	keys, args := b.hereCall(instance, room, more, changes)
	count, err := b.run(ctx, hereScript, keys, args...).Int()
	b.did("writing who is in rooms", room, err)
	if err == nil {
		b.directory.present(room, count)
	}
	return count, err
}

// hereCall returns the keys and arguments of a call of scripts/here.lua.
func (b *Presence) hereCall(instance, room string, more also, changes []protocol.Change) (keys []string, args []any) {
	mode := ""
	if more.vacate {
		mode = "all"
	}
	args = make([]any, 0, 5+3*len(changes))
	args = append(args, b.keys.live(room), b.publishCommand(), instance, mode, room)
	for _, c := range changes {
		here := 0
		if c.Here {
			here = 1
		}
		args = append(args, c.User.ID, here, c.User.Name)
	}
	keys = []string{b.keys.room("here", room), b.keys.room("users", room), b.keys.nothing(partition(room))}
	if more.record != "" {
		keys = append(keys, more.record)
	}
	return keys, args
}

// Vacate removes all that the instance wrote about the users in the rooms. After an error
// some rooms may be cleared; all are still listed as the instance's.
func (b *Presence) Vacate(ctx context.Context, instance string, rooms ...string) error {
	if len(rooms) == 0 {
		return nil
	}
	pipe := b.rdb.Pipeline()
	calls := make([]once, len(rooms))
	for i, room := range rooms {
		keys, args := b.hereCall(instance, room, also{vacate: true}, nil)
		calls[i] = hereScript.command(ctx, false, keys, args)
		_ = pipe.Process(ctx, calls[i])
	}
	_, _ = pipe.Exec(ctx)
	names := make([]any, len(rooms))
	for i, room := range rooms {
		names[i] = room
		count, err := calls[i].Int()
		if err == nil {
			b.directory.present(room, count)
			continue
		}
		// Redis does not know the script yet, or it refuses, or the slot is moving.
		if _, err := b.here(ctx, instance, room, also{vacate: true}, nil); err != nil {
			return err
		}
	}
	return b.rdb.SRem(ctx, b.keys.cluster("rooms:"+instance), names...).Err()
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
