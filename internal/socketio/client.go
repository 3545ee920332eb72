package socketio

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"example.com/chat/internal/engineio"
)

// client is one connection with its sockets.
type client struct {
	server   *Server
	session  *engineio.Session
	admitted any
	deadline *time.Timer // for the first connect, which stops it

	// Used by the reader: an event whose attachments are still arriving, and those that
	// have arrived.
	event *Packet
	got   [][]byte
	bytes int64
	late  *time.Timer

	mu      sync.Mutex // guards the field below
	sockets []*Socket  // few: one for each namespace
}

func newClient(server *Server, session *engineio.Session, admitted any) *client {
	c := &client{server: server, session: session, admitted: admitted}
	c.deadline = time.AfterFunc(server.cfg.ConnectTimeout, func() { session.Abort(engineio.ReasonServer) }) // stopped by a connect, or the end
	if server.cfg.Opened != nil {
		server.cfg.Opened(admitted, session.Close)
	}
	return c
}

// Message handles a packet's text, or an attachment (engineio.Handler).
func (c *client) Message(data []byte, binary bool) {
	if binary {
		c.attachment(data)
		return
	}
	p, err := parse(data, &c.server.cfg.Limits)
	if err != nil || c.event != nil { // text where an attachment must follow
		c.broken()
		return
	}
	if p.Attachments == 0 {
		c.packet(&p, nil)
		return
	}
	if c.find(p.Namespace) == nil {
		c.broken()
		return
	}
	kept, _ := parse(bytes.Clone(data), &c.server.cfg.Limits) // kept until the attachments have arrived
	c.event = &kept
	c.late = time.AfterFunc(c.server.cfg.AttachmentTime, func() { // stopped by the last attachment, or the end
		c.server.broken.Add(1)
		c.session.Abort(engineio.ReasonParse)
	})
}

// attachment handles an attachment of the event before.
func (c *client) attachment(data []byte) {
	c.bytes += int64(len(data))
	if c.event == nil || c.bytes > c.server.cfg.MaxBinary {
		c.broken()
		return
	}
	c.got = append(c.got, bytes.Clone(data))
	if len(c.got) < c.event.Attachments {
		return
	}
	event, got := c.event, c.got
	c.forget()
	c.packet(event, got)
}

// forget drops the event that waits for attachments.
func (c *client) forget() {
	if c.late != nil {
		c.late.Stop()
	}
	c.event, c.got, c.bytes, c.late = nil, nil, 0, nil
}

// broken closes a connection that violated the protocol.
func (c *client) broken() {
	c.server.broken.Add(1)
	c.forget()
	c.session.Abort(engineio.ReasonParse)
}

// packet handles a complete packet.
func (c *client) packet(p *Packet, attachments [][]byte) {
	s := c.find(p.Namespace)
	switch {
	case p.Type == Connect && s == nil:
		c.connect(p)
	case p.Type == Connect, p.Type == ConnectError, s == nil:
		c.broken()
	case s.state.Load() == gone: // its Disconnect has not reached the client yet
	case p.Type == Disconnect:
		s.leave(ReasonClientLeft)
	case p.Type == AckType, p.Type == BinaryAck:
		s.acked(p.ID, Reply{p.Args, attachments})
	default:
		s.handler.Event(&Event{Name: p.Name, Args: p.Args, Attachments: attachments, socket: s, id: p.ID, wants: p.HasID})
	}
}

// connect connects the client to a namespace, or refuses it.
func (c *client) connect(p *Packet) {
	decide := c.server.namespaces[p.Namespace]
	if decide == nil {
		c.refuse(p.Namespace, &Refusal{Message: "Invalid namespace"})
		return
	}
	s := newSocket(c, p.Namespace)
	handler, refusal := decide(s, p.Data)
	if refusal != nil {
		s.drop()
		c.refuse(p.Namespace, refusal)
		return
	}
	c.deadline.Stop()
	s.handler = handler
	c.server.sockets.Add(1)
	c.mu.Lock()
	c.sockets = append(c.sockets, s)
	c.mu.Unlock()
	s.open()
	if starter, ok := handler.(Starter); ok {
		starter.Connected()
	}
}

// refuse sends a client the refusal of a connect.
func (c *client) refuse(namespace string, why *Refusal) {
	c.server.refused.Add(1)
	text, err := json.Marshal(struct {
		Message string `json:"message"`
		Data    any    `json:"data,omitzero"`
	}{why.Message, data(why)})
	if err != nil { // the data can't be encoded as JSON
		text = []byte(`{"message":"refused"}`)
	}
	c.session.Answer(short(ConnectError, namespace, string(text)).parts...)
}

// data is the data of a refusal; nil if there is none.
func data(r *Refusal) any {
	if r.Data == nil {
		return nil
	}
	return r.Data
}

func (c *client) find(namespace string) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sockets {
		if s.namespace == namespace {
			return s
		}
	}
	return nil
}

// remove removes a socket; false if it was removed before.
func (c *client) remove(s *Socket) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.sockets, s)
	if i < 0 {
		return false
	}
	c.sockets = slices.Delete(c.sockets, i, i+1)
	return true
}

// Closed handles the end of the connection (engineio.Handler).
func (c *client) Closed(reason engineio.Reason) {
	c.deadline.Stop()
	c.forget()
	c.mu.Lock()
	all := slices.Clone(c.sockets)
	c.mu.Unlock()
	for _, s := range all {
		s.leave(reason)
	}
	if c.server.cfg.Ended != nil {
		c.server.cfg.Ended(c.admitted)
	}
}
