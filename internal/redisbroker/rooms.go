package redisbroker

import (
	"context"
	"errors"
	"slices"
	"sort"
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
	// maxRoomsCounted bounds the rooms whose users are counted for one list.
	maxRoomsCounted = 20_000
	// directoryChunk is how many rooms of the directory are read at once, and
	// directoryReads how often at most for one page: all that may have users and a
	// page besides.
	directoryChunk = 2 * protocol.MaxListed
	directoryReads = maxRoomsCounted/directoryChunk + 2
	// listWithin bounds the reads for one page, whoever waits for them.
	listWithin = 3 * time.Second
)

// roomList keeps what was read for the list of rooms for a moment, so that it costs
// Redis the same however many ask: of those that ask at the same time, one reads.
type roomList struct {
	flight singleflight.Group

	mu   sync.Mutex // guards the field below
	kept map[string]keptPage
}

type keptPage struct {
	value any
	until time.Time
}

// errCursor is answered to a cursor that is none of the list's.
var errCursor = protocol.Errorf(protocol.CodeBadField, "after must be the next of an earlier page")

// Directory lists the rooms of the cluster.
type Directory struct {
	*core
	kept  roomList
	notes *directory
}

// once returns what read returns, or what it returned not long ago.
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

// Rooms lists the rooms that have users online or entries, protocol.MaxListed at
// most: first those with users, busiest first, then the others, the last active first.
// after is the Next of the page before, or "". The list may be a second old, and rooms
// that change their place between two pages may be missed or come twice. An after that
// is none fails with a *protocol.Error.
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

// listPlace is where a page of the list begins: behind a room that has n users or, where
// idle, was active last at n.
type listPlace struct {
	idle bool
	n    int64
	room string
}

func parsePlace(s string) (listPlace, error) {
	if s == "" {
		return listPlace{n: 1 << 53}, nil // before all
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

func (b *Directory) roomPage(ctx context.Context, at listPlace) (protocol.RoomPage, error) {
	v, err := b.kept.once(ctx, "users", func(ctx context.Context) (any, error) { return b.countRooms(ctx) })
	if err != nil {
		return protocol.RoomPage{}, err
	}
	counted := v.([]protocol.RoomCount)
	if !at.idle {
		from := sort.Search(len(counted), func(i int) bool {
			n := int64(counted[i].Count)
			return n < at.n || n == at.n && counted[i].Room > at.room
		})
		list := append([]protocol.RoomCount(nil), counted[from:min(len(counted), from+protocol.MaxListed)]...)
		if err := b.lastActive(ctx, list); err != nil {
			return protocol.RoomPage{}, err
		}
		if n := len(list); n == protocol.MaxListed {
			return protocol.RoomPage{Rooms: list, Next: listPlace{n: int64(list[n-1].Count), room: list[n-1].Room}.String()}, nil
		}
		return b.idleRooms(ctx, list, counted, listPlace{idle: true, n: 1 << 53})
	}
	return b.idleRooms(ctx, nil, counted, at)
}

// idleRooms fills a page with rooms that nobody is in.
func (b *Directory) idleRooms(ctx context.Context, list, counted []protocol.RoomCount, at listPlace) (protocol.RoomPage, error) {
	busy := make(map[string]bool, len(counted))
	for _, r := range counted {
		busy[r.Room] = true
	}
	page := protocol.RoomPage{Rooms: list}
	room := protocol.MaxListed - len(list) // for so many more
	var idle []protocol.RoomCount
	// Where the page begins, counted from the end, which is active last.
	offset, err := b.rdb.ZCount(ctx, b.keys.cluster("directory"), "("+strconv.FormatInt(at.n, 10), "+inf").Result()
	if err != nil {
		return page, err
	}
	for range directoryReads {
		found, err := b.rdb.ZRangeWithScores(ctx, b.keys.cluster("directory"), -offset-directoryChunk, -offset-1).Result()
		if err != nil {
			return page, err
		}
		slices.Reverse(found)
		for _, z := range found {
			name, _ := z.Member.(string)
			last := int64(z.Score)
			if busy[name] || last == at.n && name >= at.room && at.room != "" {
				continue // rooms of one time come from the last name to the first
			}
			if len(idle) == room {
				page.Next = listPlace{idle: true, n: idle[room-1].Last, room: idle[room-1].Room}.String()
				break
			}
			idle = append(idle, protocol.RoomCount{Room: name, Last: last})
		}
		if page.Next != "" || len(found) < directoryChunk {
			break
		}
		offset += int64(len(found))
	}
	kept, err := b.withLogs(ctx, idle)
	page.Rooms = append(page.Rooms, kept...)
	return page, err
}

// withLogs returns the rooms that still have a log, and has the others taken out of
// the directory.
func (b *Directory) withLogs(ctx context.Context, list []protocol.RoomCount) ([]protocol.RoomCount, error) {
	if len(list) == 0 {
		return nil, nil
	}
	pipe := b.rdb.Pipeline()
	lengths := make([]*redis.IntCmd, len(list))
	for i, r := range list {
		lengths[i] = pipe.XLen(ctx, b.keys.room("log", r.Room))
	}
	// On a Redis Cluster some may fail and others not; those are left in.
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
		b.log.Debug("rooms that are gone could not be taken out of the directory", "error", err)
	}
	return kept, nil
}

// lastActive fills in when rooms were active last; nothing where they have no entries.
func (b *Directory) lastActive(ctx context.Context, list []protocol.RoomCount) error {
	if len(list) == 0 {
		return nil
	}
	pipe := b.rdb.Pipeline()
	scores := make([]*redis.FloatCmd, len(list))
	for i, r := range list {
		scores[i] = pipe.ZScore(ctx, b.keys.cluster("directory"), r.Room)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	for i := range list {
		list[i].Last = int64(scores[i].Val())
	}
	return nil
}

// countRooms counts the users of all rooms that have some, busiest first.
func (b *Directory) countRooms(ctx context.Context) ([]protocol.RoomCount, error) {
	instances, err := b.rdb.ZRange(ctx, b.keys.cluster("nodes"), 0, -1).Result()
	if err != nil || len(instances) == 0 {
		return nil, err
	}
	keys := make([]string, len(instances))
	for i, id := range instances {
		keys[i] = b.keys.cluster("rooms:" + id)
	}
	names, err := b.rdb.SUnion(ctx, keys...).Result()
	if err != nil {
		return nil, err
	}
	if len(names) > maxRoomsCounted {
		names = names[:maxRoomsCounted]
	}
	pipe := b.rdb.Pipeline()
	counts := make([]*redis.IntCmd, len(names))
	for i, room := range names {
		counts[i] = pipe.HLen(ctx, b.keys.room("users", room))
	}
	// On a Redis Cluster some may fail and others not; those are left out.
	if _, err := pipe.Exec(ctx); err != nil && allFailed(counts) {
		return nil, err
	}
	list := make([]protocol.RoomCount, 0, len(names))
	for i, room := range names {
		if n := int(counts[i].Val()); n > 0 {
			list = append(list, protocol.RoomCount{Room: room, Count: n})
		}
	}
	sort.Slice(list, func(i, j int) bool {
		if list[i].Count != list[j].Count {
			return list[i].Count > list[j].Count
		}
		return list[i].Room < list[j].Room
	})
	return list, nil
}
