package session

import (
	"context"
	"slices"
	"sync"

	"example.com/chat/internal/protocol"
)

// joinsAtOnce bounds the rooms of one hello that are joined concurrently: each join
// may wait for a read of a log.
const joinsAtOnce = 8

// JoinAll joins the rooms that a hello names. Each costs as much as a join command, and
// gets joined or error as its reply, without a ref. It returns when
// all are answered, after callTimeout at the latest, so that the client's next
// command finds them joined. Only the connection's reader calls it.
func (s *Session) JoinAll(list []protocol.Joining) {
	if len(list) == 0 || s.user == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	var all sync.WaitGroup
	tickets := make(chan struct{}, joinsAtOnce)
	failed := make([]bool, len(list))
	for i, j := range list {
		c := protocol.Command{Type: protocol.Join, Room: j.Room, After: j.After}
		if err := s.admitJoin(j); err != nil {
			s.refuse(c, err)
			if s.abusive {
				break
			}
			continue
		}
		if s.joined(c.Room) {
			continue // the same room in another case: it is answered once
		}
		s.rooms = append(s.rooms, c.Room)
		tickets <- struct{}{} // released when the join ends, with ctx at the latest
		all.Go(func() {
			defer func() { <-tickets }()
			err := s.node.Hub.Join(ctx, s, s.user, c.Room, c.After, func(e protocol.Event) { s.transport.Reply(c, e) })
			if err != nil {
				failed[i] = true
				s.refuse(c, err)
			}
		})
	}
	all.Wait()
	for i, j := range list {
		if failed[i] {
			s.rooms = slices.DeleteFunc(s.rooms, func(name string) bool { return name == j.Room })
		}
	}
}

// admitJoin charges a join to the user, and returns why it is refused; nil if the join
// may proceed.
func (s *Session) admitJoin(j protocol.Joining) *protocol.Error {
	if err := s.limit(protocol.Join); err != nil {
		return err
	}
	if j.Bad != nil {
		return j.Bad
	}
	return s.mayJoin(j.Room)
}
