package client

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/fakenode"
)

// jwt returns an unsigned JWT.
func jwt(n int64, exp time.Time) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"HS256"}`)) + "." + part(fmt.Appendf(nil, `{"n":%d,"exp":%f}`, n, float64(exp.UnixMilli())/1000)) + ".c2ln"
}

// auths returns the JWTs of the hellos that a node received.
func auths(n *fakenode.Node) (list []string) {
	for _, cmd := range n.Heard("hello") {
		list = append(list, cmd.Auth)
	}
	return list
}

func TestAJWTIsRenewedBeforeItExpires(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	var calls atomic.Int64
	f := open(t, Options{URL: n.URL, AuthFrom: func(context.Context) (string, error) {
		return jwt(calls.Add(1), time.Now().Add(200*time.Millisecond)), nil
	}})
	chattest.Eventually(t, "two renewals", func() bool { return len(auths(n)) >= 3 })
	seen := make(map[string]bool)
	for _, auth := range auths(n) {
		if auth == "" || seen[auth] {
			t.Errorf("the hellos had %q", auths(n))
		}
		seen[auth] = true
	}
	if l := f.losses(); l != "" {
		t.Errorf("lost: %s", l)
	}
}

func TestARefusedJWTIsReplacedWhereThereIsAnother(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	var now atomic.Int64
	f := open(t, Options{URL: n.URL, AuthFrom: func(context.Context) (string, error) {
		if now.Load() == 2 {
			return "", errors.New("the application does not answer")
		}
		return jwt(now.Load(), time.Now().Truncate(time.Hour).Add(2*time.Hour)), nil
	}})
	f.follow(t, "lobby", 0)
	now.Store(1)
	n.Close(4001, "the token has expired")
	c.Say("lobby", "1")
	f.wants(t, "1")
	if list := auths(n); len(list) != 2 || list[0] == list[1] {
		t.Errorf("the hellos had %q", list)
	}
	// If the source fails, it is called again.
	now.Store(2)
	n.Cut()
	chattest.Eventually(t, "a try without a JWT", func() bool { return f.last().Err != nil })
	now.Store(3)
	c.Say("lobby", "2")
	f.wants(t, "1", "2")
	// The JWT that was refused would be refused again.
	n.Close(4001, "the token has expired")
	<-f.Done()
	if err := f.Err(); err == nil || err.Error() != "the node does not let this user in: the token has expired" {
		t.Errorf("ended with %v", err)
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_764_000_000_500)
	if got, ok := expiry(jwt(1, at)); !ok || !got.Equal(at) {
		t.Errorf("got %v, %t", got, ok)
	}
	part := base64.RawURLEncoding.EncodeToString
	for _, auth := range []string{"", "a.b.c", "a." + part([]byte(`{}`)) + ".c", "a." + part([]byte(`{"exp":"1"}`)) + ".c", "a." + part([]byte(`{"exp":1e300}`)) + ".c"} {
		if got, ok := expiry(auth); ok {
			t.Errorf("%q: got %v", auth, got)
		}
	}
}
