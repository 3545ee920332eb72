package redisbroker

import (
	"context"
	"strconv"
	"sync"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/protocol"
)

// Each append adds a record to the stream "moved" of its partition: the room's name. So a
// node learns by one read of each partition which of its rooms
// got entries since it looked last, however many rooms it follows. The stream holds the
// newest records alone. A node whose last record is not in it any more checks all its
// rooms of the partition: the stream was trimmed, or Redis has lost its end, or all.
//
// Logs that are deleted by hand, or evicted by Redis, leave no record: so the existence of
// all logs is checked too. All other changes by hand are found by the check of each
// partition in turn.

const (
	// movesRead bounds the records that are read of a partition at once. The stream holds
	// some 300.
	movesRead = 1000
	// checkTurns is after how many calls of Moved each room has been checked.
	checkTurns = 20
)

// unknownMove is the position in a stream that was not read yet, and emptyMoves that in an
// empty one.
const (
	unknownMove = ""
	emptyMoves  = "0-0"
)

// moves are the positions in the partitions' streams of appends.
type moves struct {
	mu   sync.Mutex        // guards the fields below
	last map[string]string // by hash tag: the newest record that was read
	turn int
}

// partMoves are the rooms of one partition, and the reads of what moved there.
type partMoves struct {
	tag    string
	rooms  []protocol.RoomHead
	last   string // the position before the read
	moved  *redis.XMessageSliceCmd
	logs   int           // of the rooms that have one
	exists *redis.IntCmd // how many of these are still there
}

// Moved returns those of the rooms whose newest entry may be another than the given head
// (room.Log). It reads each partition that has rooms once.
func (b *Log) Moved(ctx context.Context, rooms []protocol.RoomHead) ([]string, error) {
	parts := byPartition(rooms)
	turn := b.moves.begin(parts)
	pipe := b.rdb.Pipeline()
	reads := make([]redis.Cmder, 0, 2*len(parts))
	for _, p := range parts {
		p.read(ctx, pipe, b.keys)
		reads = append(reads, p.moved, p.exists)
	}
	// A part of a Redis Cluster may be away: that affects its partitions only.
	if _, err := pipe.Exec(ctx); err != nil && allFailed(reads) && !redis.HasErrorPrefix(err, "WRONGTYPE") {
		return nil, err
	}
	var names []string
	for _, p := range parts {
		list, all, last := p.result()
		if n, err := strconv.Atoi(p.tag); err != nil || n%checkTurns == turn {
			all = true
		}
		if all {
			list = list[:0]
			for _, r := range p.rooms {
				list = append(list, r.Room)
			}
		}
		names = append(names, list...)
		b.moves.read(p.tag, last)
	}
	return names, nil
}

// byPartition groups rooms by their partition.
func byPartition(rooms []protocol.RoomHead) []*partMoves {
	byTag := make(map[string]*partMoves)
	for _, r := range rooms {
		tag := partition(r.Room)
		p := byTag[tag]
		if p == nil {
			p = &partMoves{tag: tag}
			byTag[tag] = p
		}
		p.rooms = append(p.rooms, r)
	}
	parts := make([]*partMoves, 0, len(byTag))
	for _, p := range byTag {
		parts = append(parts, p)
	}
	return parts
}

// begin sets the positions from which the partitions are read, and returns which of
// checkTurns this is. Positions in partitions without rooms are forgotten.
func (m *moves) begin(parts []*partMoves) (turn int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := make(map[string]string, len(parts))
	for _, p := range parts {
		p.last = m.last[p.tag]
		last[p.tag] = p.last
	}
	m.last = last
	m.turn = (m.turn + 1) % checkTurns
	return m.turn
}

// read notes the position up to which a partition was read.
func (m *moves) read(tag, last string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last[tag] = last
}

// read queues the reads of a partition.
func (p *partMoves) read(ctx context.Context, pipe redis.Pipeliner, keys keyspace) {
	if p.last == unknownMove {
		p.moved = pipe.XRevRangeN(ctx, keys.moved(p.tag), "+", "-", 1)
	} else {
		p.moved = pipe.XRangeN(ctx, keys.moved(p.tag), p.last, "+", movesRead)
	}
	logs := make([]string, 0, len(p.rooms))
	prefix := keys.tagged(p.tag, "log:")
	for _, r := range p.rooms {
		if !r.Head.IsZero() {
			logs = append(logs, prefix+r.Room)
		}
	}
	p.logs = len(logs)
	if p.logs == 0 {
		logs = []string{keys.moved(p.tag)} // EXISTS needs a key
	}
	p.exists = pipe.Exists(ctx, logs...)
}

// result returns the rooms that have moved, whether all rooms have to be checked, and the
// position up to which the partition was read. It needs no lock.
func (p *partMoves) result() (names []string, all bool, last string) {
	if p.moved.Err() != nil || p.exists.Err() != nil {
		return nil, true, unknownMove
	}
	gone := p.logs > 0 && p.exists.Val() != int64(p.logs)
	list := p.moved.Val()
	last = emptyMoves
	if len(list) > 0 {
		last = list[len(list)-1].ID
	}
	switch {
	case p.last == unknownMove, gone:
		return nil, true, last
	case len(list) == 0 && p.last == emptyMoves:
		return nil, false, last
	case len(list) == 0, list[0].ID != p.last:
		return nil, true, last // trimmed, or another stream
	case len(list) == movesRead:
		return nil, true, unknownMove
	}
	return p.among(list[1:]), false, last
}

// among returns the rooms that the records name.
func (p *partMoves) among(list []redis.XMessage) (names []string) {
	if len(list) == 0 {
		return nil
	}
	given := make(map[string]bool, len(p.rooms))
	for _, r := range p.rooms {
		given[r.Room] = true
	}
	for _, m := range list {
		if name, _ := m.Values["room"].(string); given[name] {
			given[name] = false // once
			names = append(names, name)
		}
	}
	return names
}
