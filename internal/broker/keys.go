package broker

import (
	"hash/fnv"
	"strconv"
	"strings"
)

// partitions is how many hash tags the rooms are spread over; a change would
// make every log already written unfindable.
const partitions = 256

// keyspace makes the names of all keys and channels. Rooms' names are checked
// before they come here (protocol.Room), so they can't break out of theirs.
type keyspace struct{ prefix string }

// room returns the name of a room's key or channel of one kind: the partition
// is the hash tag, so all of one room lie in one slot (Redis Cluster
// specification, "hash tags").
func (k keyspace) room(kind, room string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(room))
	return k.prefix + ":{" + strconv.Itoa(int(h.Sum32()%partitions)) + "}:" + kind + ":" + room
}

// LogKey is the Redis key of a room's log (a stream), for tools and tests that
// look at it from outside.
func LogKey(namespace, room string) string { return keyspace{namespace}.room("log", room) }

// cluster returns the name of a key or channel that is not of one room.
func (k keyspace) cluster(name string) string { return k.prefix + ":{cluster}:" + name }

// liveRoom tells which room a live channel is of; ok is false for others.
func (k keyspace) liveRoom(channel string) (room string, ok bool) {
	rest, ok := strings.CutPrefix(channel, k.prefix+":{")
	if !ok {
		return "", false
	}
	_, room, ok = strings.Cut(rest, "}:live:")
	return room, ok
}
