package program_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// A thousand members of one room get all of twenty messages a second.
func TestAThousandInOneRoom(t *testing.T) {
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--rate=0")
	const members, messages = 1000, 60
	list := chattest.Crowd(t, n.url, "crowd", members)
	speaker := chattest.Enter(t, n.url, "Speaker", "crowd")
	began := time.Now()
	tick := time.NewTicker(time.Second / 20)
	defer tick.Stop()
	var hearing sync.WaitGroup
	for i, c := range list {
		hearing.Go(func() {
			for k := range messages {
				if _, err := c.Until(fmt.Sprintf(`"text":"<%d>"`, k)); err != nil {
					t.Errorf("member %d, message %d: %v", i, k, err)
					return
				}
			}
		})
	}
	for k := range messages {
		<-tick.C
		speaker.Send("send", "room", "crowd", "text", fmt.Sprintf("<%d>", k), "key", strconv.Itoa(k))
	}
	hearing.Wait()
	t.Logf("%d members got %d messages, the last %s after the first was sent", members, messages, time.Since(began).Round(time.Millisecond))
}

// mostPerConnection is the resident memory that an idle joined connection may
// cost, in KiB.
const mostPerConnection = 10

// It measures memory, so it runs while no other test does.
func TestAnIdleConnectionIsSlim(t *testing.T) {
	if chattest.Race {
		t.Skip("the race detector multiplies memory: measured without it")
	}
	p := startProgram(t, nil, "--addr=127.0.0.1:0", "--rate=0")
	url := p.URL(1)
	before := chattest.UsageOf(t, p.PID()).Resident
	const n = 2000
	chattest.Crowd(t, url, "idle", n)
	var each float64
	chattest.Eventually(t, fmt.Sprintf("%d KiB a connection", mostPerConnection), func() bool {
		each = float64(chattest.UsageOf(t, p.PID()).Resident-before) / 1024 / n
		return each <= mostPerConnection
	})
	t.Logf("%.1f KiB a connection at %d", each, n)
}
