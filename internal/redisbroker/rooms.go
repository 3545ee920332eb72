package redisbroker

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"

	"example.com/chat/internal/protocol"
)

// Bounds of the list of rooms.
const (
	// roomsFresh is how old a page of the list may be.
	roomsFresh = time.Second
	// pagesKept is how many pages a node keeps for that long.
	pagesKept = 64
	// listWithin bounds the reads for one page, whoever waits for them.
	listWithin = 3 * time.Second
)

// roomList caches pages of the list of rooms for a moment, so that the cost for Redis does
// not depend on the number of requests. Concurrent requests share one read.
type roomList struct {
	flight singleflight.Group

	mu   sync.Mutex // guards the field below
	kept map[string]keptPage
}

type keptPage struct {
	value any
	until time.Time
}

// errCursor refuses a cursor that is not a valid Next of a page.
var errCursor = protocol.Errorf(protocol.CodeBadField, "after must be the next of an earlier page")

// Directory lists the rooms of the cluster.
type Directory struct {
	*core
	kept  roomList
	notes *directory
}

// once returns the result of read, or a cached one.
func (l *roomList) once(ctx context.Context, key string, read func(context.Context) (any, error)) (any, error) {
	l.mu.Lock()
	k, ok := l.kept[key]
	l.mu.Unlock()
	if ok && time.Now().Before(k.until) {
		return k.value, nil
	}
	done := l.flight.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), listWithin)
		defer cancel()
		v, err := read(ctx)
		if err == nil {
			l.keep(key, v)
		}
		return v, err
	})
	select {
	case r := <-done:
		return r.Val, r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *roomList) keep(key string, v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kept == nil || len(l.kept) >= pagesKept {
		l.kept = make(map[string]keptPage)
	}
	l.kept[key] = keptPage{v, time.Now().Add(roomsFresh)}
}

// Rooms lists the rooms that have users online or entries, protocol.MaxListed at most:
// first those with users, busiest first, then the others, the last active first. after
// is the Next of the page before, or "". The list may be a second old, and rooms that
// change their place between two pages may be missed or listed twice. An invalid after
// fails with a *protocol.Error.
func (b *Directory) Rooms(ctx context.Context, after string) (protocol.RoomPage, error) {
	at, err := parsePlace(after)
	if err != nil {
		return protocol.RoomPage{}, err
	}
	page, err := b.kept.once(ctx, "page "+after, func(ctx context.Context) (any, error) { return b.roomPage(ctx, at) })
	if err != nil {
		return protocol.RoomPage{}, err
	}
	return page.(protocol.RoomPage), nil
}

// listPlace is where a page of the list begins: behind a room that has n users or, if
// idle, had its newest entry at n (in ms).
type listPlace struct {
	idle bool
	n    int64
	room string
}

// beforeIdle is the place before the first room without users.
var beforeIdle = listPlace{idle: true, n: 1 << 53}

// parsePlace parses a place as String formats it; "" is the place before all rooms.
func parsePlace(s string) (listPlace, error) {
	switch s {
	case "":
		return listPlace{n: 1 << 53}, nil
	case beforeIdle.String():
		return beforeIdle, nil
	}
	number, name, ok := strings.Cut(s[1:], "-")
	n, err := strconv.ParseInt(number, 10, 64)
	room, bad := protocol.Room(name)
	if !ok || err != nil || bad != nil || n < 0 || s[0] != 'u' && s[0] != 't' {
		return listPlace{}, errCursor
	}
	return listPlace{idle: s[0] == 't', n: n, room: room}, nil
}

// String returns the place as the cursor that clients get (fmt.Stringer).
func (p listPlace) String() string {
	kind := "u"
	if p.idle {
		kind = "t"
	}
	return kind + strconv.FormatInt(p.n, 10) + "-" + p.room
}

// refresh writes this node's notes, so that a list that is read then has the rooms of its
// users as they are; those of other nodes are at most noteEvery late.
func (b *Directory) refresh(ctx context.Context) {
	if err := b.notes.flushNow(ctx); err != nil {
		b.log.Debug("the directory of rooms could not be updated", "error", err)
	}
}

// roomPage reads one page. Its cost does not depend on the number of rooms: one script, and
// the length of the log of each room without users.
func (b *Directory) roomPage(ctx context.Context, at listPlace) (protocol.RoomPage, error) {
	b.refresh(ctx)
	kind := "u"
	if at.idle {
		kind = "t"
	}
	reply, err := b.run(ctx, listScript, b.notes.keys()[:3], protocol.MaxListed, kind, at.n, at.room).Slice()
	if err != nil {
		return protocol.RoomPage{}, err
	}
	const width = 3
	if len(reply)%width != 1 {
		return protocol.RoomPage{}, errReply
	}
	var page protocol.RoomPage
	var idle []protocol.RoomCount
	for row := range slices.Chunk(reply[1:], width) {
		name, ok1 := row[0].(string)
		count, ok2 := row[1].(int64)
		last, ok3 := row[2].(int64)
		if !ok1 || !ok2 || !ok3 {
			return protocol.RoomPage{}, errReply
		}
		if r := (protocol.RoomCount{Room: name, Count: int(count), Last: last}); count > 0 {
			page.Rooms = append(page.Rooms, r)
		} else {
			idle = append(idle, r)
		}
	}
	switch busy := page.Rooms; {
	case reply[0] == "u" && len(busy) > 0:
		end := busy[len(busy)-1]
		page.Next = listPlace{n: int64(end.Count), room: end.Room}.String()
	case reply[0] == "t" && len(idle) > 0:
		end := idle[len(idle)-1]
		page.Next = listPlace{idle: true, n: end.Last, room: end.Room}.String()
	case reply[0] == "t": // the page ends with the last room that has users
		page.Next = beforeIdle.String()
	}
	kept, err := b.withLogs(ctx, idle)
	page.Rooms = append(page.Rooms, kept...)
	return page, err
}

// withLogs returns the rooms that still have a log, and removes the others from the
// directory.
func (b *Directory) withLogs(ctx context.Context, list []protocol.RoomCount) ([]protocol.RoomCount, error) {
	if len(list) == 0 {
		return nil, nil
	}
	pipe := b.rdb.Pipeline()
	lengths := make([]*redis.IntCmd, len(list))
	for i, r := range list {
		lengths[i] = pipe.XLen(ctx, b.keys.room("log", r.Room))
	}
	// On a Redis Cluster some may fail and others not; rooms that fail stay.
	if _, err := pipe.Exec(ctx); err != nil && allFailed(lengths) {
		return nil, err
	}
	kept := make([]protocol.RoomCount, 0, len(list))
	gone := make(map[string]int64)
	for i, r := range list {
		if n, err := lengths[i].Result(); err == nil && n == 0 {
			gone[r.Room] = r.Last
			continue
		}
		kept = append(kept, r)
	}
	if err := b.notes.drop(ctx, gone); err != nil {
		b.log.Debug("rooms without a log could not be removed from the directory", "error", err)
	}
	return kept, nil
}
