package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/chat/internal/chattest/fakenode"
	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"

	"example.com/chat/internal/chattest"
)

// output is a writer that can be read concurrently.
type output struct {
	mu  sync.Mutex // guards the fields below
	all strings.Builder
	err error
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0, o.err
	}
	return o.all.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

func (o *output) lines() []string { return strings.Split(strings.TrimSuffix(o.String(), "\n"), "\n") }

// tailing is a running `chat tail`.
type tailing struct {
	stdout, stderr output
	stop           context.CancelFunc
	ended          chan error
}

func tail(t *testing.T, args ...string) *tailing {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &tailing{stop: cancel, ended: make(chan error, 1)}
	go func() { // ends with ctx; interrupt waits for it
		p.ended <- Tail(ctx, args, nil, &p.stdout, &p.stderr)
	}()
	t.Cleanup(cancel)
	return p
}

// interrupt ends it as Ctrl-C does.
func (p *tailing) interrupt(t *testing.T) {
	t.Helper()
	p.stop()
	if err := <-p.ended; err != nil {
		t.Errorf("chat tail ended with %v", err)
	}
}

// texts returns what follows time and name in each line.
func (p *tailing) texts() []string {
	var list []string
	for _, l := range p.stdout.lines() {
		if _, text, ok := strings.Cut(l, "  Other  "); ok {
			list = append(list, text)
		}
	}
	return list
}

func (p *tailing) wants(t *testing.T, want ...string) {
	t.Helper()
	chattest.Eventually(t, fmt.Sprintf("%d lines", len(want)), func() bool { return len(p.texts()) >= len(want) })
	if got := p.texts(); !slices.Equal(got, want) {
		t.Fatalf("printed %q, want %q", got, want)
	}
}

