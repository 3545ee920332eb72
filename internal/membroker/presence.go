package membroker

import (
	"context"
	"maps"

	"example.com/chat/internal/protocol"
)

// attendance lists the users in a room: names by user and instance, as redisbroker keeps
// them.
type attendance struct {
	users map[string]map[string]string
}

// Instance returns the node's present identity (room.Presence).
func (n *Node) Instance() string {
	n.store.mu.Lock()
	defer n.store.mu.Unlock()
	return n.instance
}

// Here writes which of the node's users are in the room (room.Presence).
func (n *Node) Here(ctx context.Context, instance, name string, changes []protocol.Change) (int, error) {
	if err := n.enter(ctx); err != nil {
		return 0, err
	}
	defer n.store.mu.Unlock()
	s := n.store
	a := s.attendanceLocked(name)
	var d protocol.PresenceDelta
	for _, c := range changes {
		if !c.Here {
			a.leave(c.User.ID, instance, &d)
			continue
		}
		at := a.users[c.User.ID]
		if at == nil {
			at = make(map[string]string)
			a.users[c.User.ID] = at
			d.Joined = append(d.Joined, c.User)
		}
		at[instance] = c.User.Name
	}
	return s.presenceLocked(name, a, d), nil
}

// Vacate removes all that the instance wrote about the rooms (room.Presence).
func (n *Node) Vacate(ctx context.Context, instance string, rooms ...string) error {
	if err := n.enter(ctx); err != nil {
		return err
	}
	defer n.store.mu.Unlock()
	for _, name := range rooms {
		n.store.vacateLocked(instance, name)
	}
	return nil
}

// Present returns the users in the room (room.Presence).
func (n *Node) Present(ctx context.Context, name string) ([]protocol.User, error) {
	if err := n.enter(ctx); err != nil {
		return nil, err
	}
	defer n.store.mu.Unlock()
	a := n.store.attendanceLocked(name)
	list := make([]protocol.User, 0, len(a.users))
	for id, at := range a.users {
		for name := range maps.Values(at) {
			list = append(list, protocol.User{ID: id, Name: name})
			break
		}
	}
	return list, nil
}

func (s *Store) attendanceLocked(name string) *attendance {
	a := s.rooms[name]
	if a == nil {
		a = &attendance{users: make(map[string]map[string]string)}
		s.rooms[name] = a
	}
	return a
}

// leave removes a user of an instance, and adds it to the delta if that was the user's
// last instance.
func (a *attendance) leave(user, instance string, d *protocol.PresenceDelta) {
	at := a.users[user]
	name, was := at[instance]
	if !was {
		return
	}
	delete(at, instance)
	if len(at) == 0 {
		delete(a.users, user)
		d.Left = append(d.Left, protocol.User{ID: user, Name: name})
	}
}

func (s *Store) vacateLocked(instance, name string) {
	a := s.attendanceLocked(name)
	var d protocol.PresenceDelta
	for user := range a.users {
		a.leave(user, instance, &d)
	}
	s.presenceLocked(name, a, d)
}

// presenceLocked publishes a change, and returns how many users are in the room.
func (s *Store) presenceLocked(name string, a *attendance, d protocol.PresenceDelta) int {
	d.Count = len(a.users)
	if len(d.Joined)+len(d.Left) > 0 {
		s.publishLocked(event{kind: eventPresence, room: name, delta: d})
	}
	if len(a.users) == 0 {
		delete(s.rooms, name)
	}
	return d.Count
}
