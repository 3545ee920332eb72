package redisbroker

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Status is the status of a node, which it writes with each heartbeat, so that any node can
// report it. It is separate from NodeInfo, whose changes are sent to all users.
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

// Seen is the last status that a node wrote, and how long ago.
type Seen struct {
	Status
	Ago time.Duration
}

// seen is the status that was read of a node, and when.
type seen struct {
	status Status
	ago    time.Duration // at the time below, by Redis's clock
	at     time.Time
}

// Statuses returns the status of the live nodes by their ids, as of this node's last
// heartbeat, without nodes that write none.
func (b *Broker) Statuses() map[string]Seen {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[string]Seen, len(b.statuses))
	for id, s := range b.statuses {
		all[id] = Seen{s.status, s.ago + time.Since(s.at)}
	}
	return all
}

func (b *Broker) setStatuses(all map[string]seen) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.statuses = all
}

// ownStatus returns the status that this node writes with a heartbeat; "" for none.
func (b *Broker) ownStatus() string {
	if b.cfg.Status == nil {
		return ""
	}
	text, err := json.Marshal(b.cfg.Status())
	if err != nil { // a Rate that is no number
		return ""
	}
	return string(text)
}

// parseStatus reads what the lease script wrote of a node, "<ms> <json>", at
// the time now in ms by the same clock.
func parseStatus(field string, now int64) (s seen, ok bool) {
	at, text, _ := strings.Cut(field, " ")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil || json.Unmarshal([]byte(text), &s.status) != nil || s.status.State == "" {
		return seen{}, false
	}
	// Redis's clock may have gone back.
	s.ago, s.at = time.Duration(max(0, now-ms))*time.Millisecond, time.Now()
	return s, true
}
