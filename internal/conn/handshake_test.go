package conn

import (
	"testing"

	"github.com/gorilla/websocket"
)

// A client that offers subprotocols ends a connection that answers none of them (RFC
// 6455 section 4.1).
func TestTheFirstSubprotocolIsAnswered(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	for _, offered := range [][]string{nil, {"chat"}, {"v1.chat", "v2.chat"}} {
		d := websocket.Dialer{Subprotocols: offered}
		c, res, err := d.Dial("ws://"+s.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := ""
		if offered != nil {
			want = offered[0]
		}
		if c.Subprotocol() != want || len(res.Header.Values("Sec-WebSocket-Protocol")) > 1 {
			t.Errorf("%v: got %q", offered, c.Subprotocol())
		}
		_ = c.Close()
	}
	if isToken("a b") || isToken("") || isToken("a,b") || !isToken("v1.chat+json") {
		t.Error("isToken is wrong")
	}
}
