package client

import (
	"testing"
	"testing/synctest"
	"time"

	"example.com/chat/internal/protocol"
)

func TestThePacerStaysUnderTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pacer
		messages := func(n int) time.Duration {
			began := time.Now()
			for range n {
				if err := p.wait(t.Context()); err != nil {
					t.Error(err)
				}
			}
			return time.Since(began).Round(time.Millisecond)
		}
		p.exhaust()
		if took := messages(1000); took != 0 {
			t.Errorf("1000 messages without a limit took %s", took)
		}
		p.set(protocol.Limits{Rate: 10, Burst: 5})
		if took := messages(23); took != 2*time.Second { // 4 at once, and 19 at 9.5 a second
			t.Errorf("23 messages took %s", took)
		}
		time.Sleep(time.Minute)
		p.exhaust()
		p.set(protocol.Limits{Rate: 100, Burst: 5})
		if took := messages(19); took != 200*time.Millisecond {
			t.Errorf("19 messages at the new rate took %s", took)
		}
	})
}
