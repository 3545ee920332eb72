package redisbroker

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"example.com/chat/internal/cluster"
)

// The reply of the lease script: the number of values at its beginning, and of those for
// each instance.
const headWidth, rowWidth = 3, 4

// beatsMissed is how long a live instance may write nothing before another instance of the
// same node replaces it.
const beatsMissed = 2500 * time.Millisecond

// instances are all instances in the reply of the lease script.
type instances struct {
	live     []cluster.NodeInfo
	wrote    []int64         // when each of them wrote last, in ms by Redis's clock; 0 if unknown
	dead     []string        // their instances
	statuses map[string]seen // of the live nodes, by their ids
}

// split decodes the rows of the lease script, which are in the order of the leases' ends, at
// the time now in ms. The live nodes are sorted by their ids. A node that was restarted
// within its old lease has two instances, of which the younger counts. Two nodes with the
// same id are both listed, since both write.
func split(rows []any, now int64) instances {
	all := instances{statuses: make(map[string]seen)}
	type alive struct {
		info  cluster.NodeInfo
		wrote int64
	}
	var live []alive
	for row := range slices.Chunk(rows, rowWidth) {
		instance, _ := row[0].(string)
		if row[1] != int64(1) {
			all.dead = append(all.dead, instance)
			continue
		}
		var n alive
		text, _ := row[2].(string)
		if json.Unmarshal([]byte(text), &n.info) != nil || n.info.ID == "" {
			continue
		}
		field, _ := row[3].(string)
		if s, ok := parseStatus(field, now); ok {
			all.statuses[n.info.ID] = s
			n.wrote = now - s.ago.Milliseconds()
		} else {
			delete(all.statuses, n.info.ID)
		}
		live = append(live, n)
	}
	slices.Reverse(live) // the youngest first
	slices.SortStableFunc(live, func(a, b alive) int { return strings.Compare(a.info.ID, b.info.ID) })
	for i, n := range live {
		first := i == 0 || live[i-1].info.ID != n.info.ID
		if first || now-n.wrote < beatsMissed.Milliseconds() {
			all.live, all.wrote = append(all.live, n.info), append(all.wrote, n.wrote)
		}
	}
	return all
}

// twins returns the other live nodes with the id of this one, which began at the given
// time: those that have written since. An earlier life of this node has not.
func (a instances) twins(self cluster.NodeInfo, began int64) []cluster.NodeInfo {
	var twins []cluster.NodeInfo
	for i, n := range a.live {
		if n.ID == self.ID && n.Tag != self.Tag && a.wrote[i] > began {
			twins = append(twins, n)
		}
	}
	return twins
}

// began returns when this node held its first lease, in ms by Redis's clock; that is
// now at the first call.
func (b *Broker) began(now int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.start == 0 {
		b.start = now
	}
	return b.start
}

// setLive records the live nodes, and notifies the listener if they changed.
func (b *Broker) setLive(live, twins []cluster.NodeInfo) {
	order := func(a, b cluster.NodeInfo) int { return strings.Compare(a.ID+" "+a.Tag, b.ID+" "+b.Tag) }
	b.mu.Lock()
	// Of two nodes with one id, sometimes the one and sometimes the other is younger.
	same := slices.Equal(slices.SortedFunc(slices.Values(b.live), order), slices.SortedFunc(slices.Values(live), order))
	b.live, b.twins = live, twins
	b.mu.Unlock()
	if !same {
		b.listener.Nodes(live)
	}
}

// Twins returns the descriptions of the other live nodes with the same id as this one, as
// of its last heartbeat.
func (b *Broker) Twins() []cluster.NodeInfo {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.twins)
}
