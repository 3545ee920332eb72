package node_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// nodeLine is one node in the answer of /api/nodes.
type nodeLine struct {
	ID, URL, State            string
	Users, Connections, Rooms int
	Rate                      float64
	RTT                       *float64 `json:"rtt_ms"`
	Age                       *int64   `json:"age_ms"`
	Seen                      *int64   `json:"seen_ms"`
}

// nodeLines returns the status of all nodes by id, as one node reports it.
func nodeLines(t *testing.T, url string) map[string]nodeLine {
	t.Helper()
	var answer struct{ Nodes []nodeLine }
	if status := chattest.GetJSON(t, url+"/api/nodes", &answer); status != 200 {
		t.Fatalf("/api/nodes: %d", status)
	}
	all := make(map[string]nodeLine)
	for _, n := range answer.Nodes {
		all[n.ID] = n
	}
	return all
}

func TestEachNodeTellsHowAllAre(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	one := startNode(t, b.URL(), "--node-id=one", "--rate=0")
	two := startNode(t, b.URL(), "--node-id=two")
	ann := chattest.Enter(t, one.url, "Ann", "lobby")
	chattest.Enter(t, one.url, "Bob", "lobby").Join("quiet")
	for i := range 20 {
		ann.Say("lobby", "x", fmt.Sprint(i))
	}
	ways := map[string]string{"itself": one.url, "the other": two.url}
	for from, url := range ways {
		chattest.Eventually(t, "what "+from+" says of one", func() bool {
			n := nodeLines(t, url)["one"]
			return n.State == "ready" && n.URL == one.url && n.Users == 2 && n.Connections == 2 && n.Rooms == 2 && n.Rate >= 1 &&
				n.RTT != nil && *n.RTT > 0 && n.Age != nil && *n.Age < 3000 && n.Seen != nil && *n.Seen < 3000
		})
	}
	chattest.Eventually(t, "the status of node two, which has no users", func() bool { // its first heartbeat precedes its readiness
		n := nodeLines(t, one.url)["two"]
		return n.State == "ready" && n.Users == 0 && n.Rooms == 0 && n.Rate == 0
	})
	chattest.Eventually(t, "the rate to fall to 0", func() bool { return nodeLines(t, two.url)["one"].Rate == 0 })

	two.SetDraining()
	two.Broker().Hurry()
	chattest.Eventually(t, "node two to drain", func() bool { return nodeLines(t, one.url)["two"].State == "draining" })

	// Without Redis a node reports its own status, and that those of others are old.
	b.Close()
	chattest.Eventually(t, "node one to lose Redis", func() bool {
		all := nodeLines(t, one.url)
		return all["one"].State == "away" && all["two"].Seen != nil && *all["two"].Seen > 1500
	})
}

// A node of an older version writes no status.
func TestANodeThatTellsNothingIsListedByIDAndURL(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	one := startNode(t, b.URL(), "--node-id=one")
	opts, err := redis.ParseURL(b.URL())
	must(t, err)
	ctx, rdb := t.Context(), redis.NewClient(opts)
	defer rdb.Close()
	must(t, rdb.HSet(ctx, "chat:{cluster}:info", "old~1", `{"id":"old","port":9}`).Err())
	must(t, rdb.ZAdd(ctx, "chat:{cluster}:nodes", redis.Z{
		Score: float64(time.Now().Add(5 * time.Second).UnixMilli()), Member: "old~1",
	}).Err())
	chattest.Eventually(t, "the node of the older version", func() bool { return nodeLines(t, one.url)["old"].ID != "" })
	if n := nodeLines(t, one.url)["old"]; n != (nodeLine{ID: "old", URL: "http://127.0.0.1:9"}) {
		t.Errorf("%+v", n)
	}
}

func TestPagesThatMayConnectMayReadTheAPI(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--origin=https://friend.example")
	other := startNode(t, b.URL())
	chattest.Eventually(t, "both", func() bool { return len(nodeLines(t, n.url)) == 2 })
	for _, path := range []string{"/api/nodes", "/api/rooms", "/api/rooms/lobby/messages", "/api/trace?key=trace-x", "/api/nothing"} {
		for origin, want := range map[string]string{
			"":                       "",
			n.url:                    n.url,
			other.url:                other.url,
			"https://friend.example": "https://friend.example",
			"https://foe.example":    "",
			"null":                   "",
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.url+path, nil)
			must(t, err)
			if origin != "" {
				req.Header.Set("Origin", origin)
			}
			res, err := http.DefaultClient.Do(req)
			must(t, err)
			_ = res.Body.Close()
			if got := res.Header.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("%s for %q: allowed %q, want %q", path, origin, got, want)
			}
			if res.Header.Get("Vary") != "Origin" || res.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s for %q: %v", path, origin, res.Header)
			}
			req.Method = http.MethodOptions // preflight: may it send a JWT?
			res, err = http.DefaultClient.Do(req)
			must(t, err)
			_ = res.Body.Close()
			if got := res.Header.Get("Access-Control-Allow-Headers"); (got == "Authorization") != (want != "") || (res.StatusCode == 204) != (want != "") {
				t.Errorf("%s for %q, a preflight: %d %q", path, origin, res.StatusCode, got)
			}
		}
	}
}

