package program_test

import (
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// A node that started before its Redis once ended at once. It waits, and logs that once;
// so does the parent of --nodes, for all nodes.
func TestAStartWaitsForRedis(t *testing.T) {
	t.Parallel()
	for name, flag := range map[string]string{"a node": "--nodes=1", "nodes of one call": "--nodes=2"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, "--requirepass", "SECRET")
			server.Kill()
			p := startProgram(t, nil, "--addr=127.0.0.1:0", "--redis=redis://:SECRET@"+server.Addr, flag)
			chattest.Eventually(t, "a line about the wait", func() bool { return strings.Contains(p.Errs(), "waiting for it") })
			began := time.Now()
			chattest.Eventually(t, "a few attempts", func() bool { return time.Since(began) > 500*time.Millisecond })
			server.Restart()
			chattest.Enter(t, p.URL(1), "Ann", "lobby").Say("lobby", "it came", "k")
			errs := p.Errs()
			if strings.Count(errs, "waiting for it") != 1 || strings.Count(errs, "redis is there") != 1 || strings.Contains(errs, "SECRET") ||
				!strings.Contains(errs, "redis://"+server.Addr) || !strings.Contains(errs, "refused") || strings.Count(errs, "\n") > 4 {
				t.Errorf("the output is %s", errs)
			}
		})
	}
}

// Some refusals can't pass by themselves: a wrong password ends a start at once, and so
// does a Redis of the wrong kind.
func TestAStartDoesNotWaitForWhatStaysWrong(t *testing.T) {
	t.Parallel()
	locked := redistest.Start(t, "--requirepass", "SECRET")
	primary := redistest.Start(t)
	_, port, _ := net.SplitHostPort(primary.Addr)
	replica := redistest.Start(t, "--replicaof", "127.0.0.1 "+port)
	chattest.Eventually(t, "the replica to follow", func() bool { return replica.Info("replication", "master_link_status") == "up" })
	full := redistest.Start(t, "--maxmemory", "1")
	sentinel := redistest.StartSentinel(t, nil)
	web := startNode(t, primary.URL)
	for name, c := range map[string]struct {
		given string
		words []string
	}{
		"a wrong password":           {"redis://:wrong@" + locked.Addr, []string{"refuses the user or the password"}},
		"a replica":                  {replica.Addr, []string{"it is a replica: give its primary, " + primary.Addr}},
		"a full Redis":               {full.Addr, []string{"memory is full"}},
		"a sentinel":                 {sentinel.Sentinels[0].Addr, []string{"it is a Sentinel", "redis+sentinel://" + sentinel.Sentinels[0].Addr + "/" + redistest.MasterName}},
		"a sentinel with a database": {"redis://" + sentinel.Sentinels[0].Addr + "/2", []string{"it is a Sentinel"}},
		"sentinels for a cluster":    {sentinel.Sentinels[0].Addr + "," + sentinel.Sentinels[1].Addr, []string{"it is a Sentinel"}},
		"a name no sentinel knows":   {strings.Replace(sentinel.URL, redistest.MasterName, "another", 1), []string{"know no primary of this name"}},
		"a port of another protocol": {strings.TrimPrefix(web.url, "http://"), []string{"another protocol"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			p := startProgram(t, nil, "--addr=127.0.0.1:0", "--redis="+c.given)
			code, took := p.Wait(), time.Since(began)
			if code != 1 || took > 10*time.Second || strings.Count("\n"+p.Errs(), "\nchat: ") != 1 || strings.Contains(p.Errs(), "waiting for it") {
				t.Errorf("status %d after %s, with the output %s", code, took, p.Errs())
			}
			for _, word := range c.words {
				if !strings.Contains(p.Errs(), word) {
					t.Errorf("%q is not in %s", word, p.Errs())
				}
			}
		})
	}
}

// A signal ends a node that waits for Redis, as it ends any other node.
func TestAWaitForRedisEndsWithASignal(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	for _, flag := range []string{"--nodes=1", "--nodes=2"} {
		p := startProgram(t, nil, "--addr=127.0.0.1:0", "--redis="+server.Addr, flag)
		chattest.Eventually(t, "a line about the wait", func() bool { return strings.Contains(p.Errs(), "waiting for it") })
		p.Signal(syscall.SIGTERM)
		if code := p.Wait(); code != 0 {
			t.Errorf("%s: status %d: %s", flag, code, p.Errs())
		}
	}
}

// The answers of a Redis that is starting are temporary: it loads its data, or waits for
// its replicas.
func TestAStartWaitsForARedisThatIsNotReadyYet(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--min-replicas-to-write", "1")
	p := startProgram(t, nil, "--addr=127.0.0.1:0", "--redis="+server.Addr)
	chattest.Eventually(t, "a line about the wait", func() bool { return strings.Contains(p.Errs(), "NOREPLICAS") })
	server.Do("CONFIG", "SET", "min-replicas-to-write", "0")
	chattest.Enter(t, p.URL(1), "Ann", "lobby").Say("lobby", "it came", "k")
}
