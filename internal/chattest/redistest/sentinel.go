package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"example.com/chat/internal/chattest"
)

// MasterName is the name by which the sentinels know the primary.
const MasterName = "chat-primary"

// Sentinel is a primary and a replica, and three sentinels that watch them.
type Sentinel struct {
	// Servers are the primary and the replica in their first roles.
	Servers [2]*Server
	// Sentinels are the three sentinels.
	Sentinels [3]*Server
	// URL is what --redis takes.
	URL string

	t testing.TB
}

// StartSentinel starts them, and returns once all know each other. A primary that is
// silent for 700 ms counts as dead. With an authority all speak TLS. Further arguments
// are those of the two servers.
func StartSentinel(t testing.TB, ca *CA, args ...string) *Sentinel {
	t.Helper()
	program(t)
	ports := chattest.FreePorts(t, 5)
	s := &Sentinel{t: t}
	for i := range s.Servers {
		s.Servers[i] = newServer(t, ports[i], args...)
		if ca != nil {
			s.Servers[i].secure(ca)
			s.Servers[i].args = append(s.Servers[i].args, "--tls-replication", "yes")
		}
	}
	s.Servers[1].args = append(s.Servers[1].args, "--replicaof", "127.0.0.1 "+strconv.Itoa(ports[0]))
	s.Servers[0].Restart()
	s.Servers[1].Restart()
	chattest.Eventually(t, "the replica to follow", func() bool { return s.Servers[1].Info("replication", "master_link_status") == "up" })
	var addrs []string
	for i := range s.Sentinels {
		s.Sentinels[i] = s.sentinel(ca, ports[2+i], ports[0])
		addrs = append(addrs, s.Sentinels[i].Addr)
	}
	scheme, _, _ := strings.Cut(s.Servers[0].URL, "://")
	s.URL = scheme + "+sentinel://" + strings.Join(addrs, ",") + "/" + MasterName
	for _, one := range s.Sentinels {
		chattest.Eventually(t, "the sentinels to know each other", func() bool {
			others, _ := one.Do("SENTINEL", "SENTINELS", MasterName).([]any)
			replicas, _ := one.Do("SENTINEL", "REPLICAS", MasterName).([]any)
			return len(others) == 2 && len(replicas) == 1 && one.Info("sentinel", "master0") != "" &&
				strings.Contains(one.Info("sentinel", "master0"), "status=ok")
		})
	}
	return s
}

// sentinel starts one of them. It stores its state in its configuration file.
func (s *Sentinel) sentinel(ca *CA, port, primary int) *Server {
	s.t.Helper()
	dir := s.t.TempDir()
	file := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor %s 127.0.0.1 %d 2\n"+
		"sentinel down-after-milliseconds %[3]s 700\nsentinel failover-timeout %[3]s 3000\n", port, dir, MasterName, primary)
	one := &Server{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), t: s.t, args: []string{file, "--sentinel"}}
	if ca != nil {
		one.tls = ca.Trusting
		text += fmt.Sprintf("port 0\ntls-port %d\ntls-cert-file %s\ntls-key-file %s\ntls-ca-cert-file %s\ntls-auth-clients no\ntls-replication yes\n",
			port, ca.CertFile, ca.KeyFile, ca.CAFile)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	one.Restart()
	return one
}

// Primary returns the present primary according to the sentinels, and the other server.
func (s *Sentinel) Primary() (primary, other *Server) {
	s.t.Helper()
	reply, _ := s.Sentinels[0].Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MasterName).([]any)
	if len(reply) != 2 {
		s.t.Fatalf("the sentinel answers %v", reply)
	}
	if addr := net.JoinHostPort(reply[0].(string), reply[1].(string)); addr == s.Servers[0].Addr {
		return s.Servers[0], s.Servers[1]
	}
	return s.Servers[1], s.Servers[0]
}

// Await waits until the sentinels name the server as the primary.
func (s *Sentinel) Await(want *Server) {
	s.t.Helper()
	chattest.Eventually(s.t, "the failover", func() bool {
		now, _ := s.Primary()
		return now == want && now.Info("replication", "role") == "master"
	})
}
