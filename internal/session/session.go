// Package session executes the commands of one connection, independent of its
// transport: identity, permissions, rate limits and answers.
package session

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"example.com/chat/internal/identity"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/ratelimit"
	"example.com/chat/internal/room"
)

// Transport is one connection, as a session sees it. Its methods are safe for concurrent
// use and do not block; after the connection's end they do nothing.
type Transport interface {
	// Deliver queues an event.
	Deliver(*room.Broadcast)
	// Reply queues the reply to a command; c is the command as the transport passed it
	// to the session, with its Ref and Via.
	Reply(c protocol.Command, e protocol.Event)
	// Close closes the connection with a code of the protocol, after what is queued.
	Close(code int, reason string)
	// Pending returns how many bytes wait for the client.
	Pending() int
}

// Cluster provides what sessions need to know about other nodes and about all rooms. Its
// methods are safe for concurrent use.
type Cluster interface {
	// NodesFor returns the live nodes, this one first, with the URLs for a client that
	// reached this node by the given origin ("http://host:port").
	NodesFor(origin string) []protocol.Node
	// Status returns the status event for a client that reached this node by the given
	// origin while the node is without Redis.
	Status(origin string) protocol.Event
	// Rooms returns a page of the rooms that have users online or entries; after is the
	// next of the page before. A *protocol.Error is the client's fault.
	Rooms(ctx context.Context, after string) (protocol.RoomPage, error)
	// RoomsOf does the same for a list that consists of the named rooms alone. The page,
	// with its next, depends on no other room.
	RoomsOf(ctx context.Context, names []string, after string) (protocol.RoomPage, error)
}

// Node is what the sessions of one node share.
type Node struct {
	ID      string
	Hub     *room.Hub
	Cluster Cluster
	Limits  protocol.Limits
	// Secret signs guests' tokens.
	Secret []byte
	// JWT verifies the auth of hello; nil if the node demands no JWT.
	JWT *identity.Verifier
	Log *slog.Logger

	marks          atomic.Int64 // numbers the marks of renames
	limited, abuse atomic.Int64 // see Stats
}

// Stats are the counts of a Node since its start.
type Stats struct {
	// Limited counts commands that were refused with rate_limited, Abuse connections
	// that were closed for ignoring that (4009).
	Limited, Abuse int64
}

// ListRooms returns a page of the list of rooms as a user sees it: of the rooms that the
// claims allow (see [identity.Claims.MayEnter]), which are nil for a user without a JWT.
// after is the next of the page before. A *protocol.Error is the client's fault.
func (n *Node) ListRooms(ctx context.Context, claims *identity.Claims, after string) (protocol.RoomPage, error) {
	if claims == nil || claims.Rooms == nil {
		return n.Cluster.Rooms(ctx, after)
	}
	return n.Cluster.RoomsOf(ctx, claims.Rooms, after)
}

// Stats returns the counts so far.
func (n *Node) Stats() Stats { return Stats{Limited: n.limited.Load(), Abuse: n.abuse.Load()} }

// Timings and bounds of one session.
const (
	// HelloTimeout is how long a connection may take to send hello, and to send
	// another after a refusal.
	HelloTimeout = 5 * time.Second
	// MaxRefusals is how many commands may be refused before hello succeeds.
	MaxRefusals = 20
	// callTimeout bounds how long one command waits for Redis.
	callTimeout = 4 * time.Second
)

// Session executes the commands of one connection. Only the connection's reader calls
// Command and End.
type Session struct {
	member
	node *Node

	user     *room.User // nil before hello
	claims   *identity.Claims
	rooms    []string // joined
	refusals int      // before hello
	strikes  ratelimit.Strikes
	abusive  bool        // it ignored too many refusals
	deadline *time.Timer // for hello; nil after it
	expiry   *time.Timer // of the JWT; nil if it does not expire
	slot     Slot        // of the handshake, until the welcome

	sends sendWindow
}

// Slot is the handshake slot that a connection holds until its welcome
// (admission.Slot). Its methods do not block.
type Slot interface {
	// Activate protects the slot from eviction: the client has sent hello.
	Activate()
	// Deactivate ends that protection: the hello was refused.
	Deactivate()
	// Release gives the slot back. Only the first call counts.
	Release()
}

// noSlot is the slot of connections that are not counted.
type noSlot struct{}

// Activate does nothing (Slot).
func (noSlot) Activate() {}

// Deactivate does nothing (Slot).
func (noSlot) Deactivate() {}

// Release does nothing (Slot).
func (noSlot) Release() {}

