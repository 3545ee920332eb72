package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"example.com/chat/embed"
	"example.com/chat/internal/cli"

	"example.com/chat/internal/chattest"
)

// asProgram makes the test binary be the program itself, so that tests can
// start nodes as real processes, and kill them.
const asProgram = "CHAT_TEST_AS_PROGRAM"

// withFiles bounds the descriptors that a program started by tests may have.
const withFiles = "CHAT_TEST_WITH_FILES"

func TestMain(m *testing.M) {
	if files, err := strconv.ParseUint(os.Getenv(withFiles), 10, 32); err == nil {
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: files, Max: files})
	}
	if os.Getenv(asProgram) != "" && os.Getenv(asPulse) == "" {
		main()
		os.Exit(0)
	}
	if urls := os.Getenv(asPulse); urls != "" {
		if err := runPulse(strings.Fields(urls)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// startTestBroker starts an embedded broker for one test.
func startTestBroker(t *testing.T) *embed.Broker {
	t.Helper()
	b, err := embed.StartBroker(embed.BrokerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// testNode is a node inside the test's process.
type testNode struct {
	*server
	url string
}

// nodeOptions parses flags as a call of the program does.
func nodeOptions(t *testing.T, args ...string) cli.NodeOptions {
	t.Helper()
	none := func(string) (string, bool) { return "", false }
	opts, _, err := cli.ParseNode(append([]string{"--addr=127.0.0.1:0"}, args...), none, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return opts
}

// startNode starts a node inside the test's process.
func startNode(t *testing.T, redisURL string, args ...string) *testNode {
	t.Helper()
	n, err := tryNode(t, redisURL, args...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func tryNode(t *testing.T, redisURL string, args ...string) (*testNode, error) {
	t.Helper()
	return tryNodeLogging(t, redisURL, slog.New(slog.NewTextHandler(testLog{t}, nil)), args...)
}

// startNodeLogging starts a node that writes to another log than the test's.
func startNodeLogging(t *testing.T, redisURL string, log *slog.Logger, args ...string) *testNode {
	t.Helper()
	n, err := tryNodeLogging(t, redisURL, log, args...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func tryNodeLogging(t *testing.T, redisURL string, log *slog.Logger, args ...string) (*testNode, error) {
	t.Helper()
	opts := nodeOptions(t, args...)
	l, err := listen("--addr", opts.Addr)
	if err != nil {
		t.Fatal(err)
	}
	s, err := startServer(context.Background(), opts, l, redisURL, nil, log)
	if err != nil {
		return nil, err
	}
	n := &testNode{server: s, url: "http://" + l.Addr().String()}
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { s.Close(time.Second) }) })
	return n, nil
}

// testLog shows the log of a test that fails or is verbose.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	if os.Getenv("CHAT_TEST_LOG") != "" {
		fmt.Fprint(os.Stderr, l.t.Name(), ": ", string(b))
	}
	return len(b), nil
}

// process is a call of the program as a process of its own.
type process struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdin          io.WriteCloser
	stdout, stderr chattest.Output
	done           chan struct{}
	err            error
}

// startProgram starts the program with args and further environment variables.
func startProgram(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(self, args...), done: make(chan struct{})}
	// A program built with -race sleeps a second at its end if not told otherwise.
	p.cmd.Env = append(append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0"), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process, which the cleanup kills
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		<-p.done
		if t.Failed() {
			t.Logf("%v\nstdout:\n%s\nstderr:\n%s", args, p.out(), p.errs())
		}
	})
	return p
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

func (p *process) out() string { return p.stdout.String() }

func (p *process) errs() string { return p.stderr.String() }

// wait waits for the end, and returns the exit status.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(chattest.Patience):
		p.t.Fatalf("the program did not end within %s", chattest.Patience)
		return -1
	}
}

// url waits for the line of the k-th node, and returns its URL.
func (p *process) url(k int) string {
	p.t.Helper()
	var url string
	chattest.Eventually(p.t, "the line of node "+strconv.Itoa(k), func() bool {
		for line := range strings.Lines(p.out()) {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "node "+strconv.Itoa(k)+"  "); ok {
				url = rest
			}
		}
		select {
		case <-p.done:
			p.t.Fatalf("the program ended: %v: %s", p.err, p.errs())
		default:
		}
		return url != ""
	})
	return url
}

// frame is any event, as a client reads it.
type frame struct {
	Type      string  `json:"type"`
	Ref       any     `json:"ref"`
	Room      string  `json:"room"`
	ID        string  `json:"id"`
	Key       string  `json:"key"`
	Text      string  `json:"text"`
	Time      int64   `json:"time"`
	User      user    `json:"user"`
	Node      any     `json:"node"`
	Nodes     []node  `json:"nodes"`
	Token     string  `json:"token"`
	Version   int     `json:"version"`
	Head      string  `json:"head"`
	Recovered bool    `json:"recovered"`
	Messages  []frame `json:"messages"`
	Members   []user  `json:"members"`
	Joined    []user  `json:"joined"`
	Left      []user  `json:"left"`
	Count     int     `json:"count"`
	Duplicate bool    `json:"duplicate"`
	More      bool    `json:"more"`
	Code      string  `json:"code"`
	Message   string  `json:"message"`
	Retry     int64   `json:"retry_after"`
	Broker    string  `json:"broker"`
	Action    string  `json:"action"`
	Until     int64   `json:"until"`
	Reason    string  `json:"reason"`
	Limits    struct {
		Text, Rooms, Burst int
		Rate               float64
	} `json:"limits"`
	Rooms []struct {
		Room  string `json:"room"`
		Count int    `json:"count"`
		Last  int64  `json:"last"`
	} `json:"rooms"`

	raw string
}

