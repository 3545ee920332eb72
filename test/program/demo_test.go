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

// demoAnswer is what /cluster/state and /cluster/control answer.
type demoAnswer struct {
	status int
	allow  string // Access-Control-Allow-Origin
	demo.State
	Error struct{ Code, Message string }
}

// askDemo makes a request of a page at an origin.
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

// controlToken reads the token that a node's page of the cluster holds.
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

// order has one node pass on what is to be done, as a page on another.
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

// ready tells whether a node takes users.
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

	// Killed, by itself: it answers before.
	was := chattest.PIDAt(t, d.urls[1])
	if a := d.order(t, 2, "kill", 2); a.Nodes[1].State != demo.NodeStarting {
		t.Errorf("%+v", a)
	}
	chattest.Eventually(t, "its end", func() bool { return chattest.ProcessState(t, was) == "" })
	d.becomes(t, 2, demo.NodeRunning)
	chattest.Eventually(t, "it to be back", func() bool { return ready(t, d.urls[1]) })
	ann = enterAs(t, d.urls[1], ann.Token, "lobby", last.ID)

	// Frozen, and woken.
	was = chattest.PIDAt(t, d.urls[2])
	d.order(t, 1, "freeze", 3)
	chattest.Eventually(t, "it to stand still", func() bool { return chattest.ProcessState(t, was) == "T" })
	d.becomes(t, 3, demo.NodeFrozen)
	d.order(t, 2, "wake", 3)
	chattest.Eventually(t, "it to go on", func() bool { return ready(t, d.urls[2]) })

	// Drained: users are sent away.
	was = chattest.PIDAt(t, d.urls[1])
	d.order(t, 1, "drain", 2)
	ann.Closes(1012)
	chattest.Eventually(t, "its end", func() bool { return chattest.ProcessState(t, was) == "" })
	d.becomes(t, 2, demo.NodeRunning)

	// The broker is away and comes back with all it had. A node that was killed
	// meanwhile waits for it, and starts as soon as it can.
	if a := d.order(t, 1, "stop", 0); a.Broker != demo.BrokerStopped {
		t.Errorf("%+v", a)
	}
	chattest.Eventually(t, "node 1 to notice", func() bool { return !ready(t, d.urls[0]) })
	if bob.Next("status").Broker != "down" {
		t.Error("users are told that the broker is there")
	}
	d.order(t, 1, "kill", 3)
	chattest.Eventually(t, "node 3 to wait in vain", func() bool { return strings.Contains(d.Errs(), "waiting for it") })
	d.order(t, 1, "start", 0)
	chattest.Eventually(t, "all to be back", func() bool { return ready(t, d.urls[0]) && ready(t, d.urls[1]) && ready(t, d.urls[2]) })
	ann = enterAs(t, d.urls[2], ann.Token, "lobby", last.ID)
	ann.Say("lobby", "two", "2")
	bob.Message("two")
	d.becomes(t, 3, demo.NodeRunning)
}

// enterAs comes back to a room, which must be recovered.
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