// New begins a session. The client reached this node by origin, as
// "http://host:port". slot is the connection's handshake slot, which the session
// releases; nil if handshakes are not counted.
func New(node *Node, transport Transport, origin string, slot Slot) *Session {
	if slot == nil {
		slot = noSlot{}
	}
	s := &Session{member: member{transport: transport, origin: origin}, node: node, slot: slot, strikes: ratelimit.NewStrikes(node.Limits)}
	s.deadline = time.AfterFunc(HelloTimeout, s.late)
	return s
}

// late closes a connection whose hello did not arrive in time.
func (s *Session) late() { s.transport.Close(protocol.CloseNoHello, "no hello in time") }

// End leaves the connection's rooms. No command may follow.
func (s *Session) End() {
	if s.deadline != nil {
		s.deadline.Stop()
	}
	if s.expiry != nil {
		s.expiry.Stop()
	}
	s.slot.Release()
	if s.user == nil {
		return
	}
	for _, name := range s.rooms {
		s.node.Hub.Leave(s, name)
	}
	s.node.Hub.Exit(s)
}

// Command executes the command of one frame, or replies with the error of its decoding.
func (s *Session) Command(c protocol.Command, bad *protocol.Error) {
	if err := s.limit(c.Type); err != nil {
		s.refuse(c, err)
		return
	}
	if bad != nil {
		s.refuse(c, bad)
		return
	}
	if s.user == nil && c.Type != protocol.Hello {
		s.refuse(c, protocol.Errorf(protocol.CodeHelloFirst, "send hello first"))
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if err := s.dispatch(ctx, c); err != nil {
		s.refuse(c, err)
	}
}

// Hello executes the hello that is part of a transport's own handshake. The transport
// sends the error to the client, after which the session must not be used; without an
// error it calls JoinAll for the rooms that the hello names.
func (s *Session) Hello(c protocol.Command, bad *protocol.Error) *protocol.Error {
	err := bad
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		err = s.hello(ctx, c)
	}
	if err != nil {
		s.deadline.Stop() // the transport's handshake has one of its own
	}
	return err
}

// refuse replies with an error that repeats the command's room and key.
func (s *Session) refuse(c protocol.Command, err *protocol.Error) {
	named := *err
	named.Room, named.Key = c.Room, c.Key
	s.transport.Reply(c, named.Event())
	if s.user == nil {
		s.refusals++
		if err.Code == protocol.CodeUnauthorized && s.node.JWT != nil {
			s.transport.Close(protocol.CloseNoHello, "auth refused")
		}
		if s.refusals > MaxRefusals {
			s.transport.Close(protocol.CloseAbuse, "too many refused commands before hello")
		}
	}
}

// dispatch executes a command that passed the checks of Command.
func (s *Session) dispatch(ctx context.Context, c protocol.Command) *protocol.Error {
	switch c.Type {
	case protocol.Hello:
		if err := s.hello(ctx, c); err != nil {
			return err
		}
		s.JoinAll(c.Joins)
	case protocol.Join:
		return s.join(ctx, c)
	case protocol.Leave:
		return s.leave(c)
	case protocol.Send, protocol.Edit, protocol.Delete, protocol.React:
		return s.send(c)
	case protocol.History:
		return s.history(ctx, c)
	case protocol.Typing:
		if err := s.node.Hub.Typing(ctx, s, c.Room); err != nil {
			return err
		}
		if c.Via != nil { // the client waits for an acknowledgement, which is empty
			s.transport.Reply(c, protocol.Event{Name: protocol.Typing, Body: []byte("{}")})
		}
	case protocol.Rooms:
		page, err := s.node.ListRooms(ctx, s.claims, c.Page)
		var bad *protocol.Error
		if errors.As(err, &bad) {
			return bad
		}
		if err != nil {
			return protocol.ErrUnavailable
		}
		s.transport.Reply(c, page.Event())
	case protocol.Members:
		if !s.joined(c.Room) {
			return protocol.ErrNotJoined
		}
		members, count := s.node.Hub.Members(c.Room)
		s.transport.Reply(c, protocol.MemberList(c.Room, members, count))
	case protocol.Rename:
		return s.rename(ctx, c)
	case protocol.Moderate:
		return s.moderate(ctx, c)
	case protocol.Ping:
		s.transport.Reply(c, protocol.Pong())
	}
	return nil
}

// joined reports whether the connection has joined a room.
func (s *Session) joined(name string) bool { return slices.Contains(s.rooms, name) }

