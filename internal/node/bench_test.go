package node_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest/redistest"
	"example.com/chat/internal/check"
	"example.com/chat/internal/cli"

	"example.com/chat/internal/chattest"
)

// bench runs `chat bench` with small numbers.
func bench(ctx context.Context, url string, args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	args = append([]string{"--url=" + url, "--clients=12", "--rooms=2", "--rate=80", "--for=2s", "--churn=500ms"}, args...)
	err = cli.Bench(ctx, args, &out, &errs)
	return out.String(), errs.String(), err
}

// The nodes have their usual limits, and one of them stops during the bench.
func TestBenchIsContentWithAGoodCluster(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	nodes := []*testNode{startNode(t, b.URL()), startNode(t, b.URL()), startNode(t, b.URL())}
	file := filepath.Join(t.TempDir(), "history.jsonl")
	var stdout, stderr string
	var err error
	var running sync.WaitGroup
	running.Go(func() { stdout, stderr, err = bench(t.Context(), nodes[0].url, "--out="+file) })
	chattest.Eventually(t, "the load to start", func() bool { return nodes[2].Hub().Stats().Frames > 10 })
	nodes[2].Close(0)
	running.Wait()
	if strings.Count(stderr, "\n") > 4 {
		t.Errorf("the output about one node that stopped is too long:\n%s", stderr)
	}
	if err != nil || !strings.Contains(stdout, "every promise was kept") {
		t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	for _, n := range nodes {
		if n.Conns().Stats().Opened == 0 {
			t.Error("a node was not used")
		}
	}
	if sent := number(t, stdout, "sent"); sent < 20 || number(t, stdout, "acknowledged") != sent || number(t, stdout, "heard") < 5*sent {
		t.Errorf("printed:\n%s", stdout)
	}
	var report bytes.Buffer
	if err := cli.Verify([]string{file}, strings.NewReader(""), &report); err != nil || !strings.Contains(report.String(), "every promise was kept") {
		t.Errorf("chat verify of what it wrote: %v\n%s", err, report.String())
	}
	// The bench deletes its messages, so its rooms disappear.
	history, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer history.Close()
	list, err := check.Read(history)
	if err != nil {
		t.Fatal(err)
	}
	rooms := make(map[string]bool)
	for _, r := range list {
		if r.Op == check.OpLog {
			rooms[r.Room] = true
		}
	}
	for room := range rooms {
		var page struct{ Messages []chattest.Frame }
		if status := chattest.GetJSON(t, nodes[0].url+"/api/rooms/"+room+"/messages", &page); status != 200 || len(page.Messages) > 0 {
			t.Errorf("%s: status %d, %d messages are left", room, status, len(page.Messages))
		}
	}
	if strings.Contains(stdout, "\nleft ") || len(rooms) != 2 {
		t.Errorf("%d rooms, printed:\n%s", len(rooms), stdout)
	}
	chattest.Eventually(t, "the rooms to disappear", func() bool {
		var answer struct{ Rooms []struct{ Room string } }
		chattest.GetJSON(t, nodes[0].url+"/api/rooms", &answer)
		return !slices.ContainsFunc(answer.Rooms, func(r struct{ Room string }) bool { return strings.HasPrefix(r.Room, "bench-") })
	})
}

// number reads the first number of a line of the result.
func number(t *testing.T, stdout, line string) int {
	t.Helper()
	for l := range strings.Lines(stdout) {
		if f := strings.Fields(l); len(f) > 1 && f[0] == line {
			n, err := strconv.Atoi(strings.TrimSuffix(f[1], ","))
			if err != nil {
				t.Fatalf("%q: %v", l, err)
			}
			return n
		}
	}
	t.Fatalf("no line %q in\n%s", line, stdout)
	return 0
}

// crooked is a proxy before a node that changes one of its events or answers.
type crooked struct {
	target string
	event  string                                // the kind that is changed
	after  int64                                 // how many of them pass unchanged before it
	change func(frame []byte) (instead [][]byte) // returns the text that the client gets
	body   func(body string) string              // changes the body of an HTTP answer; nil for none

	seen    atomic.Int64
	changed atomic.Bool
}

func (p *crooked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/ws" {
		target, _ := url.Parse(p.target)
		proxy := httputil.NewSingleHostReverseProxy(target)
		proxy.ModifyResponse = func(res *http.Response) error {
			if p.body == nil {
				return nil
			}
			body, err := io.ReadAll(res.Body)
			text := p.body(string(body))
			res.Body = io.NopCloser(strings.NewReader(text))
			res.ContentLength = int64(len(text))
			res.Header.Set("Content-Length", strconv.Itoa(len(text)))
			return err
		}
		proxy.ServeHTTP(w, r)
		return
	}
	node, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(p.target, "http")+"/ws", nil)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer node.Close()
	var up websocket.Upgrader
	client, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer client.Close()
	go func() { // ends with the connections, which close when either does
		defer node.Close()
		for {
			kind, frame, err := client.ReadMessage()
			if err != nil || node.WriteMessage(kind, frame) != nil {
				return
			}
		}
	}()
	for {
		_, frame, err := node.ReadMessage()
		if err != nil {
			return
		}
		for _, f := range p.pass(frame) {
			if client.WriteMessage(websocket.TextMessage, f) != nil {
				return
			}
		}
	}
}

