package program_test

import (
	"errors"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// What stalled readers may cost other members of a room: twice the 99th percentile
// without them, or a latency that users do not notice.
const (
	feltFactor = 2
	unnoticed  = 5 * time.Millisecond
)

// stall has n clients join the room and read nothing from then on. Their receive buffers
// are small, so the node soon has to queue.
func stall(t *testing.T, url, room string, n int) []*chattest.Slim {
	t.Helper()
	small := &net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
		})
		return errors.Join(err, failed)
	}}
	var list []*chattest.Slim
	for range n {
		c, err := chattest.DialSlimBy(small, url, room)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		list = append(list, c)
	}
	return list
}

// Stalled readers in a busy room are closed, and the latency of its other members does
// not grow. Rounds with and without them alternate, and the medians of the rounds are
// compared, so that other load on the machine affects both. The test measures time, so it
// runs while no other test does.
func TestReadersThatStallAreNotFelt(t *testing.T) {
	if chattest.Race {
		t.Skip("the race detector multiplies time: measured without it")
	}
	const stalled, heard = 20, 300
	rounds := chattest.Count(5, 11)
	b := redistest.Embedded(t)
	url := startNodes(t, 1, b.URL(), "--rate=0", "--text-limit=8000")[0].URL(1)
	p := startBusyPulse(t, 10*time.Millisecond, 8000, url, url, url)
	p.lap(heard)
	before := established(t, url)
	var without, with []time.Duration
	var closed time.Duration
	for round := range rounds {
		without = append(without, p.lap(heard).P99)
		list := stall(t, url, pulseRoom, stalled)
		began := time.Now()
		p.lap(0) // without the time for their joins
		with = append(with, p.lap(heard*3/2).P99)
		if round == rounds-1 {
			chattest.Eventually(t, "the stalled readers to be closed", func() bool { return established(t, url) <= before })
			closed = time.Since(began)
		}
		for _, c := range list {
			_ = c.Close()
		}
		p.lap(0)
	}
	slices.Sort(without)
	slices.Sort(with)
	quiet, felt := without[rounds/2], with[rounds/2]
	t.Logf("p99 of others, the median of %d rounds: %s without, %s with %d stalled, who were closed within %s", rounds, quiet, felt, stalled, closed)
	if felt > max(feltFactor*quiet, quiet+unnoticed) {
		t.Errorf("p99 without: %v; with: %v", without, with)
	}
}
