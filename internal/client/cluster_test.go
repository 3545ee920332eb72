package client

import (
	"slices"
	"testing"
	"time"

	"example.com/chat/internal/protocol"
)

// A cluster whose user moved to TLS stays there, wherever it began.
func TestASessionStaysOnTLS(t *testing.T) {
	t.Parallel()
	k := newCluster("http://a")
	nodes := []protocol.Node{{ID: "1", URL: "https://b"}, {ID: "2", URL: "http://c"}}
	k.welcomed(protocol.WelcomeEvent{Node: nodes[0], Nodes: nodes}, "https://b")
	if got := k.candidates(false); !slices.Equal(got, []string{"https://b"}) {
		t.Errorf("candidates %q", got)
	}
}

func TestTheOtherNodesAreTriedFirst(t *testing.T) {
	t.Parallel()
	k := newCluster("http://given")
	nodes := []protocol.Node{{ID: "1", URL: "http://one"}, {ID: "2", URL: "http://two"}, {ID: "3", URL: "http://three"}}
	if here := k.welcomed(protocol.WelcomeEvent{Node: nodes[0], Nodes: nodes[:1]}, "http://dialed"); here != (protocol.Node{ID: "1", URL: "http://dialed"}) {
		t.Errorf("at %+v", here)
	}
	k.changed(nodes)
	got := k.candidates(false)
	slices.Sort(got[:2])
	if want := []string{"http://three", "http://two", "http://dialed", "http://one", "http://given"}; !slices.Equal(got, want) {
		t.Errorf("candidates %q, want %q", got, want)
	}
	if got := k.candidates(true); got[0] != "http://dialed" {
		t.Errorf("candidates %q of a client that stays", got)
	}
}

func TestNodesThatLostRedisAreAvoidedForAWhile(t *testing.T) {
	t.Parallel()
	k := newCluster("http://given")
	nodes := []protocol.Node{{ID: "1", URL: "http://one"}, {ID: "2", URL: "http://two"}}
	now := time.Unix(1_764_000_000, 0)
	down := protocol.StatusEvent{Broker: protocol.BrokerDown, Nodes: nodes}
	k.welcomed(protocol.WelcomeEvent{Node: nodes[0], Nodes: nodes}, "http://one")
	k.status(down, now)
	if got := k.reaching(); !k.isCutOff() || !slices.Equal(got, []string{"http://two"}) {
		t.Errorf("cut off: %t, reaching Redis: %q", k.isCutOff(), got)
	}
	k.welcomed(protocol.WelcomeEvent{Node: nodes[1], Nodes: nodes}, "http://two")
	if k.isCutOff() {
		t.Error("the other node counts as cut off")
	}
	k.status(down, now.Add(cutOffFor))
	if got := k.reaching(); len(got) > 0 {
		t.Errorf("all are cut off, and it tries %q", got)
	}
	k.status(down, now.Add(cutOffFor+1))
	if got := k.reaching(); !slices.Equal(got, []string{"http://one"}) {
		t.Errorf("after a while it tries %q", got)
	}
	k.status(protocol.StatusEvent{Broker: protocol.BrokerUp}, now)
	if k.isCutOff() {
		t.Error("the node reaches Redis again, and counts as cut off")
	}
}
