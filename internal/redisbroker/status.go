package redisbroker

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"example.com/chat/internal/cluster"
)

// seen is the status that was read of a node, and when.
type seen struct {
	status cluster.Status
	ago    time.Duration // at the time below, by Redis's clock
	at     time.Time
}

// Statuses returns the status of the live nodes by their ids, as of this node's last
// heartbeat, without nodes that write none.
func (b *Broker) Statuses() map[string]cluster.Seen {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[string]cluster.Seen, len(b.statuses))
	for id, s := range b.statuses {
		all[id] = cluster.Seen{Status: s.status, Ago: s.ago + time.Since(s.at)}
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
