package program_test

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// It measures time, so it runs while no other test does.
func TestClusterOfThreeProcesses(t *testing.T) {
	c := startProgram(t, nil, "--nodes=3", "--addr=127.0.0.1:0")
	urls := []string{c.URL(1), c.URL(2), c.URL(3)}
	ann, bob := chattest.Enter(t, urls[0], "Ann", "lobby"), chattest.Enter(t, urls[1], "Bob", "lobby")
	ann.Say("lobby", "Hello!", "1")
	last := bob.Message("Hello!")

	// A killed node is reported and comes back on its port.
	pid := chattest.PIDAt(t, urls[1])
	_ = syscall.Kill(pid, syscall.SIGKILL)
	began := time.Now()
	again := chattest.Dial(t, urls[2])
	again.Hello("token", bob.Token)
	if j := again.Join("lobby", "after", last.ID); !j.Recovered {
		t.Errorf("joined: %s", j.Raw)
	}
	t.Logf("the user of the killed node was at another node after %s", time.Since(began).Round(time.Millisecond))
	ann.Say("lobby", "Still there?", "2")
	again.Message("Still there?")
	chattest.Eventually(t, "the report", func() bool { return strings.Contains(c.Errs(), "node 2 ended (signal: killed)") })
	chattest.Eventually(t, "the node to be back", func() bool {
		res, err := http.Get(urls[1] + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == 200
	})

	// Ctrl-C ends everything within a second and leaves no process behind, not even a
	// stopped one.
	pids := []int{chattest.PIDAt(t, urls[0]), chattest.PIDAt(t, urls[1]), chattest.PIDAt(t, urls[2])}
	_ = syscall.Kill(pids[2], syscall.SIGSTOP)
	began = time.Now()
	c.Signal(syscall.SIGINT)
	if status := c.Wait(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("Ctrl-C took %s", took)
	}
	for _, pid := range pids {
		if syscall.Kill(pid, 0) == nil {
			t.Errorf("process %d remains", pid)
		}
	}
}

func TestEndOfTheParentEndsTheNodes(t *testing.T) {
	t.Parallel()
	c := startProgram(t, nil, "--nodes=2", "--addr=127.0.0.1:0")
	pids := []int{chattest.PIDAt(t, c.URL(1)), chattest.PIDAt(t, c.URL(2))}
	c.Signal(syscall.SIGKILL)
	for _, pid := range pids {
		chattest.Eventually(t, "the end of process "+strconv.Itoa(pid), func() bool { return syscall.Kill(pid, 0) != nil })
	}
}

func TestSIGTERMDrains(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	env := []string{"CHAT_REDIS=" + b.URL()}
	n1 := startProgram(t, env, "--addr=127.0.0.1:0", "--node-id=one")
	n2 := startProgram(t, env, "--addr=127.0.0.1:0", "--node-id=two")
	ann, bob := chattest.Enter(t, n1.URL(1), "Ann", "lobby"), chattest.Enter(t, n2.URL(1), "Bob", "lobby")
	ann.Say("lobby", "Hello!", "1")
	last := bob.Message("Hello!")
	n2.Signal(syscall.SIGTERM)
	bob.Closes(1012)
	again := chattest.Dial(t, n1.URL(1))
	again.Hello("token", bob.Token)
	if j := again.Join("lobby", "after", last.ID); !j.Recovered {
		t.Errorf("joined: %s", j.Raw)
	}
	if status := n2.Wait(); status != 0 {
		t.Errorf("exit status %d: %s", status, n2.Errs())
	}
}

// A load balancer checks a node every few seconds. Until it has noticed that the node
// will stop, its requests must be answered.
func TestAStoppingNodeAnswersUntilBalancersHaveNoticed(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	n := startProgram(t, []string{"CHAT_REDIS=" + b.URL()}, "--addr=127.0.0.1:0", "--drain-delay=2s")
	url := n.URL(1)
	check := func(method, path string) int {
		res, _ := chattest.AskAs(t, method, url+path, "localhost")
		return res.StatusCode
	}
	if got := check("OPTIONS", "/"); got != 204 {
		t.Errorf("HAProxy's check: %d", got)
	}
	ann := chattest.Enter(t, url, "Ann", "lobby")
	began := time.Now()
	n.Signal(syscall.SIGTERM)
	chattest.Eventually(t, "/readyz to be 503", func() bool { return check("GET", "/readyz") == 503 })
	if got := check("OPTIONS", "/"); got != 503 {
		t.Errorf("HAProxy's check of a stopping node: %d", got)
	}
	chattest.Enter(t, url, "Bob", "lobby").Say("lobby", "I came late", "1")
	ann.Message("I came late")
	if got := check("GET", "/r/lobby") + check("GET", "/api/rooms") + check("GET", "/socket.io/?EIO=4&transport=polling"); got != 3*200 {
		t.Errorf("requests to a stopping node: %d", got)
	}
	ann.Closes(1012)
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("the connections were closed after %s", took)
	}
	if status := n.Wait(); status != 0 {
		t.Errorf("exit status %d: %s", status, n.Errs())
	}
}

