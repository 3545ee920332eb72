//go:build linux

package badnet

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/check"
	"example.com/chat/internal/client"
	"example.com/chat/internal/load"
	"example.com/chat/internal/protocol"
)

// seed decides which packets are dropped or late.
var seed uint64

// atOnce is how many tests run at the same time.
const atOnce = 10

func TestMain(m *testing.M) {
	chattest.EndIfSuitesRunLater()
	chattest.RunAtOnce(atOnce)
	seed = chattest.SeedOrNew()
	redis.SetLogger(silence{}) // failures are returned as errors too
	status := m.Run()
	chattest.RemoveBuilds()
	os.Exit(status)
}

type silence struct{}

// Printf drops go-redis's messages.
func (silence) Printf(context.Context, string, ...any) {}

// nodes is the number of nodes.
const nodes = 3

// settledIn is how long after the last fault clients may receive entries.
const settledIn = 40 * time.Second

// rig is a chat on machines of its own, and its clients.
type rig struct {
	t      *testing.T
	net    *network
	random *rand.Rand
	redis  *host
	rdb    *redis.Client
	nodes  []*host
	urls   []string
	run    []*chattest.Process // the nodes' programs
	fleet  *load.Fleet
	hosts  int
}

// newRig starts Redis and the nodes. It skips the test if it can't make network namespaces.
func newRig(t *testing.T, args ...string) *rig {
	t.Helper()
	server := chattest.NeedProgram(t, "redis-server", "bad networks are tested with a real Redis")
	r := &rig{t: t, fleet: load.NewFleet()}
	var salt uint64
	for _, b := range []byte(t.Name()) {
		salt = salt*31 + uint64(b)
	}
	r.random = rand.New(rand.NewPCG(seed, salt))
	r.net = newNetwork(t, r.fork())
	r.redis = r.host("redis")
	path := chattest.Build(t)
	p := r.redis.start(t.TempDir(), nil, server, "--bind", r.redis.ip, "--port", "6379", "--save", "", "--protected-mode", "no")
	r.redis.await(p, r.redis.ip+":6379")
	r.rdb = redis.NewClient(&redis.Options{Addr: r.redis.ip + ":6379", Protocol: 2, Dialer: r.redis.dial})
	t.Cleanup(func() { _ = r.rdb.Close() })
	for i := range nodes {
		h := r.host(fmt.Sprintf("n%d", i+1))
		at := net.JoinHostPort(h.ip, "8080")
		line := append([]string{"--redis=" + r.redis.ip + ":6379", "--addr=:8080", "--node-id=" + h.name, "--rate=0", "--advertise=http://" + at, "--peer-addr=" + at}, args...)
		r.run = append(r.run, h.start("", nil, path, line...))
		r.nodes, r.urls = append(r.nodes, h), append(r.urls, "http://"+at)
	}
	for i, h := range r.nodes {
		h.await(r.run[i], net.JoinHostPort(h.ip, "8080"))
	}
	for i := range r.nodes {
		r.ready(i)
	}
	t.Cleanup(r.fleet.Close)
	t.Cleanup(r.tell)
	return r
}

// host makes the next host.
func (r *rig) host(name string) *host {
	r.hosts++
	return r.net.connect(name, fmt.Sprintf("10.77.0.%d", r.hosts))
}

// fork returns a new random source, as each is used by one goroutine.
func (r *rig) fork() *rand.Rand { return rand.New(rand.NewPCG(r.random.Uint64(), 1)) }

// get sends a request to a node from its own host, past the network.
func (r *rig) get(i int, path string) (status int, body string) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:8080"+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	web := &http.Client{Transport: &http.Transport{DialContext: r.nodes[i].dial, DisableKeepAlives: true}}
	res, err := web.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(text)
}

// ready waits until a node is ready, and lists the others as ready.
func (r *rig) ready(i int) {
	r.t.Helper()
	chattest.Eventually(r.t, r.nodes[i].name+" to be ready", func() bool {
		if status, _ := r.get(i, "/readyz"); status != http.StatusOK {
			return false
		}
		_, body := r.get(i, "/api/nodes")
		return strings.Count(body, `"state":"ready"`) == nodes
	})
}

// dialer connects clients on the host to the nodes at these URLs by turns, as load.Dialer
// does.
func (r *rig) dialer(h *host, urls ...string) func(context.Context, string, int) (load.Wire, error) {
	random, start := r.fork(), 0
	return func(ctx context.Context, token string, try int) (load.Wire, error) {
		if try == 0 {
			start = random.IntN(len(urls))
		}
		c, err := client.Dial(ctx, client.Options{URL: urls[(start+try)%len(urls)], Token: token, DialContext: h.dial})
		if err != nil {
			return nil, err
		}
		return c, nil
	}
}

