package redisbroker

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/protocol"
)

// RoomsOf lists those of the named rooms that have users online or entries, in the order
// and with the cursors of Rooms. Rows and Next depend on the named rooms alone: nothing
// about another room can be read by any after. An invalid after fails with a
// *protocol.Error. Its cost grows with the number of names.
func (b *Directory) RoomsOf(ctx context.Context, names []string, after string) (protocol.RoomPage, error) {
	at, err := parsePlace(after)
	if err != nil {
		return protocol.RoomPage{}, err
	}
	names = validRooms(names)
	sum := sha256.Sum256([]byte(strings.Join(names, " ")))
	page, err := b.kept.once(ctx, "of "+string(sum[:])+at.String(), func(ctx context.Context) (any, error) {
		rows, err := b.rowsOf(ctx, names)
		return pageOf(rows, at), err
	})
	if err != nil {
		return protocol.RoomPage{}, err
	}
	return page.(protocol.RoomPage), nil
}

// validRooms returns the names that rooms can have, sorted, each once.
func validRooms(names []string) []string {
	valid := make([]string, 0, len(names))
	for _, name := range names {
		if room, bad := protocol.Room(name); bad == nil && room == name {
			valid = append(valid, name)
		}
	}
	slices.Sort(valid)
	return slices.Compact(valid)
}

// rowsOf reads the rows of the list that the named rooms have, in no particular order.
func (b *Directory) rowsOf(ctx context.Context, names []string) ([]protocol.RoomCount, error) {
	if len(names) == 0 {
		return nil, nil
	}
	b.refresh(ctx)
	var rows []protocol.RoomCount
	for some := range slices.Chunk(names, protocol.MaxListed) {
		busy, idle, err := b.readRows(ctx, some)
		if err != nil {
			return nil, err
		}
		if idle, err = b.withLogs(ctx, idle); err != nil {
			return nil, err
		}
		rows = append(append(rows, busy...), idle...)
	}
	return rows, nil
}

// readRows reads the rows of rooms with and without users. It reads them in a transaction,
// since a room moves from one sorted set to the other.
func (b *Directory) readRows(ctx context.Context, names []string) (busy, idle []protocol.RoomCount, err error) {
	keys := b.notes.keys()
	pipe := b.rdb.TxPipeline()
	times := pipe.HMGet(ctx, keys[2], names...)
	users, entries := make([]*redis.FloatCmd, len(names)), make([]*redis.FloatCmd, len(names))
	for i, name := range names {
		users[i], entries[i] = pipe.ZScore(ctx, keys[1], name), pipe.ZScore(ctx, keys[0], name)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	if err := times.Err(); err != nil {
		return nil, nil, err
	}
	for i, name := range names {
		n, err1 := users[i].Result()
		last, err2 := entries[i].Result()
		switch {
		case err1 != nil && !errors.Is(err1, redis.Nil):
			return nil, nil, err1
		case err2 != nil && !errors.Is(err2, redis.Nil):
			return nil, nil, err2
		case err1 == nil:
			text, _ := times.Val()[i].(string)      // nil without entries
			ms, _ := strconv.ParseInt(text, 10, 64) // 0 for ""
			busy = append(busy, protocol.RoomCount{Room: name, Count: int(-n), Last: ms})
		case err2 == nil:
			idle = append(idle, protocol.RoomCount{Room: name, Last: int64(last)})
		}
	}
	return busy, idle, nil
}

// pageOf returns the page that begins behind a place, of a list that consists of the given
// rows. It sorts them.
func pageOf(rows []protocol.RoomCount, at listPlace) protocol.RoomPage {
	slices.SortFunc(rows, func(a, b protocol.RoomCount) int { return placeOf(a).compare(placeOf(b)) })
	first, _ := slices.BinarySearchFunc(rows, at, func(r protocol.RoomCount, at listPlace) int {
		if placeOf(r).compare(at) > 0 {
			return 0
		}
		return -1
	})
	rows = rows[first:]
	if len(rows) <= protocol.MaxListed {
		return protocol.RoomPage{Rooms: rows}
	}
	rows = slices.Clone(rows[:protocol.MaxListed]) // the page is kept, the others are not
	return protocol.RoomPage{Rooms: rows, Next: placeOf(rows[len(rows)-1]).String()}
}

// placeOf returns the place of a row, behind which the next one is.
func placeOf(r protocol.RoomCount) listPlace {
	if r.Count > 0 {
		return listPlace{n: int64(r.Count), room: r.Room}
	}
	return listPlace{idle: true, n: r.Last, room: r.Room}
}

// compare orders places as scripts/list.lua does: a place without a room is before all
// rooms of its number.
func (p listPlace) compare(to listPlace) int {
	switch {
	case p.idle != to.idle && to.idle:
		return -1
	case p.idle != to.idle:
		return 1
	case p.n != to.n:
		return cmp.Compare(to.n, p.n)
	case p.idle && p.room != "" && to.room != "":
		return strings.Compare(to.room, p.room)
	}
	return strings.Compare(p.room, to.room)
}
