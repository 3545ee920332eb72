package redisbroker

import (
	"hash/fnv"
	"strconv"
	"strings"
)

// partitions is the number of hash tags of rooms. After a change, existing logs would not be
// found.
const partitions = 256

// keyspace makes the names of all keys and channels. Rooms' names are validated before
// (protocol.Room), so none can contain a part of another key.
//
// Pub/Sub ignores the number of the database
// (https://redis.io/docs/latest/develop/interact/pubsub/), so each channel
// contains it: two chats of one namespace in two databases receive nothing of each other.
type keyspace struct {
	prefix   string
	database int
}

// room returns the name of a room's key of one kind. The partition is the hash tag, so all
// keys of a room are in one slot (Redis Cluster specification, "hash tags").
func (k keyspace) room(kind, room string) string { return k.tagged(partition(room), kind+":"+room) }

// partition returns the hash tag of a room's keys and channel.
func partition(room string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(room)) // never fails
	return strconv.Itoa(int(h.Sum32() % partitions))
}

// tagged returns the name of a key or channel with a hash tag.
func (k keyspace) tagged(tag, name string) string { return k.prefix + ":{" + tag + "}:" + name }

// LogKey returns the Redis key of a room's log (a stream), for tools and tests that read it
// from outside.
func LogKey(namespace, room string) string { return keyspace{prefix: namespace}.room("log", room) }

// LiveChannel returns the Redis channel of a room, for tools and tests that subscribe or
// publish from outside.
func LiveChannel(namespace string, database int, room string) string {
	return keyspace{namespace, database}.live(room)
}

// ChangesKey returns the Redis key of the stream of a room's edits, deletions and reactions,
// for tools and tests.
func ChangesKey(namespace, room string) string {
	return keyspace{prefix: namespace}.room("changes", room)
}

// log returns the keys of a room's log as the scripts take them (scripts/room.lua).
func (k keyspace) log(room string) []string {
	return []string{k.room("log", room), k.room("changes", room), k.room("gone", room), k.room("stand", room)}
}

// moved returns the key of the newest appends of a partition (moved.go).
func (k keyspace) moved(tag string) string { return k.tagged(tag, "moved") }

// mainTag is the hash tag of all keys that are not of one room.
const mainTag = "cluster"

// cluster returns the name of a key that is not of one room.
func (k keyspace) cluster(name string) string { return k.tagged(mainTag, name) }

// channel returns the name of a channel with a hash tag.
func (k keyspace) channel(tag, name string) string {
	return k.tagged(tag, strconv.Itoa(k.database)+":"+name)
}

// nothing returns a key that never exists, with a hash tag. By a write to it that changes
// nothing, scripts check whether Redis is full.
func (k keyspace) nothing(tag string) string { return k.tagged(tag, "nothing") }

// live returns the live channel of a room.
func (k keyspace) live(room string) string { return k.channel(partition(room), "live:"+room) }

// news returns the channel of the whole cluster.
func (k keyspace) news() string { return k.channel(mainTag, "news") }

// probe returns the channel of a node's own probes through the subscription of a hash
// tag. It is the same for all instances of the node.
func (k keyspace) probe(tag, node string) string { return k.channel(tag, "probe:"+node) }

// tagOf returns the hash tag of a channel of this keyspace.
func (k keyspace) tagOf(channel string) string {
	tag, _, _ := strings.Cut(strings.TrimPrefix(channel, k.prefix+":{"), "}")
	return tag
}

// liveRoom returns the room of a live channel; ok is false for other channels.
func (k keyspace) liveRoom(channel string) (room string, ok bool) {
	rest, ok := strings.CutPrefix(channel, k.prefix+":{")
	if !ok {
		return "", false
	}
	_, rest, _ = strings.Cut(rest, "}:")
	return strings.CutPrefix(rest, strconv.Itoa(k.database)+":live:")
}
