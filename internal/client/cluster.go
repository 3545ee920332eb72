package client

import (
	"math/rand/v2"
	"sync"
	"time"

	"example.com/chat/internal/protocol"
)

// cutOffFor is how long the Session does not move to a node that has reported the loss
// of Redis; so it stays where it is if all nodes have lost Redis.
const cutOffFor = 30 * time.Second

// cluster is what a Session knows about nodes: which there are, which one it uses, and
// which have lost Redis. Its methods are safe for concurrent use.
type cluster struct {
	base string // the URL that the caller gave

	mu    sync.Mutex    // guards the fields below
	tls   bool          // a URL with TLS was given or used, so no other is
	node  protocol.Node // the current or last node, with the URL that was dialed
	nodes []protocol.Node
	// cutOff holds the nodes that reported the loss of Redis, and when.
	cutOff  map[string]time.Time
	refuges []protocol.Node // nodes that reach Redis, by the newest status
}

func newCluster(base string) *cluster {
	return &cluster{base: base, tls: usesTLS(base), cutOff: make(map[string]time.Time)}
}

// welcomed records the node that welcomed the user at a URL, and the nodes that it
// announces. It returns the node, with that URL.
func (k *cluster) welcomed(w protocol.WelcomeEvent, url string) protocol.Node {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.node = protocol.Node{ID: w.Node.ID, URL: url}
	k.nodes = w.Nodes
	k.tls = k.tls || usesTLS(url)
	return k.node
}

// changed records the nodes that the current node announces.
func (k *cluster) changed(nodes []protocol.Node) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.nodes = nodes
}

// current returns the current node, or the last one between connections.
func (k *cluster) current() protocol.Node {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.node
}

// candidates returns the URLs to try in turn: the other nodes in random order, which
// spreads the clients of a failed node; then the last one; then the URL that the caller
// gave, which may lead to further nodes. With stay the last one comes first.
func (k *cluster) candidates(stay bool) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := newCandidates(k.base, k.tls)
	if stay {
		list.add(k.node.URL)
	}
	for _, i := range rand.Perm(len(k.nodes)) {
		if k.nodes[i].ID != k.node.ID {
			list.add(k.nodes[i].URL)
		}
	}
	list.add(k.node.URL)
	for _, n := range k.nodes {
		list.add(n.URL)
	}
	list.add(k.base)
	if len(list.urls) == 0 {
		return []string{k.base} // an invalid URL, for which Dial returns an error
	}
	return list.urls
}

// status records whether the current node reaches Redis. A node that has been without
// Redis for some seconds names others that reach it.
func (k *cluster) status(st protocol.StatusEvent, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if st.Broker != protocol.BrokerDown {
		delete(k.cutOff, k.node.ID)
		return
	}
	for id, at := range k.cutOff {
		if now.Sub(at) > cutOffFor {
			delete(k.cutOff, id)
		}
	}
	k.cutOff[k.node.ID] = now
	k.refuges = st.Nodes
}

// isCutOff reports whether the newest status of the current node is that it has lost
// Redis.
func (k *cluster) isCutOff() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, down := k.cutOff[k.node.ID]
	return down
}

// reaching returns the URLs of the nodes that reach Redis according to the newest status,
// without those that lost Redis recently.
func (k *cluster) reaching() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := newCandidates(k.base, k.tls)
	for _, n := range k.refuges {
		if _, down := k.cutOff[n.ID]; !down {
			list.add(n.URL)
		}
	}
	return list.urls
}
