//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/swarm"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == floorArgument { // as main does
		fmt.Fprintln(os.Stderr, runFloor())
		os.Exit(1)
	}
	status := m.Run()
	chattest.RemoveBuilds()
	os.Exit(status)
}

// TestTheComparisonRuns runs small loads with the chat and the floor, and writes the
// page.
func TestTheComparisonRuns(t *testing.T) {
	chattest.NeedProgram(t, "redis-server", "the comparison is not tried")
	systems := []*system{chatSystem("chat", chattest.Build(t)), allSystems()[3]}
	cost := []line{{perDelivery, "µs of CPU a delivery", 1, false}, {p99, "– kernel p99, ms", 1, false}}
	rows := []row{
		{key: "open", about: "open loop", nodes: 2, clients: 6, rooms: 2, rate: 20, drain: chattest.Patience, lines: cost},
		{key: "embedded", about: "embedded broker", nodes: 1, clients: 3, rooms: 1, rate: 10, embedded: true, drain: chattest.Patience, lines: cost},
		{key: "closed", about: "closed loop", nodes: 1, clients: 4, rooms: 2, drain: chattest.Patience, lines: []line{{deliveries, "deliveries a second", 0, true}}},
		{key: "idle", about: "idle", nodes: 1, clients: 4, rooms: 2, idle: true, lines: []line{{perLogin, "connect and join", 0, false}, {memory, "– memory", 1, false}}},
	}
	table := newTable(rows, systems)
	table.machine, table.each, table.rounds = thisMachine(t.Context()), time.Second/2, 1
	for _, s := range systems {
		if err := s.prepare(t.Context(), s, t.TempDir()); err != nil {
			t.Fatal(err)
		}
	}
	var progress strings.Builder
	if err := table.fill(t.Context(), &progress); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(progress.String(), "\n"); n != 7 { // the floor does not take part in "idle"
		t.Errorf("%d runs:\n%s", n, progress.String())
	}
	for _, r := range rows {
		one := table.samples[cell{r.key, "chat"}][0]
		if m := r.lines[0].metric; one.values[m] <= 0 {
			t.Errorf("%s: %s is %v", r.key, m, one.values[m])
		}
	}
	page := table.markdown()
	for _, want := range []string{"# Benchmarks\n", "| load | chat | floor |", "| open loop: µs of CPU a delivery |", "| idle: connect and join |", "; chat: chat ", "Redis ", "**Commands**, ", "; chat: `go build`; `chat --addr 127.0.0.1:0 ", "load average was "} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	t.Log(progress.String())
}

func TestTheTableHasMediansAndRatios(t *testing.T) {
	t.Parallel()
	systems := []*system{{name: "a", version: "1"}, {name: "b", version: "2"}}
	table := newTable([]row{{key: "k", about: "load", lines: []line{{perDelivery, "cost", 1, false}, {deliveries, "– speed", 0, true}}}}, systems)
	add := func(system string, cost, speed float64, note string) {
		k := cell{"k", system}
		table.samples[k] = append(table.samples[k], sample{map[metric]float64{perDelivery: cost, deliveries: speed}, note})
	}
	add("a", 5, 100_000, "")
	add("a", 1, 1_234_567, "falls behind")
	add("a", 3, 900, "")
	add("b", 6, 450_000, "")
	page := table.markdown()
	for _, want := range []string{
		"| load: cost | 3.0 (1.0–5.0) | 6.0 (6.0–6.0) |\n| – speed | 100,000 (900–1,234,567) | 450,000 (450,000–450,000) |\n",
		"| k: cost | 0.50 |\n| k: speed | 0.22 |\n", "- k, a, round 2: falls behind.\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
}

func TestAChoiceOfLoadsAndSystems(t *testing.T) {
	t.Parallel()
	o := options{rounds: 1, each: time.Second, rows: "idle,fanout", systems: "socket.io,old"}
	if err := o.builds.Set("old=/tmp/chat"); err != nil {
		t.Fatal(err)
	}
	rows, systems, err := o.choose()
	if err != nil || len(rows) != 2 || rows[0].key != "idle" || len(systems) != 2 || systems[0].name != "Socket.IO" || systems[1].path != "/tmp/chat" {
		t.Errorf("%v, %v, %v", rows, systems, err)
	}
	for _, wrong := range []options{{}, {rounds: 1}, {rounds: 1, each: 1, rows: "x"}, {rounds: 1, each: 1, systems: "chat,"}} {
		if _, _, err := wrong.choose(); err == nil {
			t.Errorf("no error for %+v", wrong)
		}
	}
	if err := o.builds.Set("old"); err == nil {
		t.Error("a build without a path")
	}
}

// TestDialectsReadWhatTheirServersSend has messages as the servers were seen to send
// them.
func TestDialectsReadWhatTheirServersSend(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dialect swarm.Dialect
		message string
		kind    swarm.Kind
		number  int
	}{
		{centrifugo{}, `{"push":{"channel":"r","pub":{"data":{"key":"@@0000000012","text":"x"},"offset":1}}}`, swarm.Delivered, 12},
		{centrifugo{}, `{"id":15,"publish":{}}`, swarm.Acknowledged, 12},
		{centrifugo{}, `{"id":15,"error":{"code":103,"message":"permission denied"}}`, swarm.Refused, 12},
		{centrifugo{}, `{"id":2,"subscribe":{"recoverable":true}}`, swarm.Other, -1},
		{centrifugo{}, `{}`, swarm.Ping, -1},
		{socketIO{}, `42["message",{"room":"r","key":"@@0000000012","user":{"id":"a"},"text":"x","time":1}]`, swarm.Delivered, 12},
		{socketIO{}, `4315[]`, swarm.Acknowledged, 12},
		{socketIO{}, `44{"message":"x"}`, swarm.Refused, -1},
		{socketIO{}, `2`, swarm.Ping, -1},
		{socketIO{}, `40{"sid":"x"}`, swarm.Other, -1},
	} {
		if kind, number := c.dialect.Read([]byte(c.message)); kind != c.kind || number != c.number {
			t.Errorf("%s: kind %d, number %d", c.message, kind, number)
		}
	}
	for _, d := range []swarm.Dialect{swarm.Chat{}, centrifugo{}, socketIO{}} {
		if n := swarm.Mark(d.AppendSend(nil, "r", "text", 7)); n != 7 {
			t.Errorf("%T sends the mark %d", d, n)
		}
	}
}
