//go:build linux

package badnet

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
)

// refusedWithin is how long a node may take to refuse a request because the session's node
// can't be reached. Clients open another session then.
const refusedWithin = 10 * time.Second

// Nodes can't reach each other, and a balancer sends the requests of a session to all of
// them: the requests are refused soon. They hung for 40 s. It is one story: requests are
// relayed, fail while nodes are parted, and are relayed again.
func TestNodesThatCannotReachEachOther(t *testing.T) {
	chattest.NeedLong(t)
	t.Parallel()
	r := newRig(t)
	web := &http.Client{Transport: &http.Transport{DialContext: r.host("client").dial}}
	ask := func(method, url, body string) (int, string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), chattest.Patience)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := web.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		return res.StatusCode, string(text), err
	}
	const path = "/socket.io/?EIO=4&transport=polling"
	open := func() (query string) {
		status, text, err := ask(http.MethodGet, r.urls[0]+path, "")
		_, rest, ok := strings.Cut(text, `"sid":"`)
		sid, _, _ := strings.Cut(rest, `"`)
		if err != nil || status != http.StatusOK || !ok {
			t.Fatalf("the handshake: %d %s %v", status, text, err)
		}
		return path + "&sid=" + sid
	}
	// First over good lines, so that nodes keep connections to each other.
	session := open()
	for _, node := range r.urls[1:] {
		if status, text, err := ask(http.MethodPost, node+session, "40"); err != nil || status != http.StatusOK {
			t.Fatalf("relayed by %s: %d %s %v", node, status, text, err)
		}
		if status, _, err := ask(http.MethodGet, node+session, ""); err != nil || status != http.StatusOK {
			t.Fatalf("relayed by %s: %d %v", node, status, err)
		}
		session = open()
	}
	for i, a := range r.nodes {
		for _, b := range r.nodes[i+1:] {
			r.net.part(a, b, true)
		}
	}
	for _, c := range []struct{ method, node, body string }{
		{http.MethodPost, r.urls[1], "40"}, {http.MethodGet, r.urls[2], ""}, // over connections that were kept
		{http.MethodPost, r.urls[1], "40"}, {http.MethodGet, r.urls[2], ""},
	} {
		began := time.Now()
		status, text, err := ask(c.method, c.node+open(), c.body)
		took := time.Since(began)
		if errors.Is(err, context.DeadlineExceeded) || took > refusedWithin {
			t.Errorf("%s by %s took %s: %v", c.method, c.node, took, err)
		} else if err != nil || status < 400 {
			t.Errorf("%s by %s: %d %s %v", c.method, c.node, status, text, err)
		}
		t.Logf("%s by %s: %d after %s", c.method, c.node, status, took.Round(100*time.Millisecond))
	}
	for i, a := range r.nodes {
		for _, b := range r.nodes[i+1:] {
			r.net.part(a, b, false)
		}
	}
	chattest.Eventually(t, "requests to be relayed again", func() bool {
		status, _, err := ask(http.MethodPost, r.urls[1]+open(), "40")
		return err == nil && status == http.StatusOK
	})
}
