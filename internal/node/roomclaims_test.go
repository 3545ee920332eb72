package node_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/redisbroker"
)

// A user whose token opens some rooms finds these on the first pages of the list, although
// hundreds of other rooms are before them, and reads nothing of those by any after. That is
// so over each transport and over HTTP, also for moderators.
func TestTheListTellsNothingOfRoomsThatATokenDoesNotOpen(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	key := strings.Repeat("k", 32)
	n := startNode(t, b.URL(), "--rate=0", "--jwt-secret="+key)
	opts, err := redis.ParseURL(b.URL())
	must(t, err)
	rdb := redis.NewClient(opts)
	defer rdb.Close()
	pipe := rdb.Pipeline()
	idle := func(room string, ms int) {
		pipe.ZAdd(t.Context(), "chat:{cluster}:directory", redis.Z{Score: float64(ms), Member: room})
		pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: redisbroker.LogKey("chat", room), ID: "1-1", Values: []string{"m", "x"}})
	}
	var many []string
	for i := range 700 {
		idle(fmt.Sprintf("secret%03d", i), 5000+i)
		many = append(many, fmt.Sprintf("own%03d", i))
		idle(many[i], 3000-i) // own000 is the newest
	}
	_, err = pipe.Exec(t.Context())
	must(t, err)

	for name, claims := range map[string]jwt.MapClaims{
		"some": {"sub": "a", "rooms": []string{"own500", "own001", "absent"}},
		"mod":  {"sub": "m", "mod": true, "rooms": []string{"own500", "own001"}},
		"many": {"sub": "b", "rooms": many},
		"none": {"sub": "c", "rooms": []string{}},
	} {
		var want []string
		switch name {
		case "many":
			want = many
		case "some", "mod":
			want = []string{"own001", "own500"}
		}
		for way, read := range waysToListRooms(t, n.url, token(t, key, claims)) {
			var got []string
			for after, pages := "", 0; pages < 10; pages++ {
				page, raw := read(after)
				if strings.Contains(raw, "secret") {
					t.Fatalf("%s, %s, after %q: %.200s", name, way, after, raw)
				}
				got = append(got, page.names()...)
				if after = page.Next; after == "" {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, %s: %d rooms are listed, not %d: %.200v", name, way, len(got), len(want), got)
			}
			for _, after := range []string{"u9-x", "t9007199254740992-", "t5300-secret300", "t5300-x", "t5000-secret000", "t4000-x"} {
				page, raw := read(after)
				if first := want[:min(len(want), 500)]; strings.Contains(raw, "secret") || !slices.Equal(page.names(), first) {
					t.Errorf("%s, %s, after %s: %.200s", name, way, after, raw)
				}
			}
		}
	}
}

// listed is the answer to rooms.
type listed struct {
	Rooms []struct{ Room string }
	Next  string
}

func (l listed) names() (list []string) {
	for _, r := range l.Rooms {
		list = append(list, r.Room)
	}
	return list
}

// waysToListRooms returns functions that read a page of the list of rooms with a JWT, each
// in another way, and return it also as JSON.
func waysToListRooms(t *testing.T, node, jwt string) map[string]func(after string) (listed, string) {
	t.Helper()
	ws, io4 := chattest.Dial(t, node), ioDial(t, node)
	ws.Hello("auth", jwt)
	io4.connect(`{"auth":"` + jwt + `"}`)
	parse := func(raw string) (page listed, text string) {
		must(t, json.Unmarshal([]byte(raw), &page))
		return page, raw
	}
	return map[string]func(string) (listed, string){
		"/ws": func(after string) (listed, string) {
			ws.Send("rooms", "after", after)
			return parse(ws.Next("rooms").Raw)
		},
		"Socket.IO": func(after string) (listed, string) {
			raw := io4.ask("rooms", `{"after":"`+after+`"}`).Raw
			return parse(raw[strings.Index(raw, "{") : strings.LastIndex(raw, "}")+1])
		},
		"HTTP": func(after string) (listed, string) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, node+"/api/rooms?after="+url.QueryEscape(after), nil)
			must(t, err)
			r.Header.Set("Authorization", "Bearer "+jwt)
			res, err := http.DefaultClient.Do(r)
			must(t, err)
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			must(t, err)
			return parse(string(body))
		},
	}
}