type user struct{ ID, Name string }
type node struct{ ID, URL string }

// seq is the sequence number of the frame's id.
func (f frame) seq() int {
	_, text, _ := strings.Cut(f.ID, "-")
	n, _ := strconv.Atoi(text)
	return n
}

// peer is a real WebSocket client.
type peer struct {
	t      *testing.T
	ws     *websocket.Conn
	frames chan frame
	passed []frame // by next, which looked for others
	me     user
	token  string
	closed *websocket.CloseError // set before frames is closed
}

// dial opens a connection and says nothing.
func dial(t *testing.T, url string) *peer {
	t.Helper()
	p, err := tryDial(t, url, nil)
	if err != nil {
		t.Fatalf("dial %s: %v", url, err)
	}
	return p
}

func tryDial(t *testing.T, url string, header http.Header) (*peer, error) {
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(url, "http")+"/ws", header)
	if err != nil {
		return nil, err
	}
	p := &peer{t: t, ws: ws, frames: make(chan frame, 100_000)}
	go p.read() // ends with the connection, which the cleanup closes
	t.Cleanup(func() { _ = ws.Close() })
	return p, nil
}

func (p *peer) read() {
	defer close(p.frames)
	for {
		_, data, err := p.ws.ReadMessage()
		if err != nil {
			if c, ok := err.(*websocket.CloseError); ok {
				p.closed = c
			}
			return
		}
		f := frame{raw: string(data)}
		if err := json.Unmarshal(data, &f); err != nil {
			f.Type = "not JSON: " + string(data)
		}
		p.frames <- f
	}
}

// send writes a command made of alternating names and values.
func (p *peer) send(command string, fields ...any) {
	p.t.Helper()
	object := map[string]any{"type": command}
	for i := 0; i+1 < len(fields); i += 2 {
		object[fields[i].(string)] = fields[i+1]
	}
	data, err := json.Marshal(object)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(websocket.TextMessage, string(data))
}

func (p *peer) write(kind int, data string) {
	p.t.Helper()
	if err := p.ws.WriteMessage(kind, []byte(data)); err != nil {
		p.t.Logf("write: %v", err) // a test that cares sees that no answer comes
	}
}

// next returns the next frame of one of the types; others are kept for later
// calls that ask for theirs. An "error" ends the test unless it is asked for.
func (p *peer) next(types ...string) frame {
	p.t.Helper()
	for i, f := range p.passed {
		if slices.Contains(types, f.Type) {
			p.passed = slices.Delete(p.passed, i, i+1)
			return f
		}
	}
	timer := time.NewTimer(chattest.Patience)
	defer timer.Stop()
	for {
		select {
		case f, ok := <-p.frames:
			if !ok {
				p.t.Fatalf("the connection closed (%v) before a %v", p.closed, types)
			}
			if slices.Contains(types, f.Type) {
				return f
			}
			if f.Type == "error" {
				p.t.Fatalf("an error in place of a %v: %s", types, f.raw)
			}
			p.passed = append(p.passed, f)
		case <-timer.C:
			p.t.Fatalf("no %v within %s", types, chattest.Patience)
		}
	}
}

// error returns the next error, which must have the code.
func (p *peer) error(code string) frame {
	p.t.Helper()
	f := p.next("error")
	if f.Code != code || f.Message == "" {
		p.t.Fatalf("want error %s, got %s", code, f.raw)
	}
	return f
}

// closes waits for the close, which must have the code.
func (p *peer) closes(code int) {
	p.t.Helper()
	timer := time.NewTimer(chattest.Patience)
	defer timer.Stop()
	for {
		select {
		case _, ok := <-p.frames:
			if ok {
				continue
			}
			if p.closed == nil || p.closed.Code != code {
				p.t.Fatalf("want close %d, got %v", code, p.closed)
			}
			return
		case <-timer.C:
			p.t.Fatalf("no close within %s", chattest.Patience)
		}
	}
}

// hello says hello, and remembers who it is.
func (p *peer) hello(fields ...any) frame {
	p.t.Helper()
	p.send("hello", fields...)
	w := p.next("welcome")
	p.me, p.token = w.User, w.Token
	return w
}

// join joins a room, and returns its joined with all messages up to the head.
func (p *peer) join(room string, fields ...any) frame {
	p.t.Helper()
	p.send("join", append([]any{"room", room}, fields...)...)
	j := p.next("joined")
	for j.More && j.Messages[len(j.Messages)-1].ID != j.Head { // the rest follows
		j.Messages = append(j.Messages, p.next("message"))
	}
	return j
}

// enter dials, says hello under a name and joins a room.
func enter(t *testing.T, url, name, room string) *peer {
	t.Helper()
	p := dial(t, url)
	if name == "" {
		p.hello()
	} else {
		p.hello("name", name)
	}
	p.join(room)
	return p
}

// say sends a message and waits for its sent.
func (p *peer) say(room, text, key string) frame {
	p.t.Helper()
	p.send("send", "room", room, "text", text, "key", key)
	for {
		if f := p.next("sent"); f.Key == key {
			return f
		}
	}
}

// message waits for the message with the text.
func (p *peer) message(text string) frame {
	p.t.Helper()
	for {
		if f := p.next("message"); f.Text == text {
			return f
		}
	}
}

// seen reports whether a user is in the list.
func seen(list []user, id string) bool {
	return slices.ContainsFunc(list, func(u user) bool { return u.ID == id })
}

// freePort finds a port that is free now.
func freePort(t *testing.T) int {
	t.Helper()
	ports, err := embed.FreePorts("127.0.0.1", 1)
	if err != nil {
		t.Fatal(err)
	}
	return ports[0]
}

// getJSON reads a route.
func getJSON(t *testing.T, url string, into any) int {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return res.StatusCode
}
