package node

import (
	"context"

	"example.com/chat/internal/cluster"
	"example.com/chat/internal/protocol"
	"example.com/chat/internal/room"
)

// feed is the broker's listener: what concerns rooms and users goes to the hub, what
// concerns nodes to the node.
type feed struct {
	room.Feed // the hub's
	n         *Node
}

// Nodes updates the members of the cluster, and notifies all users
// (cluster.Listener).
func (f feed) Nodes(live []cluster.NodeInfo) {
	f.n.members.set(live)
	f.n.broadcast(func(origin string) protocol.Event { return protocol.NodeList(f.n.members.list(origin)) })
}

// Reachable forwards whether Redis is reachable (cluster.Listener). If it is not
// for some time, users learn which other nodes are ready.
func (f feed) Reachable(up bool) {
	n := f.n
	if !up {
		f.Feed.Reachable(up)
	} else {
		defer f.Feed.Reachable(up) // so that no list of other nodes follows it
	}
	n.fallback.set(up, func() context.CancelFunc {
		ctx, stop := context.WithCancel(n.runs)
		n.running.Go(func() { n.fallback.search(ctx, n.broadcast) }) // ends with ctx; Close waits for it
		return stop
	})
}
