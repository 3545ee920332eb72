package node_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// A room without users stays in the list if it has messages.
func TestRoomsWithoutAnybodyAreListed(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	one, two := startNode(t, b.URL(), "--rate=0"), startNode(t, b.URL(), "--rate=0")
	ann := chattest.Enter(t, one.url, "Ann", "quiet")
	said := ann.Say("quiet", "x", "1")
	ann.Send("leave", "room", "quiet")
	ann.Next("left")
	ann.Join("busy")
	bob := ioDial(t, two.url)
	bob.connect("")
	listed := func(f chattest.Frame) bool {
		return len(f.Rooms) == 2 && f.Rooms[0].Room == "busy" && f.Rooms[0].Count == 1 && f.Rooms[0].Last == 0 &&
			f.Rooms[1].Room == "quiet" && f.Rooms[1].Count == 0 && f.Rooms[1].Last == said.Time
	}
	chattest.Eventually(t, "both rooms, on each node and in each way", func() bool {
		ann.Send("rooms")
		var page chattest.Frame
		chattest.GetJSON(t, two.url+"/api/rooms", &page)
		return listed(ann.Next("rooms")) && listed(bob.ask("rooms", `{}`)) && listed(page)
	})
	var page chattest.Frame
	if chattest.GetJSON(t, two.url+"/api/rooms?after=t"+"1-zzz", &page); len(page.Rooms) != 0 {
		t.Errorf("after the last page: %v", page.Rooms)
	}
	var refused struct{ Error struct{ Code string } }
	if status := chattest.GetJSON(t, one.url+"/api/rooms?after=x", &refused); status != 400 || refused.Error.Code != "bad_field" {
		t.Errorf("an invalid cursor: %d %v", status, refused)
	}
	if f := bob.ask("rooms", `{"after":"x","ref":1}`); f.Code != "bad_field" || f.Ref != 1.0 {
		t.Errorf("an invalid cursor: %s", f.Raw)
	}
}

// With a token for some rooms, the list contains only these.
func TestTheListHoldsOnlyRoomsThatATokenOpens(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	key := strings.Repeat("k", 32)
	n := startNode(t, b.URL(), "--rate=0", "--jwt-secret="+key)
	all := token(t, key, jwt.MapClaims{"sub": "a"})
	some := token(t, key, jwt.MapClaims{"sub": "b", "rooms": []string{"open"}})
	ann, bob := chattest.Dial(t, n.url), chattest.Dial(t, n.url)
	ann.Hello("auth", all)
	bob.Hello("auth", some)
	ann.Join("open")
	ann.Join("closed")
	chattest.Eventually(t, "both rooms", func() bool {
		ann.Send("rooms")
		return len(ann.Next("rooms").Rooms) == 2
	})
	bob.Send("rooms")
	list := []chattest.Frame{bob.Next("rooms"), {}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.url+"/api/rooms", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+some)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&list[1]); err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if len(f.Rooms) != 1 || f.Rooms[0].Room != "open" {
			t.Errorf("listed: %v", f.Rooms)
		}
	}
}
