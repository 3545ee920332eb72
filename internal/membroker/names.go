package membroker

import (
	"context"
	"slices"

	"example.com/chat/internal/protocol"
)

// namesKept is how many users who are offline have their names remembered: a token may
// hold an older name.
const namesKept = 100_000

// names holds the display names in use.
type names struct {
	users map[string]*holder // by the users' ids
	kept  []string           // the users that no instance holds any more, oldest first
}

// holder is a user and the user's name.
type holder struct {
	name string
	at   []string // the instances to which the user is connected
}

func newNames() names { return names{users: make(map[string]*holder)} }

// Claim registers the user at the node, and returns its name (room.Names).
func (n *Node) Claim(ctx context.Context, c protocol.NameClaim) (string, error) {
	return n.claim(ctx, c, false, "")
}

// Rename gives the user another name, and publishes it (room.Names).
func (n *Node) Rename(ctx context.Context, c protocol.NameClaim, mark string) (string, error) {
	return n.claim(ctx, c, true, mark)
}

func (n *Node) claim(ctx context.Context, c protocol.NameClaim, rename bool, mark string) (string, error) {
	if err := n.enter(ctx); err != nil {
		return "", err
	}
	defer n.store.mu.Unlock()
	s, list := n.store, &n.store.names
	h := list.users[c.User]
	name := c.Name
	if c.Keep && !rename && h != nil {
		name = h.name
	}
	folded := protocol.FoldName(name)
	for id, other := range list.users {
		if id != c.User && !c.Shared && len(other.at) > 0 && protocol.FoldName(other.name) == folded {
			return "", protocol.ErrNameTaken
		}
	}
	// A name that is only remembered for another user is free.
	for id, other := range list.users {
		if id != c.User && len(other.at) == 0 && protocol.FoldName(other.name) == folded {
			list.forget(id)
		}
	}
	was := name
	if h == nil {
		h = &holder{}
		list.users[c.User] = h
	} else if len(h.at) > 0 {
		was = h.name
	}
	h.name = name
	if !slices.Contains(h.at, n.instance) {
		h.at = append(h.at, n.instance)
	}
	list.kept = slices.DeleteFunc(list.kept, func(id string) bool { return id == c.User })
	if rename || was != name {
		s.publishLocked(event{kind: eventRename, mark: mark, user: protocol.User{ID: c.User, Name: name}})
	}
	return name, nil
}

// Release ends Claim (room.Names). It calls done from a goroutine of its own.
func (n *Node) Release(user string, keep bool, done func(error)) {
	n.store.mu.Lock()
	defer n.store.mu.Unlock()
	n.store.names.release(user, n.instance, keep)
	go done(nil) // ends with done
}

func (l *names) release(user, instance string, keep bool) {
	h := l.users[user]
	if h == nil {
		return
	}
	h.at = slices.DeleteFunc(h.at, func(id string) bool { return id == instance })
	if len(h.at) > 0 {
		return
	}
	if !keep {
		l.forget(user)
		return
	}
	l.kept = append(l.kept, user)
	if len(l.kept) > namesKept {
		l.forget(l.kept[0])
	}
}

// releaseAll ends all claims of an instance. Their names are remembered.
func (l *names) releaseAll(instance string) {
	for user, h := range l.users {
		if slices.Contains(h.at, instance) {
			l.release(user, instance, true)
		}
	}
}

func (l *names) forget(user string) {
	delete(l.users, user)
	l.kept = slices.DeleteFunc(l.kept, func(id string) bool { return id == user })
}