func numbers(from, to int) []string {
	var list []string
	for i := from; i <= to; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

func TestTailGoesOnAtAnotherNode(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n1 := c.Start(t)
	c.Start(t)
	for i := 1; i <= 300; i++ {
		c.Say("lobby", fmt.Sprint(i))
	}
	p := tail(t, "lobby", "--url", n1.URL, "-n", "200")
	p.wants(t, numbers(101, 300)...)
	n1.Kill()
	for i := 301; i <= 400; i++ {
		c.Say("lobby", fmt.Sprint(i))
	}
	p.wants(t, numbers(101, 400)...)
	if e := p.stderr.lines(); len(e) != 2 || !strings.HasPrefix(e[0], "chat: lost node n1: ") || !strings.HasPrefix(e[1], "chat: moved to node n2 at http://") {
		t.Errorf("stderr: %q", e)
	}
	p.interrupt(t)
}

func TestTailTellsOfGapsAndResets(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	c.Say("lobby", "1")
	after := c.Say("lobby", "2")
	c.Say("lobby", "3")
	p := tail(t, "lobby", "--url", n.URL, "--after", after)
	p.wants(t, "3")
	c.Wipe("lobby", true)
	c.Say("lobby", "a")
	p.wants(t, "3", "a")
	if e := p.stderr.String(); strings.Count(e, "\n") != 1 || !strings.Contains(e, "reset") {
		t.Errorf("stderr: %q", e)
	}
	p.interrupt(t)
	p = tail(t, "lobby", "--url", n.URL, "--after", after)
	p.wants(t, "a")
	if e := p.stderr.String(); strings.Count(e, "\n") != 1 || !strings.Contains(e, "gap") {
		t.Errorf("stderr: %q", e)
	}
	p.interrupt(t)
}

// After a reset the node delivers its newest entries again, also those that have not
// changed.
func TestTailPrintsNothingTwice(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	for i := 1; i <= 3; i++ {
		c.Say("lobby", fmt.Sprint(i))
	}
	p := tail(t, "lobby", "--url", n.URL)
	p.wants(t, "1", "2", "3")
	c.Publish("lobby", `{"type":"reset","room":"lobby","head":"1764000000003-3"}`)
	c.Say("lobby", "4")
	p.wants(t, "1", "2", "3", "4")
	p.interrupt(t)
	var r recent
	for i := range 3 * maxRecent {
		if id := fmt.Sprint(i); !r.add(id) || r.add(id) {
			t.Fatalf("%s: a new entry counts as printed, or a printed one as new", id)
		}
	}
	if len(r.known) != maxRecent || len(r.ring) != maxRecent {
		t.Errorf("%d ids are remembered", len(r.known))
	}
}

func TestTailJSON(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	c.Say("lobby", "old")
	p := tail(t, "--json", "lobby", "--url", n.URL)
	chattest.Eventually(t, "the old message", func() bool { return strings.Contains(p.stdout.String(), "old") })
	c.Say("lobby", "<b>\u202e\u009b31m\x1b[31m\n é")
	chattest.Eventually(t, "the new message", func() bool { return strings.Count(p.stdout.String(), "\n") == 2 })
	for i, l := range p.stdout.lines() {
		var fields map[string]any
		if err := json.Unmarshal([]byte(l), &fields); err != nil {
			t.Fatalf("%q: %v", l, err)
		}
		if _, has := fields["type"]; has || fields["room"] != "lobby" || strings.ContainsFunc(l, steers) {
			t.Errorf("printed %q", l)
		}
		if want := []any{"old", "<b>\u202e\u009b31m\x1b[31m\n é"}[i]; fields["text"] != want {
			t.Errorf("printed %q, want text %q", l, want)
		}
	}
	p.interrupt(t)
}

func TestTailEnds(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	for _, broken := range []error{syscall.EPIPE, io.ErrClosedPipe} {
		p := tail(t, "lobby", "--url", n.URL, "-n", "0")
		p.stdout.mu.Lock()
		p.stdout.err = broken
		p.stdout.mu.Unlock()
		chattest.Eventually(t, "the join", func() bool { return n.Peers() == 1 && len(n.Heard("join")) > 0 })
		chattest.Eventually(t, "chat tail to end", func() bool { c.Say("lobby", "x"); return len(p.ended) == 1 })
		if err := <-p.ended; err != nil {
			t.Errorf("%v: %v", broken, err)
		}
		chattest.Eventually(t, "the user to leave", func() bool { return n.Peers() == 0 })
	}
	p := tail(t, "lobby", "--url", n.URL, "-n", "0")
	chattest.Eventually(t, "the join", func() bool { return len(n.Heard("join")) == 3 })
	n.Close(4003, "for \x1b[31mspam")
	if err := <-p.ended; err == nil || err.Error() != "removed by a moderator: for spam" {
		t.Errorf("kicked: %v", err)
	}
}

func TestFormatEntry(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC).UnixMilli()
	for _, test := range []struct{ name, text, want string }{
		{"Ann", "hello", "03:04:05  Ann  hello\n"},
		{"Ann", "one\ntwo\n03:04:06  Bob  lies", "03:04:05  Ann  one\n          two\n          03:04:06  Bob  lies\n"},
		{"A\x1b[1mn\nn", "\x1b[31;1mred\x1b[0m \x1b]0;title\abell\a \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "03:04:05  An n  red bell link\n"},
		{"Ann", "\u009b31mc1 \u202eevil\u2066 \x1bc\x1b(0 \x1b", "03:04:05  Ann  c1 evil  \n"},
		{"Ann", "\x1b]0;never ended\nnext \x1b[31", "03:04:05  Ann  \n          next \n"},
		{"Ann", "\x1bPnever ended", "03:04:05  Ann  never ended\n"},
		{"Ann", "\x1b[31\x1b[32mnested\r\b\x7f 👩‍👩‍👧 tab\there", "03:04:05  Ann  nested 👩‍👩‍👧 tab\there\n"},
	} {
		e := client.Entry{MessageEvent: protocol.MessageEvent{Text: test.text, User: protocol.User{Name: test.name}, Time: at}}
		if got := string(formatEntry(e, time.UTC, false)); got != test.want {
			t.Errorf("%q: got %q, want %q", test.text, got, test.want)
		}
	}
	for kind, want := range map[string]string{
		"edit": "(edited 1-1) text", "delete": "(deleted 1-1)", "react": "(no longer reacts to 1-1) +", "later": "(later) text",
	} {
		e := client.Entry{MessageEvent: protocol.MessageEvent{Kind: kind, Target: "1-1", Text: "text", Emoji: "+", Time: at}}
		if got := string(formatEntry(e, time.UTC, false)); got != "03:04:05    "+want+"\n" {
			t.Errorf("%s: got %q", kind, got)
		}
	}
}

func TestMessagesAsTheyStand(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixMilli()
	e := client.Entry{MessageEvent: protocol.MessageEvent{Text: "hello", User: protocol.User{Name: "Ann"}, Time: at, Edited: 7, Reactions: []protocol.Reaction{{Emoji: "👍", Count: 2}, {Emoji: "\x1b[31m❤", Count: 1}}}}
	if got, want := string(formatEntry(e, time.UTC, true)), "2026-01-02 03:04:05  Ann  hello (edited)  [👍 2, ❤ 1]\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	raw := `{"id":"5-1","room":"lobby","text":"hello","edited":7,"reactions":[{"emoji":"👍","count":2,"users":["a"]}]}`
	c := fakenode.New()
	n := c.Start(t)
	n.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
		if cmd.Type != "join" {
			return nil
		}
		return &fakenode.Fault{Raw: fmt.Sprintf(`{"type":"joined","ref":%s,"room":"lobby","head":"9-9","messages":[%s]}`, cmd.Ref, raw)}
	})
	var stdout, stderr output
	if err := Tail(t.Context(), []string{"lobby", "--no-follow", "--json", "--url", n.URL}, nil, &stdout, &stderr); err != nil || stdout.String() != raw+"\n" {
		t.Errorf("%v, printed %q", err, stdout.String())
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[31m")
	f.Add("\x1b]0;x\x1b\\\u009b\u009c\xff")
	f.Fuzz(func(t *testing.T, s string) {
		if got := clean(s); strings.ContainsFunc(got, steers) {
			t.Errorf("%q became %q", s, got)
		}
	})
}