// A second signal ends the delay.
func TestASecondSignalCutsTheDelayShort(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		n := startProgram(t, []string{"CHAT_REDIS=" + b.URL()}, "--addr=127.0.0.1:0", "--drain-delay=1h")
		url := n.URL(1)
		n.Signal(syscall.SIGTERM)
		chattest.Eventually(t, "/readyz to be 503", func() bool {
			res, _ := chattest.AskAs(t, "GET", url+"/readyz", "localhost")
			return res.StatusCode == 503
		})
		n.Signal(second)
		if status := n.Wait(); status != 0 {
			t.Errorf("%s: exit status %d: %s", second, status, n.Errs())
		}
	}
}

// A program that can't start prints the reason in one line, and never listens.
func TestWhatCantStartSaysWhyInOneLine(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	old := fakeRedis(t, func(command string) string {
		if command == "PING" {
			return "+PONG\r\n"
		}
		return "-ERR unknown command '" + command + "'\r\n"
	})
	locked := redistest.Embedded(t)
	free := "127.0.0.1:" + strconv.Itoa(chattest.FreePorts(t, 1)[0])
	for _, c := range []struct {
		name   string
		args   []string
		status int
		words  []string
	}{
		{"a taken port", []string{"--addr", taken.Addr().String()}, 1, []string{"already", "--addr"}},
		{"a taken port of a cluster", []string{"--nodes=3", "--addr", taken.Addr().String()}, 1, []string{"in use", "--addr"}},
		{"a taken port of the broker", []string{"--addr=127.0.0.1:0", "--broker-addr", taken.Addr().String()}, 1, []string{"already", "--broker-addr"}},
		{"no Redis there", []string{"--addr=127.0.0.1:0", "--redis", free, "--wait-redis=0"}, 1, []string{"refused", "is it running"}},
		{"no Redis there for a cluster", []string{"--nodes=2", "--addr=127.0.0.1:0", "--redis", free, "--wait-redis=100ms"}, 1, []string{"refused", "is it running"}},
		{"a Redis that wants a password", []string{"--addr=127.0.0.1:0", "--redis", locked.Addr()}, 1, []string{"NOAUTH", "give it in the URL"}},
		{"a wrong password", []string{"--addr=127.0.0.1:0", "--redis", "redis://:guess@" + locked.Addr()}, 1, []string{"WRONGPASS", "password"}},
		{"a Redis without streams", []string{"--addr=127.0.0.1:0", "--redis", old}, 1, []string{"too old for streams"}},
		{"no such host", []string{"--addr=127.0.0.1:0", "--redis", "nowhere.invalid:6379", "--wait-redis=0"}, 1, []string{"nowhere.invalid"}},
		{"no Redis's URL", []string{"--redis", "http://localhost"}, 2, []string{"redis://"}},
		{"a database of a Redis Cluster", []string{"--redis", "redis://a:1,b:2/3"}, 2, []string{"only one"}},
		{"sentinels without a name", []string{"--redis", "redis+sentinel://a:1,b:2"}, 2, []string{"master-name"}},
		{"broker-addr and redis", []string{"--redis", free, "--broker-addr", ":6390"}, 2, []string{"contradict"}},
		{"too many replicas", []string{"--redis", free, "--wait-replicas=11"}, 2, []string{"--wait-replicas", "0 to 10"}},
		{"replicas of the embedded broker", []string{"--wait-replicas=1"}, 2, []string{"--wait-replicas", "--redis"}},
		{"nodes and node-id", []string{"--nodes=3", "--node-id=x"}, 2, []string{"--node-id"}},
		{"nodes and advertise", []string{"--nodes=3", "--advertise=https://x.org"}, 2, []string{"--advertise"}},
		{"nodes and debug-addr", []string{"--nodes=3", "--debug-addr=127.0.0.1:0"}, 2, []string{"--debug-addr", "--nodes"}},
		{"nodes and peer-addr", []string{"--nodes=3", "--peer-addr=10.0.0.7:8080"}, 2, []string{"--peer-addr", "--nodes"}},
		{"no peer-addr", []string{"--peer-addr=:8080"}, 2, []string{"--peer-addr", "10.0.0.7:8080"}},
		{"no debug-addr", []string{"--debug-addr=6060"}, 2, []string{"--debug-addr", "127.0.0.1:6060"}},
		{"a taken debug-addr", []string{"--addr=127.0.0.1:0", "--debug-addr", taken.Addr().String()}, 1, []string{"another program", "--debug-addr"}},
		{"a page that is none", []string{"--ui=fancy"}, 2, []string{"--ui", "plain"}},
		{"a delay before now", []string{"--drain-delay=-1s"}, 2, []string{"--drain-delay"}},
		{"no nodes", []string{"--nodes=0"}, 2, []string{"--nodes"}},
		{"an unknown flag", []string{"--autocert=x"}, 2, []string{"unknown flag", "--help"}},
		{"an unknown command", []string{"dance"}, 2, []string{"unknown command", "--help"}},
		{"an argument too many", []string{"--nodes=1", "x"}, 2, []string{"unknown command"}},
		{"a number that is none", []string{"--history=many"}, 2, []string{"history"}},
		{"no address", []string{"--addr=8080"}, 2, []string{"--addr"}},
		{"a namespace that breaks keys", []string{"--namespace={x}"}, 2, []string{"--namespace"}},
		{"an origin with a path", []string{"--origin=https://x.org/y"}, 2, []string{"--origin"}},
		{"an empty JWT secret", []string{"--jwt-secret="}, 2, []string{"--jwt-secret", "empty"}},
		{"a short secret", []string{"--secret=abc"}, 2, []string{"--secret"}},
		{"a short JWT secret", []string{"--addr=127.0.0.1:0", "--jwt-secret=abc"}, 2, []string{"--jwt-secret", "32 bytes"}},
		{"a path for a JWT secret", []string{"--addr=127.0.0.1:0", "--jwt-secret=/etc/chat/keys/public-key-of-the-application.pem"}, 2, []string{"--jwt-secret", "--jwt-key-file"}},
		{"a JWT key file that is not there", []string{"--addr=127.0.0.1:0", "--jwt-key-file=/nowhere/public-key-of-the-application"}, 1, []string{"--jwt-key-file", "can't be read", "no such file"}},
		{"the same for a cluster", []string{"--nodes=2", "--addr=127.0.0.1:0", "--jwt-key-file=/nowhere/key"}, 1, []string{"--jwt-key-file", "can't be read"}},
		{"a folder for a JWT key file", []string{"--addr=127.0.0.1:0", "--jwt-key-file=."}, 1, []string{"--jwt-key-file", "can't be read"}},
		{"two JWT keys", []string{"--jwt-secret=0123456789abcdef0123456789abcdef", "--jwt-key-file=x"}, 2, []string{"--jwt-secret", "--jwt-key-file", "contradict"}},
		{"the flag of old", []string{"--jwt-key=0123456789abcdef0123456789abcdef"}, 2, []string{"unknown flag"}},
		{"past the last port", []string{"--nodes=3", "--addr=:65534"}, 2, []string{"65535"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := startProgram(t, nil, c.args...)
			if status := p.Wait(); status != c.status {
				t.Errorf("exit status %d, want %d", status, c.status)
			}
			lines := strings.Split(strings.TrimSpace(p.Errs()), "\n")
			last := lines[len(lines)-1]
			if !strings.HasPrefix(last, "chat: ") || p.Out() != "" || strings.Contains(p.Errs(), "goroutine ") || strings.Contains(p.Errs(), "guess") {
				t.Errorf("stderr: %s\nstdout: %s", p.Errs(), p.Out())
			}
			for _, word := range c.words {
				if !strings.Contains(last, word) {
					t.Errorf("%q does not contain %q", last, word)
				}
			}
		})
	}
}

