package node_test

import (
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// A JWT's sub identifies the user, and its name is shown as well as the rules allow,
// also if others have the same name. Before, two users with one name excluded each other,
// and a user with an invalid name became a guest.
func TestUsersWithAJWTShareNames(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	key := strings.Repeat("k", 32)
	one, two := startNode(t, b.URL(), "--jwt-secret="+key), startNode(t, b.URL(), "--jwt-secret="+key)
	enterAs := func(url, sub string, name any, fields ...any) *chattest.Client {
		t.Helper()
		claims := jwt.MapClaims{"sub": sub, "exp": time.Now().Add(time.Hour).Unix()}
		if name != nil {
			claims["name"] = name
		}
		p := chattest.Dial(t, url)
		p.Hello(append(fields, "auth", token(t, key, claims))...)
		return p
	}
	ann, other := enterAs(one.url, "ann-1", "Ann"), enterAs(two.url, "ann-2", "Ann")
	if ann.Me != (chattest.User{ID: "ann-1", Name: "Ann"}) || other.Me != (chattest.User{ID: "ann-2", Name: "Ann"}) {
		t.Errorf("the users are %v and %v", ann.Me, other.Me)
	}
	ann.Join("lobby")
	chattest.Eventually(t, "Redis to list the users", func() bool {
		list, err := one.Broker().Room().Present(t.Context(), "lobby")
		return err == nil && len(list) == 1
	})
	if j := other.Join("lobby"); j.Count != 2 || !chattest.Seen(j.Members, "ann-1") || !chattest.Seen(j.Members, "ann-2") {
		t.Errorf("joined: %s", j.Raw)
	}
	other.Say("lobby", "which one?", "1")
	if m := ann.Message("which one?"); m.User != other.Me {
		t.Errorf("message: %s", m.Raw)
	}
	ann.Send("rename", "name", "Bob")
	ann.Next("renamed")
	ann.Send("rename", "name", "Ann")
	if f := ann.Next("renamed"); f.User != (chattest.User{ID: "ann-1", Name: "Ann"}) {
		t.Errorf("renamed: %s", f.Raw)
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
		if p.Me != (chattest.User{ID: c.sub, Name: c.want}) {
			t.Errorf("%q with the name %v is %v, want %q", c.sub, c.name, p.Me, c.want)
		}
	}
	if p := enterAs(one.url, "@@@", nil); !strings.HasPrefix(p.Me.Name, "user-") {
		t.Errorf("@@@ is %v", p.Me)
	}
	// The name in the hello counts only if the token has none.
	if p := enterAs(one.url, "u7", nil, "name", "Ann"); p.Me != (chattest.User{ID: "u7", Name: "Ann"}) {
		t.Errorf("u7 is %v", p.Me)
	}
	if p := enterAs(one.url, "u8", "Ann", "name", "<b>"); p.Me != (chattest.User{ID: "u8", Name: "Ann"}) {
		t.Errorf("u8 is %v", p.Me)
	}
}
