package node_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/relay"
	"example.com/chat/test/socketio/wiretest"
)

// A node keeps idle connections longer than the 60 s of load balancers. Otherwise it
// closes some just when they are used, and the POST gets 502.
func TestConnectionsRestLongerThanBalancersKeepThem(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	const balancers = 60 * time.Second
	if n.HTTP().IdleTimeout < balancers+15*time.Second {
		t.Errorf("idle connections are closed after %s", n.HTTP().IdleTimeout)
	}
	if relay.RestWithin > n.HTTP().IdleTimeout/2 {
		t.Errorf("other nodes use connections that were idle for %s", relay.RestWithin)
	}
}

// A client that offers subprotocols must get one of them back, or end the connection (RFC
// 6455 section 4.1): on /ws, and on Socket.IO's WebSocket, opened as such or by an upgrade,
// directly and through another node.
func TestSubprotocolsAreAnswered(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	one, two := startNode(t, b.URL()), startNode(t, b.URL())
	knowEachOther(t, one, two)
	session := wiretest.Open(t, ioBase(one.url))
	second := wiretest.Open(t, ioBase(one.url))
	for what, url := range map[string]string{
		"/ws":                one.url + "/ws",
		"Socket.IO":          ioBase(one.url) + "websocket",
		"upgrade":            session,
		"upgrade at another": through(second, one, two),
	} {
		d := websocket.Dialer{Subprotocols: []string{"v2.chat", "v1.chat"}}
		c, res, err := d.Dial(strings.Replace(strings.Replace(url, "http:", "ws:", 1), "transport=polling", "transport=websocket", 1), http.Header{})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := res.Header.Values("Sec-WebSocket-Protocol"); len(got) != 1 || got[0] != "v2.chat" {
			t.Errorf("%s: %q", what, got)
		}
		_ = c.Close()
	}
}