// talker adds a client on the host that sends messages in the rooms, or only receives if
// every is 0.
func (r *rig) talker(h *host, name string, every time.Duration, rooms ...string) *load.Client {
	return r.fleet.Add(load.Config{
		Name: name, Rooms: rooms, Random: r.fork(), Every: every, Window: 2, Dial: r.dialer(h, r.urls...),
	})
}

// fill sends n texts of a size to a room as a new user, and records them.
func (r *rig) fill(h *host, name, room string, n, size int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), chattest.Patience)
	defer cancel()
	c, err := client.Dial(ctx, client.Options{URL: r.urls[0], Name: name, DialContext: h.dial})
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	if err := c.Write(protocol.JoinCommand{Room: room}); err != nil {
		r.t.Fatal(err)
	}
	user := c.Welcome().User.ID
	const window = 20 // a client that does not read is closed
	for sent, acknowledged := 0, 0; acknowledged < n; {
		for ; sent < min(n, acknowledged+window); sent++ {
			key := fmt.Sprintf("%s-%d", name, sent)
			text := key + " " + strings.Repeat("x", size-len(key)-1)
			r.said(user, name, room, key, text)
			if err := c.Write(protocol.SendCommand{Room: room, Key: key, Text: text}); err != nil {
				r.t.Fatal(err)
			}
		}
		e, err := c.Read()
		if err != nil {
			r.t.Fatal(err)
		}
		if refused := e.Refused(); refused != nil {
			r.t.Fatal(refused)
		}
		var s protocol.SentEvent
		if e.Type != "sent" || e.Decode(&s) != nil {
			continue
		}
		acknowledged++
		r.acknowledged(user, name, room, s)
	}
}

// said records that a client sends a message.
func (r *rig) said(user, name, room, key, text string) {
	r.fleet.History.Add(check.Record{Op: check.OpSend, Client: name, Conn: 1, Room: room, User: user, Key: key, Text: text})
}

// acknowledged records that a message was acknowledged.
func (r *rig) acknowledged(user, name, room string, s protocol.SentEvent) {
	r.fleet.History.Add(check.Record{Op: check.OpSent, Client: name, Conn: 1, Room: room, User: user, Key: s.Key, ID: s.ID, Duplicate: s.Duplicate})
}

// log returns the ids of the entries in a room's log.
func (r *rig) log(room string) []string {
	r.t.Helper()
	list, _, err := load.ReadLogs(r.t.Context(), r.rdb, "chat", map[string]bool{room: true})
	if err != nil {
		r.t.Fatal(err)
	}
	ids := make([]string, len(list))
	for i, e := range list {
		ids[i] = e.ID
	}
	return ids
}

// finish waits until the clients have received everything, and verifies the history.
func (r *rig) finish() *check.Report {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), settledIn)
	defer cancel()
	list, err := r.fleet.Finish(ctx, r.rdb, "chat")
	if err != nil {
		r.t.Fatal(err)
	}
	rep := check.Verify(list)
	for _, v := range rep.Violations {
		r.t.Error(v)
	}
	if rep.Unknown > 0 {
		r.t.Errorf("%d messages were never acknowledged", rep.Unknown)
	}
	r.t.Logf("%d messages acknowledged, %d entries received, %d connections lost, %d gaps, %d resets; longest wait for an acknowledgement %s",
		rep.Acknowledged, rep.Heard, rep.Lost, rep.Gaps, rep.Resets, rep.Waited.Round(time.Millisecond))
	return rep
}

// hold waits, or until the test ends.
func (r *rig) hold(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.t.Context().Done():
	}
}

// tell logs the state of clients and nodes if the test has failed.
func (r *rig) tell() {
	if !r.t.Failed() {
		return
	}
	r.t.Log(chattest.Repeat(seed))
	for _, c := range r.fleet.Clients {
		r.t.Log(c.State())
	}
	for i, p := range r.run {
		text := p.Out()
		lines := strings.SplitAfter(text, "\n")
		r.t.Logf("%s:\n%s", r.nodes[i].name, strings.Join(lines[max(0, len(lines)-30):], ""))
	}
}

// decode decodes a line of a script's output.
func decode(t *testing.T, line string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), into); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
}
