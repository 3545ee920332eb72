package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"example.com/chat/internal/identity"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// guestTries is how often a name is made up for a guest before giving up.
const guestTries = 5

// who is what hello says of somebody, before the name is claimed.
type who struct {
	protocol.NameClaim // without a Name one is made up
	// renewed tells that the token did not hold, and this is a new guest.
	renewed bool
}

func (s *Session) hello(ctx context.Context, c protocol.Command) *protocol.Error {
	if s.user != nil && s.claims != nil && c.Auth != "" {
		return s.renew(c)
	}
	if s.user != nil {
		return protocol.Errorf(protocol.CodeForbidden, "this connection has said hello already")
	}
	if !s.deadline.Stop() {
		return nil // it is too late: the close is on its way
	}
	s.slot.Activate()
	w, err := s.identify(c)
	if err == nil {
		s.user, err = s.enter(ctx, w)
	}
	if err != nil {
		s.deadline.Reset(HelloTimeout) // to try again
		s.slot.Deactivate()
		return err
	}
	s.deadline = nil
	s.expire()
	s.welcome(c, w.renewed)
	s.slot.Release()
	if !s.node.Hub.Up() {
		s.transport.Deliver(room.NewBroadcast(s.node.Cluster.Status(s.origin)))
	}
	return nil
}

func (s *Session) welcome(c protocol.Command, renewed bool) {
	p := s.user.Public()
	nodes := s.node.Cluster.NodesFor(s.origin)
	s.transport.Reply(c, protocol.WelcomeEvent{
		User:    p,
		Token:   identity.Sign(s.node.Secret, identity.Guest{ID: p.ID, Name: p.Name}),
		Node:    nodes[0],
		Nodes:   nodes,
		Limits:  s.node.Limits,
		Version: protocol.Version,
		Renewed: renewed,
	}.Event())
}

// identify reads who it is from what hello brought.
func (s *Session) identify(c protocol.Command) (who, *protocol.Error) {
	if s.node.JWT != nil {
		return s.identifyJWT(c)
	}
	var w who
	if c.HasName {
		name, err := protocol.Name(c.Name)
		if err != nil {
			return who{}, err
		}
		w.Name = name
	}
	switch {
	case c.Token != "":
		guest, err := identity.Verify(s.node.Secret, c.Token)
		if err != nil {
			// The secret is another one, as after a restart that lost all data. A new
			// guest takes the old name where it is free.
			w.renewed = true
			guest.ID = identity.NewGuest()
			guest.Name, _ = protocol.Name(identity.NameIn(c.Token))
		}
		w.User = guest.ID
		if w.Name == "" {
			w.Name, w.Keep = guest.Name, guest.Name != ""
		}
	default:
		w.User = identity.NewGuest()
	}
	return w, nil
}

// identifyJWT reads who it is from a JWT. Its sub is the identity; the name is only
// shown, so that of the token is taken as well as it can be, and others may have the
// same.
func (s *Session) identifyJWT(c protocol.Command) (who, *protocol.Error) {
	claims, err := s.node.JWT.Verify(c.Auth)
	if err != nil {
		s.node.Log.Info("a hello was refused", "error", err)
		return who{}, protocol.Errorf(protocol.CodeUnauthorized,
			"this node wants a valid JWT in auth: get one from your application")
	}
	w := who{NameClaim: protocol.NameClaim{User: claims.ID, Name: protocol.DisplayName(claims.Name), Shared: true}}
	if w.Name == "" && c.HasName {
		var bad *protocol.Error
		if w.Name, bad = protocol.Name(c.Name); bad != nil {
			return who{}, bad
		}
	}
	if w.Name == "" {
		w.Name, w.Keep = protocol.DisplayName(claims.ID), true
	}
	if w.Name == "" { // of signs alone
		sum := sha256.Sum256([]byte(claims.ID))
		w.Name = "user-" + hex.EncodeToString(sum[:4])
	}
	s.claims = &claims
	return w, nil
}

// enter claims the name, or makes one up.
func (s *Session) enter(ctx context.Context, w who) (*room.User, *protocol.Error) {
	if w.Name != "" {
		u, err := s.node.Hub.Enter(ctx, s, w.NameClaim)
		if err == nil || err.Code != protocol.CodeNameTaken || !w.Keep {
			return u, err
		}
		// Somebody took it while this user was away, who did not ask for it now.
	}
	made := protocol.NameClaim{User: w.User, Keep: w.Name == ""}
	var err *protocol.Error
	for range guestTries {
		var u *room.User
		made.Name = protocol.GuestName()
		u, err = s.node.Hub.Enter(ctx, s, made)
		if err == nil || err.Code != protocol.CodeNameTaken {
			return u, err
		}
	}
	return nil, err
}
