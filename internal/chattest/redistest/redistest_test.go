package redistest

import "testing"

func TestSentinelsAndClustersStart(t *testing.T) {
	t.Parallel()
	t.Run("sentinels over TLS", func(t *testing.T) {
		t.Parallel()
		s := StartSentinel(t, NewCA(t))
		primary, other := s.Primary()
		if primary != s.Servers[0] || other.Info("replication", "role") != "slave" {
			t.Errorf("the sentinels name another primary")
		}
	})
	t.Run("cluster over TLS", func(t *testing.T) {
		t.Parallel()
		c := StartCluster(t, NewCA(t))
		rdb := c.Client()
		if err := rdb.Set(t.Context(), "{a}b", "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		slot := c.Slot("{a}b")
		from := c.Owner(c.Servers[0], slot)
		to := c.Servers[0]
		if from == to {
			to = c.Servers[1]
		}
		// MIGRATE uses TLS if the cluster does.
		c.Move(slot, from, to)
		if text, err := rdb.Get(t.Context(), "{a}b").Result(); err != nil || text != "x" || c.Owner(to, slot) != to {
			t.Errorf("after the move: %q %v", text, err)
		}
	})
}