// fakeRedis answers each command as given, and returns its address.
func fakeRedis(t *testing.T, answer func(command string) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveFake(c, answer) // ends with the connection
		}
	}()
	return l.Addr().String()
}

func TestEnvironmentAndFlags(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	p := startProgram(t, []string{"CHAT_REDIS=" + b.URL(), "CHAT_ADDR=127.0.0.1:0", "CHAT_TEXT_LIMIT=77", "CHAT_RATE=5", "CHAT_NODE_ID=env"}, "--rate=6")
	c := chattest.Dial(t, p.URL(1))
	if w := c.Hello(); w.Limits.Text != 77 || w.Limits.Rate != 6 || w.Nodes[0].ID != "env" {
		t.Errorf("welcome: %s", w.Raw)
	}
	bad := startProgram(t, []string{"CHAT_HISTORY=lots"})
	if status := bad.Wait(); status != 2 || !strings.Contains(bad.Errs(), "CHAT_HISTORY") {
		t.Errorf("%d: %s", status, bad.Errs())
	}
}

// At its start a node logs one line with what an operator asks first, and no secret.
func TestAStartLogsHowTheNodeIsSetUp(t *testing.T) {
	t.Parallel()
	b := redistest.Embedded(t)
	const secret = "a-secret-of-32-bytes-or-more-for-the-tests"
	p := startProgram(t, []string{"CHAT_REDIS=" + b.URL(), "CHAT_JWT_KEY_FILE="}, "--addr=127.0.0.1:0", "--jwt-secret="+secret, "--secret="+secret,
		"--origin=https://www.example.org", "--trust-proxy=10.0.0.0/8", "--trust-proxy=0.0.0.0/0", "--text-limit=77")
	p.URL(1)
	chattest.Eventually(t, "the whole line", func() bool {
		_, line, there := strings.Cut(p.Errs(), "msg=started")
		return there && strings.Contains(line, "\n")
	})
	log := p.Errs()
	if strings.Count(log, "msg=started") != 1 || strings.Contains(log, secret) || strings.Contains(log, strings.Split(b.URL(), "@")[0]) {
		t.Errorf("logged: %s", log)
	}
	for _, want := range []string{
		"version=", "redis=redis://" + b.Addr(), "text_limit=77", "rate=10", "origins=https://www.example.org", "trust_proxy=10.0.0.0/8,", `users="with a JWT"`,
		"level=WARN msg=\"--trust-proxy names every address",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the line lacks %s: %s", want, log)
		}
	}
	open := startProgram(t, []string{"CHAT_REDIS=" + b.URL(), "CHAT_JWT_SECRET="}, "--addr=127.0.0.1:0")
	open.URL(1)
	chattest.Eventually(t, "the line and the warning of an empty variable", func() bool {
		log := open.Errs()
		return strings.Contains(log, "CHAT_JWT_SECRET is set and empty") && strings.Contains(log, "users=guests")
	})
}

func TestVersionAndHelp(t *testing.T) {
	t.Parallel()
	for _, arg := range []string{"version", "--version", "--help", "-h"} {
		p := startProgram(t, nil, arg)
		if status := p.Wait(); status != 0 || !strings.HasPrefix(p.Out(), "chat") || p.Errs() != "" {
			t.Errorf("%s: %d %q %q", arg, status, p.Out(), p.Errs())
		}
	}
}