func (p *crooked) pass(frame []byte) [][]byte {
	if p.change == nil || !bytes.HasPrefix(frame, []byte(`{"type":"`+p.event+`"`)) || p.seen.Add(1) <= p.after || !p.changed.CompareAndSwap(false, true) {
		return [][]byte{frame}
	}
	return p.change(frame)
}

// The bench finds and names a single wrong event among hundreds.
func TestBenchFindsWhatACrookedNodeDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, rule string
		proxy      *crooked
	}{
		{"a message is not delivered", "hole:", &crooked{event: "message", after: 40, change: func([]byte) [][]byte { return nil }}},
		{"a message is delivered twice", "repeat:", &crooked{event: "message", after: 40, change: func(f []byte) [][]byte { return [][]byte{f, f} }}},
		{"a message is changed", "invented:", &crooked{event: "message", after: 40, change: func(f []byte) [][]byte {
			return [][]byte{bytes.Replace(f, []byte(" says "), []byte(" lies "), 1)}
		}}},
		{"an acknowledged message is not in the log", "lost:", &crooked{body: func(body string) string {
			// Not the oldest one, which the log may have dropped.
			parts := strings.Split(body, `},{"id":"`)
			if len(parts) < 4 {
				return body
			}
			return strings.Join(append(parts[:1:1], parts[2:]...), `},{"id":"`)
		}}},
		{"a message is acknowledged under another's id", "id:", &crooked{event: "sent", after: 5, change: func(f []byte) [][]byte {
			head, rest, _ := bytes.Cut(f, []byte(`"id":"`))
			ms, rest, _ := bytes.Cut(rest, []byte("-"))
			_, rest, _ = bytes.Cut(rest, []byte(`"`))
			return [][]byte{bytes.Join([][]byte{head, []byte(`"id":"`), ms, []byte(`-1"`), rest}, nil)}
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := redistest.Embedded(t)
			server := httptest.NewServer(c.proxy)
			defer server.Close()
			n := startNode(t, b.URL(), "--advertise="+server.URL)
			c.proxy.target = n.url
			stdout, stderr, err := bench(t.Context(), server.URL, "--churn=0")
			if c.proxy.change != nil && !c.proxy.changed.Load() {
				t.Fatalf("too few messages were sent for the fault to occur:\n%s", stdout)
			}
			if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "promises were broken") {
				t.Errorf("it ends with %v", err)
			}
			if !strings.Contains(stdout, "BROKEN PROMISES") || !strings.Contains(stdout, "\n  "+c.rule) || strings.Contains(stdout, "every promise was kept") {
				t.Errorf("no %q in\n%s%s", c.rule, stdout, stderr)
			}
		})
	}
}

