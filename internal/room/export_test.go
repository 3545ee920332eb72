package room

import (
	"context"
	"reflect"
	"sync"
)

// The rest of this package, for tests that use a broker, which imports this package.

// ReadsOfOlder returns the reads of older entries and messages of a room that nobody
// follows. Each returns its error, and whether it has released the room's lock.
func ReadsOfOlder(h *Hub, name string) map[string]func(context.Context) (err error, unlocked bool) {
	r := newRoom(h, name, nil)
	of := func(read func(context.Context) (any, error)) func(context.Context) (error, bool) {
		return func(ctx context.Context) (error, bool) {
			_, err := read(ctx)
			if !r.mu.TryLock() {
				return err, false
			}
			r.mu.Unlock()
			return err, true
		}
	}
	return map[string]func(context.Context) (error, bool){"entries": of(r.answers.extend), "messages": of(r.answers.fill)}
}

// Locks returns the locks that are taken during deliveries to the user in a room.
func Locks(h *Hub, name string, u *User) map[string]*sync.Mutex {
	return map[string]*sync.Mutex{
		"room": &h.rooms.find(name).mu, "registry": &h.rooms.mu, "users": &h.users.mu, "user": &u.mu, "backlogs": &h.backlogs.mu,
	}
}

// Announce sends the changes of the room's users to its members now.
func Announce(h *Hub, name string) { h.rooms.find(name).here.announce() }

// Crowded reports whether much waits for a member of the room.
func Crowded(h *Hub, name string) bool { return h.rooms.find(name).crowded() }

// Shared returns how many entries the room keeps for the backlogs of its members alone.
func Shared(h *Hub, name string) int {
	r := h.rooms.find(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	return reflect.ValueOf(r.log.memory).Elem().FieldByName("copy").Len()
}
