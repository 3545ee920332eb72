package cli

import (
	"net"
	"strings"
	"testing"

	"example.com/chat/internal/redisopen"
)

// Other nodes reach a node at --peer-addr, else where it listens; if it listens on all
// addresses, at the address from which it reaches Redis.
func TestPeerAddr(t *testing.T) {
	t.Parallel()
	all, one := &net.TCPAddr{IP: net.IPv6unspecified, Port: 8080}, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 8081}
	for _, c := range []struct {
		given  string
		listen net.Addr
		redis  string
		want   string
	}{
		{"192.0.2.1:1", all, "redis://127.0.0.1:6379", "192.0.2.1:1"},
		{"", one, "redis://127.0.0.1:6379", "10.0.0.7:8081"},
		{"", all, "redis://:secret@127.0.0.1:6379", "127.0.0.1:8080"},
		{"", all, "127.0.0.2:6379,127.0.0.3:6379", "127.0.0.1:8080"},
		{"", all, "redis+sentinel://[::1]:26379/main", "[::1]:8080"},
		{"", all, "unix:///run/redis.sock", "127.0.0.1:8080"},
	} {
		target, err := redisopen.Parse(c.redis)
		if err != nil {
			t.Fatal(err)
		}
		got := peerAddr(t.Context(), c.given, c.listen, target)
		if got != c.want && !(strings.HasPrefix(c.want, "[") && got == "127.0.0.1:8080") { // on a machine without IPv6
			t.Errorf("%+v: %s", c, got)
		}
	}
}
