package redisbroker

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Bounds and timings of the directory of rooms.
const (
	// roomsKept is how many rooms without users the directory holds: those with the newest
	// entries.
	roomsKept = 100_000
	// noteEvery is how often a node writes to the directory.
	noteEvery = 300 * time.Millisecond
	// noteWithin bounds one write and its confirmation, and how long a room's first entry
	// waits. After a write that failed, the next such wait is noteRetry later.
	noteWithin = 300 * time.Millisecond
	noteRetry  = time.Second
	// maxNotes is how many rooms are written in one call.
	maxNotes = 500
	// maxRemembered is how many rooms a node remembers to have written, and how many of
	// each kind of note wait.
	maxRemembered = 50_000
)

// directory writes to the directory of rooms, which is in the slot of {cluster}: which
// rooms have entries, when they had the newest one, and how many users each has. The rooms
// themselves are in other slots, so no script can write both.
//
// A room is written before this node's first entry in it. So a node that dies between the
// two leaves at worst a room without a log, which is removed when it is listed. Later
// entries are written in batches; a node that dies leaves at worst an older time.
//
// The number of a room's users is written after each change of its presence. Notes of two
// nodes may overtake each other, so each node reads the number again after it has written
// one, and writes it again if it differs. So the last write of all is always confirmed. If a
// node dies before it has written a number, the node that removes its users writes one.
type directory struct {
	b *core

	mu       sync.Mutex       // guards the fields below
	known    map[string]bool  // rooms that are in the directory
	active   map[string]int64 // ms of their newest entries, to be written
	users    map[string]int   // how many users rooms have, to be written
	timed    bool             // a timer will write these, or a call of its flush is running
	failedAt time.Time        // of the last write that failed
}

func newDirectory(b *core) *directory {
	return &directory{b: b, known: make(map[string]bool), active: make(map[string]int64), users: make(map[string]int)}
}

// enter writes a room before its first entry by this node. It waits for that at most
// noteWithin: a message is not refused because the directory can't be written.
func (d *directory) enter(ctx context.Context, room string) {
	d.mu.Lock()
	skip := d.known[room] || time.Since(d.failedAt) < noteRetry
	d.mu.Unlock()
	if skip {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, noteWithin)
	defer cancel()
	d.wrote([]string{room}, d.write(ctx, room, "+", 0))
}

// entry notes that a room has an entry of the time ms, to be written soon.
func (d *directory) entry(room string, ms int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, waits := d.active[room]; !waits && len(d.active) >= maxRemembered {
		return // it was noted before, and is noted again with a later entry
	}
	d.active[room] = max(d.active[room], ms)
	d.scheduleLocked()
}

// found notes a room that has entries, unless this node knows that it is in the directory.
func (d *directory) found(room string, ms int64) {
	d.mu.Lock()
	known := d.known[room]
	d.mu.Unlock()
	if !known {
		d.entry(room, ms)
	}
}

// present notes how many users a room has now, to be written soon. Beyond maxRemembered
// rooms the number is lost, and written with the room's next change.
func (d *directory) present(room string, users int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, waits := d.users[room]; !waits && len(d.users) >= maxRemembered {
		return
	}
	d.users[room] = users
	d.scheduleLocked()
}

func (d *directory) scheduleLocked() {
	if !d.timed {
		d.timed = true
		time.AfterFunc(noteEvery, d.flush) // one at a time; ends when nothing waits
	}
}

// forget removes all knowledge of what is in the directory: Redis may have lost it.
func (d *directory) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.known)
}

// flush writes the notes that wait, and schedules another flush for those that came
// meanwhile or could not be written.
func (d *directory) flush() {
	err := d.flushNow(context.Background()) // each write has its own deadline
	d.mu.Lock()
	defer d.mu.Unlock()
	d.timed = false
	if len(d.active)+len(d.users) > 0 && !errors.Is(err, redis.ErrClosed) {
		d.scheduleLocked()
	}
}

// flushNow writes the notes that wait, in batches. Those that it can't write wait on.
func (d *directory) flushNow(ctx context.Context) error {
	for range maxRemembered / maxNotes {
		n := d.batch()
		if len(n.args) == 0 {
			return nil
		}
		if err := d.writeNotes(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (d *directory) writeNotes(ctx context.Context, n notes) error {
	ctx, cancel := context.WithTimeout(ctx, noteWithin)
	defer cancel()
	err := d.write(ctx, n.args...)
	d.wrote(n.rooms, err)
	if err != nil {
		d.again(n)
		return err
	}
	d.confirm(ctx, n.users)
	return nil
}

// notes is one batch of notes.
type notes struct {
	rooms  []string // of active
	active map[string]int64
	users  map[string]int
	args   []any // of scripts/rooms.lua
}

// batch removes up to maxNotes notes of those that wait.
func (d *directory) batch() notes {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := notes{active: make(map[string]int64), users: make(map[string]int)}
	for room, users := range d.users {
		if len(n.users) == maxNotes {
			break
		}
		n.users[room] = users
		n.args = append(n.args, room, "u", users)
		delete(d.users, room)
	}
	for room, ms := range d.active {
		if len(n.users)+len(n.active) >= maxNotes {
			break
		}
		n.active[room] = ms
		n.rooms = append(n.rooms, room)
		n.args = append(n.args, room, "+", ms)
		delete(d.active, room)
	}
	return n
}

// again puts notes back that could not be written, unless there are newer ones.
func (d *directory) again(n notes) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for room, ms := range n.active {
		d.active[room] = max(d.active[room], ms)
	}
	for room, users := range n.users {
		if _, newer := d.users[room]; !newer {
			d.users[room] = users
		}
	}
}

// confirm reads the numbers of users that were just written, and notes those that differ.
func (d *directory) confirm(ctx context.Context, written map[string]int) {
	if len(written) == 0 {
		return
	}
	pipe := d.b.rdb.Pipeline()
	lengths := make(map[string]*redis.IntCmd, len(written))
	for room := range written {
		lengths[room] = pipe.HLen(ctx, d.b.keys.room("users", room))
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for room, users := range written {
		n, err := lengths[room].Result()
		if err == nil && int(n) == users {
			continue
		}
		if err == nil {
			users = int(n)
		} else if kinds[kind(err)].effect == ownRoom {
			continue // its key has another type: there are no users
		}
		d.mu.Lock()
		if _, newer := d.users[room]; !newer {
			d.users[room] = users
		}
		d.mu.Unlock()
	}
}

// wrote records the result of a write.
func (d *directory) wrote(rooms []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.failedAt = time.Now()
		return
	}
	if len(d.known)+len(rooms) > maxRemembered {
		clear(d.known)
	}
	for _, room := range rooms {
		d.known[room] = true
	}
}

// drop removes rooms without a log whose newest entries were of the given times.
func (d *directory) drop(ctx context.Context, gone map[string]int64) error {
	args := make([]any, 0, 3*len(gone))
	d.mu.Lock()
	for room, ms := range gone {
		args = append(args, room, "-", ms)
		delete(d.known, room)
	}
	d.mu.Unlock()
	if len(args) == 0 {
		return nil
	}
	return d.write(ctx, args...)
}

func (d *directory) write(ctx context.Context, args ...any) error {
	return d.b.run(ctx, roomsScript, d.keys(), append([]any{strconv.Itoa(roomsKept)}, args...)...).Err()
}

// keys returns the keys of scripts/rooms.lua.
func (d *directory) keys() []string {
	return []string{d.b.keys.cluster("directory"), d.b.keys.cluster("busy"), d.b.keys.cluster("last"), d.b.keys.nothing(mainTag)}
}
