package node_test

import (
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// A connection ends when its token expires, on both transports, unless a further hello
// brought a fresh one. Before, a moderator kept its rights until the connection ended.
func TestAConnectionEndsWithItsTokenUnlessThatIsRenewed(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	key := strings.Repeat("k", 32)
	n := startNode(t, b.URL(), "--jwt-secret="+key)
	exp := time.Now().Unix() + 4
	auth := func(sub string, exp int64, more ...string) string {
		claims := jwt.MapClaims{"sub": sub, "name": sub, "exp": exp}
		if more != nil {
			claims["rooms"] = more
		}
		return token(t, key, claims)
	}
	ends, stays := chattest.Dial(t, n.url), chattest.Dial(t, n.url)
	ends.Hello("auth", auth("Ann", exp))
	ends.Join("lobby")
	stays.Hello("auth", auth("Bob", exp))
	stays.Join("lobby")
	stays.Join("attic")
	polls := ioDial(t, n.url)
	polls.connect(`{"auth":"` + auth("Cay", exp) + `"}`)
	renews := ioDial(t, n.url)
	renews.connect(`{"auth":"` + auth("Dan", exp) + `"}`)

	// A token that is invalid, or that of another user, changes nothing.
	stays.Send("hello", "auth", auth("Bob", 1), "ref", "old")
	if f := stays.Error("unauthorized"); f.Ref != "old" {
		t.Errorf("an expired token: %s", f.Raw)
	}
	stays.Send("hello", "auth", auth("Ann", exp+100))
	stays.Error("forbidden")
	stays.Send("hello")
	stays.Error("forbidden")
	stays.Send("hello", "auth", auth("Bob", exp+100, "lobby"), "ref", "new")
	if w := stays.Next("welcome"); w.Ref != "new" || w.User != stays.Me || len(w.Nodes) != 1 {
		t.Errorf("the answer to a renewal: %s", w.Raw)
	}
	if f := stays.Next("left"); f.Room != "attic" {
		t.Errorf("a room that the new token does not permit: %s", f.Raw)
	}
	renews.Sends(`42["hello",{"auth":"` + auth("Dan", exp+100) + `"}]`)
	if got := renews.Event(); !strings.HasPrefix(got, `42["welcome",{`) {
		t.Errorf("the answer to a renewal over Socket.IO: %q", got)
	}

	ends.Closes(4001)
	if late := time.Since(time.Unix(exp, 0)); late < 0 || late > time.Second {
		t.Errorf("closed %s after the token's end", late)
	}
	if got := polls.Event(); !strings.HasPrefix(got, `42["error",{"code":"unauthorized"`) {
		t.Errorf("over Socket.IO: %q", got)
	}
	if got := polls.Event(); got != "41" {
		t.Errorf("after the error: %q", got)
	}
	stays.Say("lobby", "still here", "1")
	renews.Sends(`42["ping",{}]`)
	if got := renews.Event(); got != `42["pong",{}]` {
		t.Errorf("after the first token's end: %q", got)
	}
}
