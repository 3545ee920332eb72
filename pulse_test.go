package main

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

	"example.com/chat/internal/client"
	"example.com/chat/internal/poll"
)

// pulse is the life of others while a storm passes: a few users who talk, and
// how long what they say takes to each other. They live in a process of their
// own, so that they don't wait for the storm's clients.
type pulse struct{ *process }

// asPulse makes the test binary be a pulse at the nodes that it names.
const asPulse = "CHAT_TEST_AS_PULSE"

// pulseEvery is how often one of them says something.
const pulseEvery = 20 * time.Millisecond

// startPulse has one user at the first node say something to one at each.
func startPulse(t *testing.T, urls ...string) pulse {
	t.Helper()
	return pulse{startProgram(t, []string{asPulse + "=" + strings.Join(urls, " ")})}
}

// lap is what was heard since the last lap, and how long it took.
type lap struct {
	Heard       int
	Median, P99 time.Duration
}

// String puts it into words.
func (l lap) String() string {
	return fmt.Sprintf("%d messages took %s, p99 %s", l.Heard, round(l.Median), round(l.P99))
}

// lap ends a lap, once at least so many messages were heard in it.
func (p pulse) lap(least int) lap {
	p.t.Helper()
	seen := strings.Count(p.out(), "\n")
	if _, err := fmt.Fprintln(p.stdin, max(1, least)); err != nil {
		p.t.Fatalf("the pulse ended: %v: %s", err, p.errs())
	}
	poll.Until(p.t, "the pulse", func() bool { return strings.Count(p.out(), "\n") > seen })
	lines := strings.Split(strings.TrimSpace(p.out()), "\n")
	var l lap
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &l); err != nil {
		p.t.Fatal(err)
	}
	return l
}

// runPulse is the pulse's process: it ends with its standard input.
func runPulse(urls []string) error {
	var mu sync.Mutex // guards took
	took := []time.Duration{}
	var voice *client.Conn
	for i, u := range append([]string{urls[0]}, urls...) {
		c, err := client.Dial(context.Background(), client.Options{URL: u})
		if err != nil {
			return err
		}
		if err := c.Write(client.Command{Type: "join", Room: "pulse"}); err != nil {
			return err
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
				said, _ := strconv.ParseInt(m.Text, 10, 64)
				mu.Lock()
				took = append(took, time.Duration(time.Now().UnixNano()-said))
				mu.Unlock()
			}
		}()
	}
	go func() { // ends with the process
		for i := 0; ; i++ {
			now := time.Now()
			_ = voice.Write(client.Command{Type: "send", Room: "pulse", Text: strconv.FormatInt(now.UnixNano(), 10), Key: strconv.Itoa(i)})
			time.Sleep(time.Until(now.Add(pulseEvery)))
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
