package program_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// pulse measures the latency of other users during a storm: a few users who send
// messages, and how long these take to each other. They are in a process of their own, so
// that they do not wait for the storm's clients.
type pulse struct {
	t *testing.T
	*chattest.Process
}

// asPulse makes the test binary a pulse. Its value has the interval of messages, their
// size in bytes, and the nodes.
const asPulse = "CHAT_TEST_AS_PULSE"

// pulseRoom is the room of a pulse.
const pulseRoom = "pulse"

// startPulse has one user at the first node send small messages to one user at each node.
func startPulse(t *testing.T, urls ...string) pulse {
	t.Helper()
	return startBusyPulse(t, 20*time.Millisecond, 20, urls...)
}

// startBusyPulse has one user at the first node send messages of so many bytes.
func startBusyPulse(t *testing.T, every time.Duration, bytes int, urls ...string) pulse {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return pulse{t, chattest.Start(t, chattest.Command{Path: self, Env: []string{fmt.Sprintf("%s=%s %d %s", asPulse, every, bytes, strings.Join(urls, " "))}})}
}

// lap is the number of messages since the last lap, and their latencies.
type lap struct {
	Heard       int
	Median, P99 time.Duration
}

// String formats a lap (fmt.Stringer).
func (l lap) String() string {
	return fmt.Sprintf("%d messages took %s, p99 %s", l.Heard, round(l.Median), round(l.P99))
}

// lap ends a lap once at least so many messages have arrived in it.
func (p pulse) lap(least int) lap {
	p.t.Helper()
	seen := strings.Count(p.Out(), "\n")
	if _, err := fmt.Fprintln(p.Stdin, max(1, least)); err != nil {
		p.t.Fatalf("the pulse ended: %v: %s", err, p.Errs())
	}
	chattest.Eventually(p.t, "the pulse", func() bool { return strings.Count(p.Out(), "\n") > seen })
	lines := strings.Split(strings.TrimSpace(p.Out()), "\n")
	var l lap
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &l); err != nil {
		p.t.Fatal(err)
	}
	return l
}

// runPulse is the main function of a pulse's process, which ends with its standard input.
func runPulse(args []string) error {
	every, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	bytes, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	urls := args[2:]
	var mu sync.Mutex // guards took
	took := []time.Duration{}
	var voice *client.Conn
	for i, u := range append([]string{urls[0]}, urls...) {
		c, err := client.Dial(context.Background(), client.Options{URL: u})
		if err != nil {
			return err
		}
		if err := c.Write(protocol.JoinCommand{Room: pulseRoom}); err != nil {
			return err
		}
		for {
			e, err := c.Read()
			if err != nil {
				return err
			}
			if refused := e.Refused(); refused != nil {
				return refused
			}
			if e.Type == "joined" {
				break
			}
		}
		if i == 0 {
			voice = c
		}
		go func() { // ends with the process
			for {
				e, err := c.Read()
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				var m client.Entry
				if e.Type != "message" || i == 0 || json.Unmarshal(e.Raw, &m) != nil {
					continue
				}
				stamp, _, _ := strings.Cut(m.Text, " ")
				said, _ := strconv.ParseInt(stamp, 10, 64)
				mu.Lock()
				took = append(took, time.Duration(time.Now().UnixNano()-said))
				mu.Unlock()
			}
		}()
	}
	go func() { // ends with the process
		for i := 0; ; i++ {
			now := time.Now()
			text := strconv.FormatInt(now.UnixNano(), 10) + " "
			text += strings.Repeat("x", max(0, bytes-len(text)))
			_ = voice.Write(protocol.SendCommand{Room: pulseRoom, Text: text, Key: strconv.Itoa(i)})
			time.Sleep(time.Until(now.Add(every)))
		}
	}()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		least, err := strconv.Atoi(in.Text())
		if err != nil {
			return err
		}
		for heard := 0; heard < least; time.Sleep(time.Millisecond) {
			mu.Lock()
			heard = len(took)
			mu.Unlock()
		}
		mu.Lock()
		slices.Sort(took)
		line, err := json.Marshal(lap{len(took), took[len(took)/2], took[len(took)*99/100]})
		took = took[:0]
		mu.Unlock()
		if err != nil {
			return err
		}
		fmt.Println(string(line))
	}
	return nil
}
