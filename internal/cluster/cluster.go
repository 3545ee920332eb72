// Package cluster holds what the nodes of a cluster know of each other: the types by
// which a node and the package that joins the nodes (internal/redisbroker) exchange
// descriptions, statuses, probes and counts. It does no I/O.
package cluster

import (
	"time"

	"example.com/chat/internal/histogram"
	"example.com/chat/internal/room"
)

// NodeInfo describes a node to the others.
type NodeInfo struct {
	// ID is the node's name.
	ID string `json:"id"`
	// URL is the URL by which clients reach it; if empty, it is made of the host that
	// a client used and Port.
	URL string `json:"url,omitzero"`
	// Port is the port it listens on.
	Port int `json:"port,omitzero"`
	// TLS is true if it serves HTTPS on Port.
	TLS bool `json:"tls,omitzero"`
	// Peer is the host:port by which other nodes reach it. Tag is the beginning of the
	// ids of its Socket.IO sessions, a new one at each start.
	Peer string `json:"peer,omitzero"`
	Tag  string `json:"tag,omitzero"`
	// Machine is the same for all nodes that reach each other by the loopback; empty if
	// unknown.
	Machine string `json:"machine,omitzero"`
}

// Listener is the feed of a node's rooms and of the cluster's nodes. On a Redis Cluster
// calls about different rooms may be concurrent.
type Listener interface {
	room.Feed
	// Nodes delivers the live nodes after each change. It must not block.
	Nodes(live []NodeInfo)
}

// Status is the status of a node, which it writes with each heartbeat, so that any node
// can report it. It is separate from NodeInfo, whose changes are sent to all users.
type Status struct {
	// State is StateReady, StateDraining or StateAway.
	State string `json:"state"`
	// Users is the number of users with a connection to the node. Connections counts
	// these and connections before their hello. Rooms is how many rooms it follows.
	Users       int `json:"users"`
	Connections int `json:"connections"`
	Rooms       int `json:"rooms"`
	// Rate is how many messages a second the node has appended in the last seconds.
	Rate float64 `json:"rate"`
	// RTT and Age are those of the node's own probe through Redis, in ms; nil before one
	// has arrived.
	RTT *float64 `json:"rtt_ms,omitempty"`
	Age *int64   `json:"age_ms,omitempty"`
}

// The states of a node.
const (
	StateReady    = "ready"
	StateDraining = "draining" // it sends its users away
	StateAway     = "away"     // it can't use Redis, or is catching up with it
)

// Seen is the last status that a node wrote.
type Seen struct {
	Status
	// Ago is the time since then.
	Ago time.Duration
}

// Probe describes the newest probe that a node sent to itself through Redis and received.
type Probe struct {
	// Heard is false before the first one has arrived; then the other fields are zero.
	Heard bool
	// Age is the time since the last one arrived.
	Age time.Duration
	// RTT is the time from its sending to its arrival.
	RTT time.Duration
}

// BrokerStats are the counts of a node's calls to Redis since its start. They name no
// room and no user.
type BrokerStats struct {
	// Batches is the number of append calls that succeeded, Entries the number of entries
	// that they appended, and Appends the durations of these calls.
	Batches, Entries int64
	Appends          histogram.Snapshot
	// Failed is the number of append calls that failed, by the kind of failure. The kinds
	// are a fixed set.
	Failed map[string]int64
	// Remade is the number of subscriptions that were opened again because their
	// connection ended, Silent the number because their probe did not arrive.
	Remade, Silent int64
	// LeasesLost is the number of leases that expired before they were renewed.
	LeasesLost int64
	// Skipped is the number of records in logs that the chat did not write; each read
	// counts them again.
	Skipped int64
	// Probes are the round trips of the node's own probe.
	Probes histogram.Snapshot
}
