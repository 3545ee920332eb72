package redisbroker

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Vitals are how a node is, as it writes with each beat for whoever asks any
// node. It is kept apart from NodeInfo, whose changes are told to all users.
type Vitals struct {
	// State is StateReady, StateDraining or StateAway.
	State string `json:"state"`
	// Users have a connection to the node; Connections are theirs and those of
	// who has not said hello. Rooms are those that it follows.
	Users       int `json:"users"`
	Connections int `json:"connections"`
	Rooms       int `json:"rooms"`
	// Rate is how many messages a second were accepted there of late.
	Rate float64 `json:"rate"`
	// RTT and Age are those of the node's own probe through Redis, in ms; nil
	// before one came back.
	RTT *float64 `json:"rtt_ms,omitempty"`
	Age *int64   `json:"age_ms,omitempty"`
}

// The states of a node.
const (
	StateReady    = "ready"
	StateDraining = "draining" // it sends its users away
	StateAway     = "away"     // it can't use Redis, or is catching up with it
)

// Seen is what a node wrote of itself last, and how long ago.
type Seen struct {
	Vitals
	Ago time.Duration
}

// seen is what was read of a node, and when.
type seen struct {
	vitals Vitals
	ago    time.Duration // at the time below, by Redis's clock
	at     time.Time
}

// Vitals returns what the live nodes wrote of themselves, by their ids, as this
// one's last beat found it. Nodes that write nothing are left out.
func (b *Broker) Vitals() map[string]Seen {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[string]Seen, len(b.vitals))
	for id, s := range b.vitals {
		all[id] = Seen{s.vitals, s.ago + time.Since(s.at)}
	}
	return all
}

func (b *Broker) setVitals(all map[string]seen) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.vitals = all
}

// ownVitals is what this node writes with a beat; "" for nothing.
func (b *Broker) ownVitals() string {
	if b.cfg.Vitals == nil {
		return ""
	}
	text, err := json.Marshal(b.cfg.Vitals())
	if err != nil { // a Rate that is no number
		return ""
	}
	return string(text)
}

// parseVitals reads what the lease script wrote of a node, "<ms> <json>", at
// the time now in ms by the same clock.
func parseVitals(field string, now int64) (s seen, ok bool) {
	at, text, _ := strings.Cut(field, " ")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil || json.Unmarshal([]byte(text), &s.vitals) != nil || s.vitals.State == "" {
		return seen{}, false
	}
	// Redis's clock may have gone back.
	s.ago, s.at = time.Duration(max(0, now-ms))*time.Millisecond, time.Now()
	return s, true
}
