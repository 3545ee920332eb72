package program_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/procstat"
)

// cpuTime returns the processor time of all threads of a process.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	spent, err := procstat.CPU(pid)
	chattest.NeedProc(t, err)
	return spent
}

// One delivery costs a node about the same on both transports. Messages are delivered
// alternately to a room of a hundred members on /ws and to another on Socket.IO, while
// the node's processor time is measured.
func TestADeliveryCostsTheSameOnBothTransports(t *testing.T) {
	if chattest.Race {
		t.Skip("the work of the race detector would be measured")
	}
	rounds := 1
	if chattest.Measure() {
		rounds = chattest.Count(20, 20)
	}
	const members, messages = 100, 50
	node := startProgram(t, nil, "--addr=127.0.0.1:0", "--rate=0")
	url := node.URL(1)
	var heard [2]atomic.Int64
	var sender [2]*chattest.Hearer
	for i := range members {
		sender[0] = chattest.HearAt(t, url, "/ws", &heard[0],
			[2]string{fmt.Sprintf(`{"type":"hello","name":"w%d"}`, i), `"welcome"`}, [2]string{`{"type":"join","room":"plain"}`, `"joined"`})
		sender[1] = chattest.HearAt(t, url, "/socket.io/?EIO=4&transport=websocket", &heard[1],
			[2]string{fmt.Sprintf(`40{"name":"s%d"}`, i), `"welcome"`}, [2]string{`42["join",{"room":"events"}]`, `"joined"`})
	}
	text := strings.Repeat("a message of usual length; ", 3)
	var spent [2]time.Duration
	for round := range rounds + 1 {
		for way, command := range []string{
			`{"type":"send","room":"plain","text":"` + text + `","key":"%d-%d"}`,
			`42["send",{"room":"events","text":"` + text + `","key":"%d-%d"}]`,
		} {
			before, due := cpuTime(t, node.Cmd.Process.Pid), heard[way].Load()
			for i := range messages {
				due += members
				sender[way].Say(fmt.Sprintf(command, round, i))
				chattest.Eventually(t, "all members to have the message", func() bool { return heard[way].Load() == due })
			}
			if round > 0 { // the first warms up
				spent[way] += cpuTime(t, node.Cmd.Process.Pid) - before
			}
		}
	}
	each := func(way int) time.Duration { return spent[way] / time.Duration(rounds*messages*members) }
	ratio := float64(spent[1]) / float64(spent[0])
	t.Logf("one delivery costs %s on /ws, %s on Socket.IO: %.3f of it", each(0), each(1), ratio)
	if chattest.Measure() && ratio > 1.15 {
		t.Errorf("a delivery on Socket.IO costs %.0f %% more", 100*(ratio-1))
	}
}
