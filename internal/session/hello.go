package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"example.com/chat/internal/identity"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// guestTries is how many random guest names are tried before giving up.
const guestTries = 5

// claimant is the user that a hello names, before the display name is claimed.
type claimant struct {
	protocol.NameClaim // with an empty Name the user gets a guest name
	// renewed reports that the token was not valid, and this is a new guest.
	renewed bool
	claims  *identity.Claims // of the JWT; nil for a guest
}

// hello identifies the user and claims its name. A further hello with a JWT renews it.
func (s *Session) hello(ctx context.Context, c protocol.Command) *protocol.Error {
	if s.user != nil && s.claims != nil && c.Auth != "" {
		return s.renew(c)
	}
	if s.user != nil {
		return protocol.Errorf(protocol.CodeForbidden, "this connection has sent hello already")
	}
	if !s.deadline.Stop() {
		return nil // too late: the connection is being closed
	}
	s.slot.Activate()
	w, err := s.node.identify(c)
	if err == nil {
		s.claims = w.claims
		s.user, err = s.enter(ctx, w)
	}
	if err != nil {
		s.deadline.Reset(HelloTimeout) // for another try
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

// welcome replies to a hello.
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

// identify returns the user that a hello names: by JWT, by token, or a new guest.
func (n *Node) identify(c protocol.Command) (claimant, *protocol.Error) {
	if n.JWT != nil {
		return n.identifyJWT(c)
	}
	var w claimant
	if c.HasName {
		name, err := protocol.Name(c.Name)
		if err != nil {
			return claimant{}, err
		}
		w.Name = name
	}
	switch {
	case c.Token != "":
		guest, err := identity.Verify(n.Secret, c.Token)
		if err != nil {
			// The secret has changed, as after a restart that lost all data. The user
			// becomes a new guest, under the old name if that is free.
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

// identifyJWT returns the user that a JWT names. Its sub is the identity. Its name is
// only displayed: it is made to fit the rules of names, and need not be unique.
func (n *Node) identifyJWT(c protocol.Command) (claimant, *protocol.Error) {
	claims, err := n.JWT.Verify(c.Auth)
	if err != nil {
		n.Log.Info("a hello was refused", "error", err)
		return claimant{}, protocol.Errorf(protocol.CodeUnauthorized,
			"this node wants a valid JWT in auth: get one from your application")
	}
	w := claimant{NameClaim: protocol.NameClaim{User: claims.ID, Name: protocol.DisplayName(claims.Name), Shared: true}}
	if w.Name == "" && c.HasName {
		var bad *protocol.Error
		if w.Name, bad = protocol.Name(c.Name); bad != nil {
			return claimant{}, bad
		}
	}
	if w.Name == "" {
		w.Name, w.Keep = protocol.DisplayName(claims.ID), true
	}
	if w.Name == "" { // sub has no character that a name may have
		sum := sha256.Sum256([]byte(claims.ID))
		w.Name = "user-" + hex.EncodeToString(sum[:4])
	}
	w.claims = &claims
	return w, nil
}

// enter claims the display name, or a random guest name where there is none.
func (s *Session) enter(ctx context.Context, w claimant) (*room.User, *protocol.Error) {
	if w.Name != "" {
		u, err := s.node.Hub.Enter(ctx, s, w.NameClaim)
		if err == nil || err.Code != protocol.CodeNameTaken || !w.Keep {
			return u, err
		}
		// Another user has the remembered name by now, so the user gets a guest name.
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