// join joins a room, and replies with its entries.
func (s *Session) join(ctx context.Context, c protocol.Command) *protocol.Error {
	known := s.joined(c.Room)
	if err := s.mayJoin(c.Room); err != nil {
		return err
	}
	err := s.node.Hub.Join(ctx, s, s.user, c.Room, c.After, func(e protocol.Event) {
		s.transport.Reply(c, e)
	})
	if err == nil && !known {
		s.rooms = append(s.rooms, c.Room)
	}
	return err
}

// mayJoin returns why the user may not join a room: one room too many, or a JWT that
// does not open it; nil if the user may.
func (s *Session) mayJoin(name string) *protocol.Error {
	if !s.joined(name) && len(s.rooms) >= s.node.Limits.Rooms {
		return protocol.Errorf(protocol.CodeTooManyRooms, "you are in %d rooms: leave one first", len(s.rooms))
	}
	if s.claims != nil && !s.claims.MayEnter(name) {
		return protocol.Errorf(protocol.CodeForbidden, "your token does not let you into this room")
	}
	return nil
}

// leave leaves a room.
func (s *Session) leave(c protocol.Command) *protocol.Error {
	i := slices.Index(s.rooms, c.Room)
	if i < 0 {
		return protocol.ErrNotJoined
	}
	s.rooms = slices.Delete(s.rooms, i, i+1)
	s.node.Hub.Leave(s, c.Room)
	s.transport.Reply(c, protocol.Left(c.Room))
	return nil
}

// send passes a message or change to its room, whose committer replies. It blocks while
// too many sends of the connection are in flight.
func (s *Session) send(c protocol.Command) *protocol.Error {
	s.node.Hub.TraceReceived(c.Key)
	if !s.joined(c.Room) {
		return protocol.ErrNotJoined
	}
	if c.Type == protocol.Send || c.Type == protocol.Edit {
		if err := protocol.Text(c.Text, s.node.Limits.Text); err != nil {
			return err
		}
	}
	draft := s.draft(c)
	s.sends.begin()
	s.node.Hub.Send(s, c.Room, s.moderator(), draft, func(r protocol.Receipt, err *protocol.Error) {
		defer s.sends.done()
		if err != nil {
			named := *err
			named.Room, named.Key = c.Room, c.Key
			s.transport.Reply(c, named.Event())
			return
		}
		s.transport.Reply(c, protocol.Sent(c.Room, c.Key, r.ID, r.Time, r.Duplicate))
	})
	return nil
}

// draft returns the entry that a command asks the room's log to append.
func (s *Session) draft(c protocol.Command) protocol.Draft {
	if c.Type == protocol.Send {
		return protocol.Message(s.user.Public(), c.Key, c.Text, s.node.ID)
	}
	return c.Change(s.user.Public(), s.node.ID, s.moderator())
}

// history replies with a page of a room's messages.
func (s *Session) history(ctx context.Context, c protocol.Command) *protocol.Error {
	if !s.joined(c.Room) {
		return protocol.ErrNotJoined
	}
	err := s.node.Hub.History(ctx, c.Room, c.Before, c.Limit, func(list []protocol.Entry, more bool) {
		short := protocol.NewestOf(list, protocol.MaxHistoryBytes)
		s.transport.Reply(c, protocol.Histories(c.Room, short, more || len(short) < len(list)))
	})
	if err != nil {
		return protocol.ErrUnavailable
	}
	return nil
}

// rename changes the user's display name. The mark tells this connection's rename from
// those of others: the connection gets a reply in place of the event.
func (s *Session) rename(ctx context.Context, c protocol.Command) *protocol.Error {
	name, bad := protocol.Name(c.Name)
	if bad != nil {
		return bad
	}
	mark := s.node.ID + "/" + strconv.FormatInt(s.node.marks.Add(1), 10)
	s.mark.Store(&mark)
	now, bad := s.node.Hub.Rename(ctx, s.user, name, mark)
	if bad != nil {
		return bad
	}
	s.transport.Reply(c, protocol.Renamed(now))
	return nil
}

// moderator reports whether the user's JWT makes it a moderator.
func (s *Session) moderator() bool { return s.claims != nil && s.claims.Moderator }

// moderate applies a moderator's decision.
func (s *Session) moderate(ctx context.Context, c protocol.Command) *protocol.Error {
	if !s.moderator() {
		return protocol.Errorf(protocol.CodeForbidden, "only moderators do that")
	}
	d, err := s.node.Hub.Moderate(ctx, c, s.user.Public())
	if err != nil {
		return err
	}
	s.transport.Reply(c, d.Event())
	return nil
}
