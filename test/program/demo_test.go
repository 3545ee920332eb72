package program_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/demo"
)

// demoAnswer is an answer of /cluster/state and /cluster/control.
type demoAnswer struct {
	status int
	allow  string // Access-Control-Allow-Origin
	demo.State
	Error struct{ Code, Message string }
}

// askDemo sends a request as a page of an origin does.
func askDemo(t *testing.T, method, url, origin, body string) demoAnswer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	must(t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	a := demoAnswer{status: res.StatusCode, allow: res.Header.Get("Access-Control-Allow-Origin")}
	must(t, json.NewDecoder(res.Body).Decode(&a))
	return a
}

var controlMeta = regexp.MustCompile(`<meta name="control" content="([0-9a-f]*)">`)

// controlToken reads the token in a node's page of the cluster.
func controlToken(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url + "/cluster")
	must(t, err)
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	must(t, err)
	found := controlMeta.FindSubmatch(page)
	if found == nil {
		t.Fatalf("/cluster: %d %s", res.StatusCode, page)
	}
	return string(found[1])
}

// aDemo is a program with --nodes and its controls.
type aDemo struct {
	*chattest.Process
	urls  []string
	token string
}

func startDemo(t *testing.T, nodes int) *aDemo {
	t.Helper()
	d := &aDemo{Process: startProgram(t, nil, fmt.Sprintf("--nodes=%d", nodes), "--addr=127.0.0.1:0", "--rate=0")}
	for k := range nodes {
		d.urls = append(d.urls, d.URL(k+1))
	}
	d.token = controlToken(t, d.urls[0])
	if len(d.token) != 64 || controlToken(t, d.urls[1]) != d.token {
		t.Fatalf("token %q", d.token)
	}
	return d
}

// order sends an order by way of one node, as its page does.
func (d *aDemo) order(t *testing.T, by int, action string, node int) demoAnswer {
	t.Helper()
	body := fmt.Sprintf(`{"token":%q,"action":%q,"node":%d}`, d.token, action, node)
	a := askDemo(t, "POST", d.urls[by-1]+"/cluster/control", d.urls[len(d.urls)-by], body)
	if a.status != 200 || a.allow != d.urls[len(d.urls)-by] {
		t.Fatalf("%s %d by %d: %+v", action, node, by, a)
	}
	return a
}

// becomes waits until a node is in a state.
func (d *aDemo) becomes(t *testing.T, node int, state string) {
	t.Helper()
	chattest.Eventually(t, fmt.Sprintf("node %d to be %s", node, state), func() bool {
		a := askDemo(t, "GET", d.urls[0]+"/cluster/state", "", "")
		return a.status == 200 && a.Nodes[node-1].State == state && a.Nodes[node-1].URL == d.urls[node-1]
	})
}

// ready reports whether a node accepts users.
func ready(t *testing.T, url string) bool {
	t.Helper()
	res, err := http.Get(url + "/readyz")
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == 200
}

func TestADemoIsControlled(t *testing.T) {
	t.Parallel()
	d := startDemo(t, 3)
	bob := chattest.Enter(t, d.urls[0], "Bob", "lobby")
	ann := chattest.Enter(t, d.urls[1], "Ann", "lobby")
	ann.Say("lobby", "one", "1")
	last := bob.Message("one")

	// A node that forwards the order to kill it answers first.
	was := chattest.PIDAt(t, d.urls[1])
	if a := d.order(t, 2, "kill", 2); a.Nodes[1].State != demo.NodeStarting {
		t.Errorf("%+v", a)
	}
	chattest.Eventually(t, "the process to end", func() bool { return chattest.ProcessState(t, was) == "" })
	d.becomes(t, 2, demo.NodeRunning)
	chattest.Eventually(t, "the node to be back", func() bool { return ready(t, d.urls[1]) })
	ann = enterAs(t, d.urls[1], ann.Token, "lobby", last.ID)

	// Freeze and wake a node.
	was = chattest.PIDAt(t, d.urls[2])
	d.order(t, 1, "freeze", 3)
	chattest.Eventually(t, "the process to stop", func() bool { return chattest.ProcessState(t, was) == "T" })
	d.becomes(t, 3, demo.NodeFrozen)
	d.order(t, 2, "wake", 3)
	chattest.Eventually(t, "the process to continue", func() bool { return ready(t, d.urls[2]) })

	// Drain a node: its users' connections are closed.
	was = chattest.PIDAt(t, d.urls[1])
	d.order(t, 1, "drain", 2)
	ann.Closes(1012)
	chattest.Eventually(t, "the process to end", func() bool { return chattest.ProcessState(t, was) == "" })
	d.becomes(t, 2, demo.NodeRunning)

	// The broker stops, and starts with all its data. A node that was killed meanwhile
	// waits for it, and starts as soon as it can.
	if a := d.order(t, 1, "stop", 0); a.Broker != demo.BrokerStopped {
		t.Errorf("%+v", a)
	}
	chattest.Eventually(t, "node 1 to lose Redis", func() bool { return !ready(t, d.urls[0]) })
	if bob.Next("status").Broker != "down" {
		t.Error("users got the status up without the broker")
	}
	d.order(t, 1, "kill", 3)
	chattest.Eventually(t, "node 3 to wait for Redis", func() bool { return strings.Contains(d.Errs(), "waiting for it") })
	d.order(t, 1, "start", 0)
	chattest.Eventually(t, "all to be back", func() bool { return ready(t, d.urls[0]) && ready(t, d.urls[1]) && ready(t, d.urls[2]) })
	ann = enterAs(t, d.urls[2], ann.Token, "lobby", last.ID)
	ann.Say("lobby", "two", "2")
	bob.Message("two")
	d.becomes(t, 3, demo.NodeRunning)
}

// enterAs joins a room again, which must be recovered.
func enterAs(t *testing.T, url, token, room, after string) *chattest.Client {
	t.Helper()
	p := chattest.Dial(t, url)
	p.Hello("token", token)
	if j := p.Join(room, "after", after); !j.Recovered {
		t.Errorf("joined: %s", j.Raw)
	}
	return p
}

func TestOutsideOfADemoNothingIsControlled(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	lone := startProgram(t, []string{"CHAT_CONTROL=127.0.0.1:1", "CHAT_CONTROL_TOKEN=ab", "CHAT_CONTROL_PORTS=8080"}, "--addr=127.0.0.1:0", "--ui=demo")
	joined := startProgram(t, []string{"CHAT_REDIS=" + b.URL()}, "--nodes=2", "--addr=127.0.0.1:0")
	for name, url := range map[string]string{"one node": lone.URL(1), "nodes on a Redis": joined.URL(2)} {
		if token := controlToken(t, url); token != "" {
			t.Errorf("%s: a token", name)
		}
		for path, method := range map[string]string{"/cluster/state": "GET", "/cluster/control": "POST"} {
			if a := askDemo(t, method, url+path, url, `{}`); a.status != 404 || a.Error.Message == "" || a.allow != "" {
				t.Errorf("%s: %s %+v", name, path, a)
			}
		}
	}
}