// traceLine is the answer of /api/trace.
type traceLine struct {
	Node        string
	Now         int64
	Received    int64
	AppendBegan int64 `json:"append_began"`
	AppendEnded int64 `json:"append_ended"`
	Heard       int64
	Handed      int64
}

func TestAMessageIsTracedThroughTheNodes(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	one := startNode(t, b.URL(), "--node-id=one", "--rate=0")
	two := startNode(t, b.URL(), "--node-id=two")
	away := startNode(t, b.URL(), "--node-id=away")
	ann, bob := chattest.Enter(t, one.url, "Ann", "lobby"), chattest.Enter(t, two.url, "Bob", "lobby")
	began := time.Now().UnixMicro()
	ann.Say("lobby", "one", "trace-1")
	bob.Message("one")
	ann.Say("lobby", "two", "plain")
	bob.Message("two")

	var said, heard traceLine
	chattest.Eventually(t, "the trace at the first node", func() bool {
		return chattest.GetJSON(t, one.url+"/api/trace?key=trace-1", &said) == 200 && said.Handed != 0 && said.AppendEnded != 0
	})
	if said.Node != "one" || !(began <= said.Received && said.Received <= said.AppendBegan && said.AppendBegan < said.AppendEnded && said.AppendEnded <= said.Now) ||
		!(said.AppendBegan < said.Heard && said.Heard <= said.Handed && said.Handed <= said.Now) {
		t.Errorf("at the first node: %+v, from %d on", said, began)
	}
	chattest.Eventually(t, "the trace at the second node", func() bool {
		return chattest.GetJSON(t, two.url+"/api/trace?key=trace-1", &heard) == 200 && heard.Handed != 0
	})
	if heard.Node != "two" || heard.Received+heard.AppendBegan+heard.AppendEnded != 0 || !(said.AppendBegan < heard.Heard && heard.Heard <= heard.Handed) {
		t.Errorf("at the second node: %+v", heard)
	}
	// A node that does not follow the room has no trace, and no node has one of an entry
	// that is not traced.
	for _, url := range []string{away.url + "/api/trace?key=trace-1", one.url + "/api/trace?key=plain", one.url + "/api/trace", one.url + "/api/trace?key=trace-2"} {
		var answer struct {
			Error struct{ Code, Message string }
		}
		if status := chattest.GetJSON(t, url, &answer); status != 404 || answer.Error.Code != "not_found" {
			t.Errorf("%s: %d %+v", url, status, answer)
		}
	}
}

// In production only operators see the status of nodes and the cluster's page. Clients
// see the nodes' URLs.
func TestOnlyOperatorsSeeTheCluster(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	debug := fmt.Sprintf("127.0.0.1:%d", chattest.FreePorts(t, 1)[0])
	plain := startNode(t, b.URL(), "--host=chat.example.org", "--debug-addr="+debug)
	demo := startNode(t, redistest.Embedded(t).URL(), "--host=chat.example.org", "--ui=demo")
	for _, c := range []struct {
		url, host, header string
		cluster           int
		details           bool
	}{
		{plain.url, "chat.example.org", "", 404, false},
		{plain.url, "localhost", "X-Forwarded-For", 404, false},
		{plain.url, "localhost", "", 404, true}, // curl on the machine itself
		{"http://" + debug, "localhost", "", 200, true},
		{demo.url, "chat.example.org", "", 200, true},
	} {
		var headers []string
		if c.header != "" {
			headers = []string{c.header, "203.0.113.9"}
		}
		if res, _ := chattest.AskAs(t, "GET", c.url+"/cluster", c.host, headers...); res.StatusCode != c.cluster {
			t.Errorf("%+v: /cluster is %d", c, res.StatusCode)
		}
		res, body := chattest.AskAs(t, "GET", c.url+"/api/nodes", c.host, headers...)
		if res.StatusCode != 200 || !strings.Contains(body, `"url":"http`) || strings.Contains(body, "connections") != c.details {
			t.Errorf("%+v: /api/nodes is %d %s", c, res.StatusCode, body)
		}
	}
	for n, want := range map[*testNode]string{plain: "plain", demo: "demo"} {
		if _, page := chattest.AskAs(t, "GET", n.url+"/", "localhost"); !strings.Contains(page, `<meta name="chat-ui" content="`+want+`">`) {
			t.Errorf("the page of a %s node does not say so", want)
		}
	}
	// The nodes of --nodes are a demo, unless --ui says otherwise.
	for _, args := range [][]string{{"demo"}, {"plain", "--ui=plain"}} {
		c := startProgram(t, nil, append([]string{"--nodes=2", "--addr=127.0.0.1:0"}, args[1:]...)...)
		if _, page := chattest.AskAs(t, "GET", c.URL(2)+"/", "localhost"); !strings.Contains(page, `<meta name="chat-ui" content="`+args[0]+`">`) {
			t.Errorf("the page of --nodes %v is no %s", args[1:], args[0])
		}
	}
}
