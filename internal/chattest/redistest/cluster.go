package redistest

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
)

// Cluster is a Redis Cluster of three primaries, each with one replica.
type Cluster struct {
	// Servers are the three primaries and the three replicas in their first roles: the
	// replica of Servers[i] is Servers[i+3].
	Servers [6]*Server
	// URL is what --redis takes.
	URL string

	t testing.TB
}

// StartCluster starts a Redis Cluster and returns once it is complete. A node that is
// silent for about a second counts as dead. Further arguments are passed to all servers.
// With an authority they speak TLS.
func StartCluster(t testing.TB, ca *CA, args ...string) *Cluster {
	t.Helper()
	program(t)
	c := &Cluster{t: t}
	ports := chattest.FreePorts(t, 2*len(c.Servers))
	var addrs []string
	for i := range c.Servers {
		own := []string{
			"--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", strconv.Itoa(ports[len(c.Servers)+i]),
		}
		c.Servers[i] = newServer(t, ports[i], append(own, args...)...)
		if ca != nil {
			c.Servers[i].secure(ca)
			c.Servers[i].args = append(c.Servers[i].args, "--tls-cluster", "yes", "--tls-replication", "yes")
		}
		c.Servers[i].Launch()
		addrs = append(addrs, c.Servers[i].Addr)
	}
	for i, s := range c.Servers {
		chattest.Eventually(t, "redis-server", func() bool { return s.try("PING") == nil })
		s.Do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
	}
	c.URL = strings.SplitAfter(c.Servers[0].URL, "://")[0] + strings.Join(addrs, ",")
	c.join(ports)
	return c
}

// try executes a command that may fail.
func (s *Server) try(args ...any) error {
	c := redis.NewClient(&redis.Options{Addr: s.Addr, TLSConfig: s.tls, MaxRetries: -1, Protocol: 2, DisableIdentity: true})
	defer c.Close()
	return c.Do(s.t.Context(), args...).Err()
}

// join makes the servers one cluster.
func (c *Cluster) join(ports []int) {
	c.t.Helper()
	const slots, primaries = 16384, 3
	for i := range primaries {
		c.Servers[i].Do("CLUSTER", "ADDSLOTSRANGE", i*slots/primaries, (i+1)*slots/primaries-1)
	}
	for i := 1; i < len(c.Servers); i++ {
		c.Servers[0].Do("CLUSTER", "MEET", "127.0.0.1", ports[i], ports[len(c.Servers)+i])
	}
	for _, s := range c.Servers {
		chattest.Eventually(c.t, "the cluster's nodes to know each other", func() bool {
			text, _ := s.Do("CLUSTER", "NODES").(string)
			return strings.Count(text, "connected\n")+strings.Count(text, "connected ") >= len(c.Servers) &&
				!strings.Contains(text, "handshake") && !strings.Contains(text, "disconnected")
		})
	}
	for i := range primaries {
		id := c.Servers[i].Do("CLUSTER", "MYID")
		chattest.Eventually(c.t, "the replica to follow its primary", func() bool { return c.Servers[i+primaries].try("CLUSTER", "REPLICATE", id) == nil })
	}
	for i, s := range c.Servers {
		chattest.Eventually(c.t, "the cluster to be whole", func() bool {
			text, _ := s.Do("CLUSTER", "NODES").(string)
			state, _ := s.Do("CLUSTER", "INFO").(string)
			return strings.Contains(state, "cluster_state:ok") && strings.Count(text, "slave ") == primaries &&
				(i < primaries || s.Info("replication", "master_link_status") == "up")
		})
	}
}

// Client returns a client of the cluster, which the end of the test closes.
func (c *Cluster) Client() *redis.ClusterClient {
	var addrs []string
	for _, s := range c.Servers {
		addrs = append(addrs, s.Addr)
	}
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, TLSConfig: c.Servers[0].tls, Protocol: 2, DisableIdentity: true})
	c.t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// Slot returns the slot of a key.
func (c *Cluster) Slot(key string) int {
	c.t.Helper()
	slot, _ := c.Servers[0].Do("CLUSTER", "KEYSLOT", key).(int64)
	return int(slot)
}

// Owner returns the primary of the slot according to the given server.
func (c *Cluster) Owner(asked *Server, slot int) *Server {
	c.t.Helper()
	ranges, _ := asked.Do("CLUSTER", "SLOTS").([]any)
	for _, one := range ranges {
		row, _ := one.([]any)
		from, _ := row[0].(int64)
		to, _ := row[1].(int64)
		if slot < int(from) || slot > int(to) {
			continue
		}
		node, _ := row[2].([]any)
		// Ports tell servers apart; a host may be left out (unknown-endpoint).
		port := ":" + fmt.Sprint(node[1])
		for _, s := range c.Servers {
			if strings.HasSuffix(s.Addr, port) {
				return s
			}
		}
	}
	return nil
}

// Move moves a slot to another primary, key by key, as resharding does.
func (c *Cluster) Move(slot int, from, to *Server) {
	c.t.Helper()
	to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", from.Do("CLUSTER", "MYID"))
	from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", to.Do("CLUSTER", "MYID"))
	host, port, _ := net.SplitHostPort(to.Addr)
	for {
		keys, _ := from.Do("CLUSTER", "GETKEYSINSLOT", slot, 1).([]any)
		if len(keys) == 0 {
			break
		}
		from.Do("MIGRATE", host, port, keys[0], 0, 5000)
	}
	id := to.Do("CLUSTER", "MYID")
	to.Do("CLUSTER", "SETSLOT", slot, "NODE", id)
	from.Do("CLUSTER", "SETSLOT", slot, "NODE", id)
}
