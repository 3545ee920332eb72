package node

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"example.com/chat/internal/cluster"
	"example.com/chat/internal/httpapi"
	"example.com/chat/internal/identity"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// Config configures a Node. Open and Log are required, and ID without a Listener.
type Config struct {
	// Listener accepts the node's HTTP connections; the node closes it. Without one
	// the node serves only the sessions that are made with Sessions.
	Listener net.Listener
	// Debug accepts those of the debug listener; the node closes it. nil for none.
	Debug net.Listener
	// Open connects the broker. Its info and status are what the node tells the
	// others. close ends the connections to Redis.
	Open func(ctx context.Context, info cluster.NodeInfo, status func() cluster.Status) (b Broker, close func(), err error)

	// ID is the node's name; by default made from the host's name and the port.
	ID string
	// Advertise is the URL by which clients reach the node: "none" behind a load
	// balancer, "" for the host by which a client came and the node's port.
	Advertise string
	// PeerAddr is the host:port by which other nodes reach this one.
	PeerAddr string

	// Limits are announced to clients and enforced.
	Limits protocol.Limits
	// History is the number of messages that a room's log keeps.
	History int
	// MaxConns is the number of connections that the node accepts; 0 for as many as
	// the limit of open files allows.
	MaxConns int

	// Secret signs guests' tokens; by default it is made once and kept in Redis.
	Secret []byte
	// JWT verifies users' tokens; nil if users need none.
	JWT *identity.Verifier
	// Hosts are the names that a Host header may have, besides those that
	// admission.PolicyConfig names.
	Hosts []string
	// Origins are the further origins whose pages may connect; "*" is all.
	Origins []string
	// TrustProxy are the networks of the proxies whose forwarding headers are trusted.
	TrustProxy []netip.Prefix

	// UI is httpapi.UIDemo, or anything else for a page that shows no nodes.
	UI string
	// Demo serves the controls of a local cluster; nil for none.
	Demo httpapi.Demo

	// Log gets what an operator should know.
	Log *slog.Logger
	// Jitter returns a random part of a wait; nil for one of its own. A simulation
	// passes one that a seed decides.
	Jitter func(time.Duration) time.Duration
}

// Broker is what a node needs of the package that talks to Redis. All methods may be
// called concurrently.
type Broker interface {
	// Room returns what rooms need of it.
	Room() room.Broker
	// Run reads what Redis publishes and renews the lease, until ctx ends.
	Run(ctx context.Context, listener cluster.Listener)
	// Ready returns nil while Redis is usable, else the reason why not.
	Ready() error
	// Hurry triggers an immediate heartbeat. It does not wait for it.
	Hurry()
	// Leave ends the lease.
	Leave(ctx context.Context) error
	// Secret returns the secret that all nodes share.
	Secret(ctx context.Context) ([]byte, error)
	// Rooms lists the rooms with users online or entries, from a page on.
	Rooms(ctx context.Context, after string) (protocol.RoomPage, error)
	// RoomsOf does the same for a list that consists of the named rooms alone.
	RoomsOf(ctx context.Context, names []string, after string) (protocol.RoomPage, error)
	// Statuses returns the status of the live nodes, by id.
	Statuses() map[string]cluster.Seen
	// Twins returns other live nodes with this node's id.
	Twins() []cluster.NodeInfo
	// Probe returns the state of the node's own probe through Redis.
	Probe() cluster.Probe
	// Entries returns the number of messages that this node put into logs.
	Entries() int64
	// Stats returns the counts so far.
	Stats() cluster.BrokerStats
}

// port returns the port of the listener; 0 without one.
func (c *Config) port() int {
	if c.Listener == nil {
		return 0
	}
	if addr, ok := c.Listener.Addr().(*net.TCPAddr); ok {
		return addr.Port
	}
	return 0
}

// fill sets the defaults.
func (c *Config) fill() {
	if c.ID == "" {
		c.ID = defaultID(c.port())
	}
}

// defaultID makes a node's id from the host's name and the port.
func defaultID(port int) string {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	return plainID(host) + "-" + strconv.Itoa(port)
}

// plainID replaces the characters of a host's name that a node's id must not have.
func plainID(host string) string {
	id := []byte(host)
	for i, c := range id {
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_'
		if !plain {
			id[i] = '-'
		}
	}
	return string(id[:min(len(id), 48)])
}
