package node_test

import (
	"fmt"
	"slices"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/redisbroker"
)

// Clusters behind NAT or a load balancer announce ports without hosts, which ended nodes
// with "redis: nil". The hosts are null with unknown-endpoint, and "?" where a node should
// announce a name and has none; redirections lack them too.
func TestARedisClusterMayTellNoHosts(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"unknown-endpoint", "hostname"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			cluster := redistest.StartCluster(t, nil, "--cluster-preferred-endpoint-type", kind)
			slot := cluster.Slot(redisbroker.LogKey("chat", "lobby"))
			from := cluster.Owner(cluster.Servers[0], slot)
			to := cluster.Servers[0]
			if from == to {
				to = cluster.Servers[1]
			}
			for i, flags := range [][]string{nil, {"--wait-replicas=1", "--redis=" + cluster.URL}} {
				one, two := startNode(t, cluster.URL, flags...), startNode(t, cluster.URL, append(slices.Clone(flags), "--node-id=two")...)
				ann, bob := chattest.Enter(t, one.url, fmt.Sprint("Ann", i), "lobby"), chattest.Enter(t, two.url, fmt.Sprint("Bob", i), "lobby")
				said := func(key string) {
					t.Helper()
					ann.Say("lobby", "said as "+key, key)
					bob.Message("said as " + key)
				}
				said("1")
				cluster.Move(slot, from, to) // the old owner redirects requests
				from, to = to, from
				said("2")
				chattest.Eventually(t, "the nodes to be ready", func() bool { return one.Ready() == nil && two.Ready() == nil })
				said("3")
			}
		})
	}
}
