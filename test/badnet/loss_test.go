//go:build linux

package badnet

import (
	"fmt"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
)

// All lines drop packets, and deliver some late and so out of order: no acknowledged entry is
// lost, duplicated or out of order for any client.
func TestPacketsAreLostAndLate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	hosts := []*host{r.host("c1"), r.host("c2"), r.host("c3")}
	for i := range 9 {
		rooms := []string{"lobby"}
		if i%3 == 0 {
			rooms = append(rooms, "side")
		}
		r.talker(hosts[i%3], fmt.Sprintf("talker%d", i), 150*time.Millisecond, rooms...)
	}
	random := r.fork()
	everybody := append(append([]*host{r.redis}, r.nodes...), hosts...)
	rounds := 2
	if chattest.Long() {
		rounds = 4
	}
	for range rounds {
		for _, h := range everybody {
			bad := way{
				delay: time.Duration(random.IntN(20)) * time.Millisecond,
				loss:  0.01 + 0.02*random.Float64(), late: 0.01 + 0.02*random.Float64(), lateBy: 40 * time.Millisecond,
			}
			r.net.set(h, line{bad, bad})
		}
		r.hold(4 * time.Second)
	}
	for _, h := range everybody {
		r.net.set(h, line{})
	}
	rep := r.finish()
	if rep.Acknowledged < 100 {
		t.Errorf("only %d messages were acknowledged", rep.Acknowledged)
	}
	if rep.Gaps+rep.Resets > 0 {
		t.Errorf("clients got %d gaps and %d resets, although no log was lost", rep.Gaps, rep.Resets)
	}
	r.net.mu.Lock()
	defer r.net.mu.Unlock()
	t.Logf("%d packets passed, %d were dropped", r.net.count, r.net.lost)
	if r.net.lost < 50 {
		t.Errorf("only %d packets were dropped", r.net.lost)
	}
}
