package redisbroker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Bounds and timings of the directory of rooms.
const (
	// roomsKept is how many rooms the directory holds: those that were active last.
	roomsKept = 100_000
	// noteEvery is how often a node writes which of its rooms were active.
	noteEvery = 300 * time.Millisecond
	// noteWithin bounds one write, and how long a room's first entry waits for it;
	// after one that failed, the next such wait is noteRetry later.
	noteWithin = 300 * time.Millisecond
	noteRetry  = time.Second
	// maxNotes is how many rooms are written in one call, and maxRemembered how many
	// rooms a node remembers to have written.
	maxNotes      = 1000
	maxRemembered = 50_000
)

// directory is what this node tells the directory of rooms, a sorted set in
// {cluster}. The rooms' logs lie in other slots, so no script can write both: a room
// is noted before this node's first entry in it, so that a node which dies between
// the two leaves at worst a room without a log, which is taken out when it is listed;
// later entries are noted some time after, in batches, and a node that dies leaves at
// worst an older time.
type directory struct {
	b *core

	mu       sync.Mutex       // guards the fields below
	known    map[string]bool  // rooms that are in the directory
	active   map[string]int64 // ms of their newest entries, to be written
	writing  bool             // a timer or a call will write active
	failedAt time.Time        // of the last write that failed
}

func newDirectory(b *core) *directory {
	return &directory{b: b, known: make(map[string]bool), active: make(map[string]int64)}
}

// enter notes a room before its first entry by this node. It waits for that at most
// for noteWithin: that the directory can't be written is no reason to refuse a
// message.
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

// note remembers that a room has an entry of the time ms, to be written soon.
func (d *directory) note(room string, ms int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, waits := d.active[room]; !waits && len(d.active) >= maxRemembered {
		return // it has been noted before, and is noted again with a later entry
	}
	d.active[room] = max(d.active[room], ms)
	if !d.writing {
		d.writing = true
		time.AfterFunc(noteEvery, d.flush) // one call at a time; ends when nothing waits
	}
}

// found is note for a room that was seen to have entries, unless this node knows it
// to be in the directory.
func (d *directory) found(room string, ms int64) {
	d.mu.Lock()
	known := d.known[room]
	d.mu.Unlock()
	if !known {
		d.note(room, ms)
	}
}

// forget takes nothing for noted any more: Redis may have lost it.
func (d *directory) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.known)
}

// flush writes one batch of what waits, and comes again if more does.
func (d *directory) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), noteWithin)
	defer cancel()
	err := d.flushNow(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.writing = len(d.active) > 0 && !errors.Is(err, redis.ErrClosed); d.writing {
		time.AfterFunc(noteEvery, d.flush)
	}
}

func (d *directory) flushNow(ctx context.Context) error {
	d.mu.Lock()
	batch := make(map[string]int64, min(len(d.active), maxNotes))
	var rooms []string
	var args []any
	for room, ms := range d.active {
		if len(batch) == maxNotes {
			break
		}
		batch[room] = ms
		rooms = append(rooms, room)
		args = append(args, room, "+", ms)
		delete(d.active, room)
	}
	d.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	err := d.write(ctx, args...)
	d.wrote(rooms, err)
	if err == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for room, ms := range batch {
		d.active[room] = max(d.active[room], ms)
	}
	return err
}

// wrote takes note of what became of a write.
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

// drop takes rooms out that have no log any more and were last active at the times
// given.
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
	keys := []string{d.b.keys.cluster("directory"), d.b.keys.nothing(mainTag)}
	return d.b.run(ctx, roomsScript, keys, append([]any{roomsKept}, args...)...).Err()
}
