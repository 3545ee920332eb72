package room

import (
	"maps"
	"slices"
	"sync"
)

// present knows the rooms of each user, of this node or of another, as far as the node
// follows them. So a rename costs a node by the rooms of the user.
type present struct {
	mu     sync.Mutex // guards the field below; taken after a room's
	byUser map[string]roomSet
}

// roomSet is a set of rooms, which most users have few of: few holds them until they are
// more than fewRooms, then many.
type roomSet struct {
	few  []*room
	many map[*room]struct{}
}

const fewRooms = 32

// set notes that a user came into a room, or left it.
func (p *present) set(user string, r *room, in bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.byUser[user]
	if in {
		s.add(r)
	} else {
		s.remove(r)
	}
	if len(s.few)+len(s.many) == 0 {
		delete(p.byUser, user)
	} else {
		p.byUser[user] = s
	}
}

// rooms returns the rooms of a user.
func (p *present) rooms(user string) []*room {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.byUser[user]
	return slices.AppendSeq(slices.Clone(s.few), maps.Keys(s.many))
}

func (s *roomSet) add(r *room) {
	if s.many == nil && len(s.few) < fewRooms {
		s.few = append(s.few, r)
		return
	}
	if s.many == nil {
		s.many = make(map[*room]struct{})
		for _, r := range s.few {
			s.many[r] = struct{}{}
		}
		s.few = nil
	}
	s.many[r] = struct{}{}
}

func (s *roomSet) remove(r *room) {
	delete(s.many, r)
	s.few = slices.DeleteFunc(s.few, func(of *room) bool { return of == r })
}
