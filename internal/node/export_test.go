package node

import (
	"context"
	"net/http"
	"time"

	"example.com/chat/internal/admission"
	"example.com/chat/internal/cluster"
	"example.com/chat/internal/conn"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/relay"
	"example.com/chat/internal/room"
	"example.com/chat/internal/socketio"
)

// Accessors for the tests of this package.

// HeaderTimeout is how long a request's header may take.
const HeaderTimeout = headerTimeout

// Hub returns the rooms.
func (n *Node) Hub() *room.Hub { return n.hub }

// Broker returns the node's connection to Redis.
func (n *Node) Broker() Broker { return n.broker }

// Conns returns the WebSocket connections.
func (n *Node) Conns() *conn.Server { return n.front.conns }

// SocketIO returns the counts of Socket.IO.
func (n *Node) SocketIO() socketio.Stats { return n.front.transports.SocketIO() }

// Limiter returns the handshakes in flight.
func (n *Node) Limiter() *admission.Limiter { return n.front.limiter }

// Plain returns the connections that are not WebSockets.
func (n *Node) Plain() *admission.Connections { return n.front.plain }

// HTTP returns the server of the listener.
func (n *Node) HTTP() *http.Server { return n.front.http }

// Relay returns the relay.
func (n *Node) Relay() *relay.Relay { return n.front.relay }

// Connections returns the number of open connections.
func (n *Node) Connections() int { return n.connections() }

// SetDraining makes the node refuse users.
func (n *Node) SetDraining() { n.draining.Store(true) }

// Self returns the node's address as it announces it to the others.
func (n *Node) Self() cluster.NodeInfo { return n.members.self }

// Knows reports whether the node knows a live node with the tag.
func (n *Node) Knows(tag string) bool { _, ok := n.members.find(tag); return ok }

// Others returns the other live nodes.
func (n *Node) Others() []cluster.NodeInfo { return n.members.others() }

// MovePeer changes the address at which the node reaches the node with the tag, which
// it adds if it is unknown, until the next heartbeat.
func (n *Node) MovePeer(info cluster.NodeInfo) {
	m := n.members
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.live {
		if m.live[i].Tag == info.Tag {
			m.live[i].Peer = info.Peer
			return
		}
	}
	m.live = append(m.live, info)
}

// Limits returns the limits that clients get.
func (n *Node) Limits() protocol.Limits { return n.cfg.Limits }

// AskOthers returns the ids of the other nodes that are ready.
func (n *Node) AskOthers(ctx context.Context) map[string]bool { return n.fallback.ask(ctx) }

// Machine returns the opaque name of this machine.
func Machine() string { return machine() }

// SpreadOver calls functions at even intervals.
func SpreadOver(ctx context.Context, spread time.Duration, calls []func()) {
	spreadOver(ctx, spread, calls)
}
