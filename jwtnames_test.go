package main

import (
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/chat/internal/chattest"
)

// Two users of a directory with the same name locked each other out, and one whose name
// was no name of the chat became a guest. A JWT's sub is who it is; its name is shown as
// well as it can be, whoever else shows it.
func TestUsersWithAJWTShareNames(t *testing.T) {
	t.Parallel()
	b := startTestBroker(t)
	key := strings.Repeat("k", 32)
	one, two := startNode(t, b.URL(), "--jwt-secret="+key), startNode(t, b.URL(), "--jwt-secret="+key)
	enterAs := func(url, sub string, name any, fields ...any) *peer {
		t.Helper()
		claims := jwt.MapClaims{"sub": sub, "exp": time.Now().Add(time.Hour).Unix()}
		if name != nil {
			claims["name"] = name
		}
		p := dial(t, url)
		p.hello(append(fields, "auth", token(t, key, claims))...)
		return p
	}
	ann, other := enterAs(one.url, "ann-1", "Ann"), enterAs(two.url, "ann-2", "Ann")
	if ann.me != (user{"ann-1", "Ann"}) || other.me != (user{"ann-2", "Ann"}) {
		t.Errorf("they are %v and %v", ann.me, other.me)
	}
	ann.join("lobby")
	chattest.Eventually(t, "Redis to know who is there", func() bool {
		list, err := one.broker.Present(t.Context(), "lobby")
		return err == nil && len(list) == 1
	})
	if j := other.join("lobby"); j.Count != 2 || !seen(j.Members, "ann-1") || !seen(j.Members, "ann-2") {
		t.Errorf("joined: %s", j.raw)
	}
	other.say("lobby", "which one?", "1")
	if m := ann.message("which one?"); m.User != other.me {
		t.Errorf("message: %s", m.raw)
	}
	ann.send("rename", "name", "Bob")
	ann.next("renamed")
	ann.send("rename", "name", "Ann")
	if f := ann.next("renamed"); f.User != (user{"ann-1", "Ann"}) {
		t.Errorf("renamed: %s", f.raw)
	}
	for _, c := range []struct {
		sub  string
		name any
		want string
	}{
		{"u1", "O'Brien, Pat (Sales)", "OʼBrien Pat Sales"},
		{"u2", strings.Repeat("long ", 20), "long long long long long long lo"},
		{"u3", "Ann\u200b", "Ann"},
		{"u4", "🙂", "u4"},
		{"u5", nil, "u5"},
		{"u6", "", "u6"},
		{"mail@example.org", nil, "mail example.org"},
	} {
		p := enterAs(one.url, c.sub, c.name)
		if p.me != (user{c.sub, c.want}) {
			t.Errorf("%q with the name %v is %v, want %q", c.sub, c.name, p.me, c.want)
		}
	}
	if p := enterAs(one.url, "@@@", nil); !strings.HasPrefix(p.me.Name, "user-") {
		t.Errorf("@@@ is %v", p.me)
	}
	// Without a name in the token that of the hello counts; with one it is not looked at.
	if p := enterAs(one.url, "u7", nil, "name", "Ann"); p.me != (user{"u7", "Ann"}) {
		t.Errorf("u7 is %v", p.me)
	}
	if p := enterAs(one.url, "u8", "Ann", "name", "<b>"); p.me != (user{"u8", "Ann"}) {
		t.Errorf("u8 is %v", p.me)
	}
}