// Losses of Redis break no promise of the chat, but the bench fails.
func TestBenchTellsWhatRedisLost(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	nodes := []*testNode{startNode(t, b.URL()), startNode(t, b.URL())}
	file := filepath.Join(t.TempDir(), "history.jsonl")
	var stdout, stderr string
	var err error
	var running sync.WaitGroup
	running.Go(func() { stdout, stderr, err = bench(t.Context(), nodes[0].url, "--for=3s", "--out="+file) })
	chattest.Eventually(t, "the load to start", func() bool { return nodes[1].Hub().Stats().Frames > 100 })
	opts, err1 := redis.ParseURL(b.URL())
	must(t, err1)
	rdb := redis.NewClient(opts)
	defer rdb.Close()
	must(t, rdb.FlushAll(t.Context()).Err())
	running.Wait()
	if err == nil || !strings.HasPrefix(err.Error(), "acknowledged messages were lost, by Redis ") || !strings.Contains(stdout, "and everybody in the rooms was told\n") {
		t.Errorf("%v\n%s%s", err, stdout, stderr)
	}
	var report bytes.Buffer
	if err := cli.Verify([]string{file}, nil, &report); err == nil || !strings.Contains(report.String(), ": Redis lost what it had acknowledged") {
		t.Errorf("chat verify of what it wrote: %v\n%s", err, report.String())
	}
}

// Users who were never welcomed received nothing. The bench proves nothing for them, and
// fails.
func TestBenchTellsWhoWasNeverLetIn(t *testing.T) {
	t.Parallel()
	n := startNode(t, redistest.Embedded(t).URL(), "--max-conns=5")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout string
	var err error
	var running sync.WaitGroup
	running.Go(func() { stdout, _, err = bench(ctx, n.url, "--churn=0", "--for=1m") })
	chattest.Eventually(t, "the load to start", func() bool { return n.Hub().Stats().Frames > 100 })
	cancel() // from then on it waits less for users who are not welcomed yet
	running.Wait()
	if err == nil || !strings.HasPrefix(err.Error(), "7 of 12 clients were never let in: ") || !strings.Contains(err.Error(), "full") {
		t.Errorf("it ends with %v", err)
	}
	if !strings.Contains(stdout, "never let in") || strings.Contains(stdout, "every promise was kept") {
		t.Errorf("printed:\n%s", stdout)
	}
}

// Ctrl-C ends a bench early, with the result so far.
func TestBenchEndsEarlyWithItsResult(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL())
	p := startProgram(t, []string{"CHAT_URL=" + n.url}, "bench", "--clients=4", "--rooms=1", "--rate=20", "--for=1h")
	chattest.Eventually(t, "the load to start", func() bool { return n.Hub().Stats().Frames > 20 })
	p.Signal(syscall.SIGINT)
	if status := p.Wait(); status != 0 || !strings.HasPrefix(p.Out(), "interrupted") || !strings.Contains(p.Out(), "every promise was kept") {
		t.Errorf("status %d\n%s%s", status, p.Out(), p.Errs())
	}
}

// The bench fails if it can't judge: nothing was acknowledged, or no node is left from
// which it can read the logs.
func TestBenchOfANodeThatTakesNothing(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--jwt-secret=a-key-of-32-bytes-or-more-for-the-tests")
	if _, _, err := bench(t.Context(), n.url); err == nil || !strings.Contains(err.Error(), "JWT") {
		t.Errorf("at a node without guests: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	benching, cancelBench := context.WithCancel(t.Context())
	defer cancelBench()
	if _, _, err := bench(ctx, n.url); err == nil || err.Error() != "interrupted before it began" {
		t.Errorf("interrupted: %v", err)
	}
	open := startNode(t, redistest.Embedded(t).URL())
	var err error
	var running sync.WaitGroup
	running.Go(func() { _, _, err = bench(benching, open.url, "--for=1m") })
	chattest.Eventually(t, "the load to start", func() bool { return open.Hub().Stats().Frames > 10 })
	open.Close(0)
	cancelBench()
	running.Wait()
	if err == nil || !strings.HasPrefix(err.Error(), "what the rooms hold in the end can't be read: can't reach a node at "+open.url) || strings.Contains(err.Error(), "\n") {
		t.Errorf("when no node is left: %v", err)
	}
	file := filepath.Join(t.TempDir(), "none", "history")
	if _, _, err := bench(t.Context(), n.url, "--out="+file); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "--out: ") {
		t.Errorf("a file that can't be created: %v", err)
	}
}
