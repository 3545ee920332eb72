package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/fakenode"
	"example.com/chat/internal/protocol"
)

// send runs `chat send` with a node.
func send(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	err = Send(t.Context(), args, strings.NewReader(stdin), &out, &errs)
	return out.String(), errs.String(), err
}

func TestSendWords(t *testing.T) {
	c := fakenode.New()
	n := c.Start(t)
	for _, args := range [][]string{
		{"Lobby", "Hello,", "all  of you", "--url", n.URL},
		{"--url", n.URL, "lobby", "--", "-n", "is a flag"},
		{"lobby", "--url=" + n.URL, "two\nlines"},
	} {
		stdout, stderr, err := send(t, "not read", args...)
		if err != nil || stderr != "" || !strings.HasSuffix(stdout, "\n") || strings.Count(stdout, "\n") != 1 || !strings.Contains(stdout, "-") {
			t.Errorf("%q: %q, %q, %v", args, stdout, stderr, err)
		}
	}
	if got, want := c.Texts("lobby"), []string{"Hello, all  of you", "-n is a flag", "two\nlines"}; !slices.Equal(got, want) {
		t.Errorf("the log holds %q", got)
	}
}

func TestSendLines(t *testing.T) {
	t.Setenv("CHAT_NAME", "Ann")
	c := fakenode.New()
	n := c.Start(t)
	t.Setenv("CHAT_URL", n.URL)
	input := "one\r\n\n  two\n" + strings.Repeat("x", 5000) + "\nthree\n" + strings.Repeat("y", maxLine+1) + "\nfour"
	stdout, stderr, err := send(t, input, "lobby")
	if err == nil || err.Error() != "2 of 6 lines were not sent: see above" {
		t.Errorf("got %v", err)
	}
	if want := []string{"one", "  two", "three", "four"}; !slices.Equal(c.Texts("lobby"), want) || strings.Count(stdout, "\n") != len(want) {
		t.Errorf("the log holds %q; printed %q", c.Texts("lobby"), stdout)
	}
	lines := strings.Split(stderr, "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "line 4: too_long") || !strings.HasPrefix(lines[1], "line 6: too_long") {
		t.Errorf("stderr: %q", stderr)
	}
	if hello := n.Heard("hello"); len(hello) != 1 || hello[0].Name != "Ann" {
		t.Errorf("hello: %+v", hello)
	}
}

func TestSendLinesKeepTheirOrderThroughFaults(t *testing.T) {
	c := fakenode.New()
	n1 := c.Start(t)
	c.Start(t)
	n := 0
	n1.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
		if cmd.Type != "send" {
			return nil
		}
		switch n++; n {
		case 10:
			return &fakenode.Fault{Code: "unavailable"}
		case 20:
			return &fakenode.Fault{Obey: true, Cut: true}
		}
		return nil
	})
	var input strings.Builder
	var want []string
	for i := range 50 {
		fmt.Fprintln(&input, i)
		want = append(want, fmt.Sprint(i))
	}
	stdout, stderr, err := send(t, input.String(), "lobby", "--url", n1.URL)
	if err != nil || strings.Count(stdout, "\n") != 50 {
		t.Errorf("printed %q, %v", stdout, err)
	}
	if !slices.Equal(c.Texts("lobby"), want) {
		t.Errorf("the log holds %q", c.Texts("lobby"))
	}
	if !strings.Contains(stderr, "lost node n1") || !strings.Contains(stderr, "moved to node n2") {
		t.Errorf("stderr: %q", stderr)
	}
}

func TestSendFails(t *testing.T) {
	c := fakenode.New()
	n := c.Start(t)
	n.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
		switch {
		case cmd.Name == "Taken":
			return &fakenode.Fault{Code: "name_taken"}
		case cmd.Room == "locked" && cmd.Type == "send":
			return &fakenode.Fault{Code: "locked"}
		case cmd.Auth != "":
			return &fakenode.Fault{Close: 4001}
		}
		return nil
	})
	jwt := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + ".e30.c2ln"
	for _, test := range []struct {
		args  []string
		stdin string
		want  string
	}{
		{[]string{"lobby", "hi", "--url", "http://127.0.0.1:1"}, "", "can't reach a node at http://127.0.0.1:1: connection refused: is it running? give --url"},
		{[]string{"lobby", "hi", "--url", n.URL, "--token", "void"}, "", "give another --token"},
		{[]string{"lobby", "hi", "--url", n.URL, "--token", jwt}, "", "told to: give --token"},
		{[]string{"lobby", "hi", "--url", n.URL, "--name", "Taken"}, "", "give another --name"},
		{[]string{"locked", "hi", "--url", n.URL}, "", "locked"},
		{[]string{"locked", "--url", n.URL}, "one\ntwo\n", "line 1: locked"},
	} {
		stdout, _, err := send(t, test.stdin, test.args...)
		var misuse *UsageError
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") || errors.As(err, &misuse) || stdout != "" {
			t.Errorf("%q: %q, %v", test.args, stdout, err)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	run := map[string]func(context.Context, []string, io.Reader, io.Writer, io.Writer) error{"send": Send, "tail": Tail}
	for _, args := range [][]string{
		{"send"}, {"send", "no room!"}, {"send", ".hidden", "x"}, {"send", "lobby", "x", "--nonsense"},
		{"send", "lobby", ""}, {"send", "lobby", "x", "--url", "localhost:8080"}, {"send", "lobby", "x", "--url"},
		{"tail"}, {"tail", "a", "b"}, {"tail", "a", "-n", "1001"}, {"tail", "a", "-n", "-1"}, {"tail", "a", "-n", "x"},
		{"tail", "a", "--after", "17"}, {"tail", "a", "--after", ""}, {"tail", "a", "--after", "1-1", "-n", "5"}, {"tail", strings.Repeat("a", 65)},
	} {
		var stdout, stderr bytes.Buffer
		err := run[args[0]](t.Context(), args[1:], strings.NewReader(""), &stdout, &stderr)
		var misuse *UsageError
		if !errors.As(err, &misuse) || misuse.Hint == "" || stdout.Len()+stderr.Len() > 0 {
			t.Errorf("%q: %v, printed %q %q", args, err, stdout.String(), stderr.String())
		}
	}
	for _, command := range []string{"send", "tail"} {
		var stdout bytes.Buffer
		err := run[command](t.Context(), []string{"--help"}, nil, &stdout, nil)
		if err != nil || !strings.HasPrefix(stdout.String(), "chat "+command) || !strings.Contains(stdout.String(), "--url URL") {
			t.Errorf("%v, printed %q", err, stdout.String())
		}
	}
}

func TestInterruptedSend(t *testing.T) {
	c := fakenode.New()
	n := c.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	n.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
		if cmd.Type != "send" {
			return nil
		}
		cancel()
		return &fakenode.Fault{Silent: true}
	})
	err := Send(ctx, []string{"lobby", "hi", "--url", n.URL}, nil, io.Discard, io.Discard)
	if err == nil || !strings.HasPrefix(err.Error(), "interrupted: it is not known") {
		t.Errorf("got %v", err)
	}
	// While no message is in flight, only the wait for a line is interrupted.
	n.Faulty(nil)
	ctx, cancel = context.WithCancel(t.Context())
	in, out := io.Pipe()
	defer out.Close()
	ended := make(chan error)
	go func() { // ends with ctx, and is waited for below
		ended <- Send(ctx, []string{"lobby", "--url", n.URL}, in, io.Discard, io.Discard)
	}()
	if _, err := out.Write([]byte("one\n")); err != nil {
		t.Fatal(err)
	}
	chattest.Eventually(t, "the line", func() bool { return slices.Contains(c.Texts("lobby"), "one") })
	cancel()
	if err := <-ended; err != nil && !strings.HasPrefix(err.Error(), "line 1: interrupted") {
		t.Errorf("got %v", err)
	}
}

// A node that refuses every message looked like a program that hangs. The reason why it
// tries again is printed, once for the many refusals of a few seconds.
func TestSendTellsWhyItTriesAgain(t *testing.T) {
	for _, command := range []string{"join", "send"} {
		c := fakenode.New()
		n := c.Start(t)
		refusals := 0
		n.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
			if cmd.Type != command || refusals == 4 {
				return nil
			}
			refusals++
			return &fakenode.Fault{Code: "unavailable"}
		})
		stdout, stderr, err := send(t, "", "lobby", "hi", "--url", n.URL)
		if err != nil || stdout == "" || !strings.HasPrefix(stderr, "chat: trying again: unavailable: ") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: printed %q, %q, %v", command, stdout, stderr, err)
		}
	}
}

func TestRefusalsAreToldNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w strings.Builder
		r := &reporter{w: &w}
		for range 11 { // 0 to 10 s
			r.refused(protocol.Errorf(protocol.CodeUnavailable, "Redis is \x1b[31mfull"))
			r.refused(protocol.Errorf(protocol.CodeRateLimited, "wait"))
			time.Sleep(time.Second) // virtual
		}
		if want := strings.Repeat("chat: trying again: unavailable: Redis is full\n", 3); w.String() != want {
			t.Errorf("printed %q", w.String())
		}
	})
}

// A flag whose shell variable is not set must not silently disable its purpose. An empty
// environment variable counts as unset.
func TestEmptyFlagsAreRefused(t *testing.T) {
	for _, c := range []struct {
		flag string
		err  func(arg string) error
	}{
		{"url", func(arg string) error {
			return Send(t.Context(), []string{"lobby", "x", arg}, nil, io.Discard, io.Discard)
		}},
		{"token", func(arg string) error {
			return Send(t.Context(), []string{"lobby", "x", arg}, nil, io.Discard, io.Discard)
		}},
		{"name", func(arg string) error { return Tail(t.Context(), []string{"lobby", arg}, nil, io.Discard, io.Discard) }},
		{"out", func(arg string) error { return Bench(t.Context(), []string{arg}, io.Discard, io.Discard) }},
		{"jwt-secret", parseNode}, {"jwt-key-file", parseNode}, {"redis", parseNode}, {"secret", parseNode}, {"origin", parseNode}, {"host", parseNode}, {"ui", parseNode}, {"trust-proxy", parseNode}, {"advertise", parseNode},
		{"node-id", parseNode}, {"broker-addr", parseNode}, {"debug-addr", parseNode}, {"addr", parseNode},
	} {
		for _, value := range []string{"", " "} {
			var misuse *UsageError
			err := c.err("--" + c.flag + "=" + value)
			if !errors.As(err, &misuse) || !strings.HasPrefix(err.Error(), "--"+c.flag+" is given as empty: leave it out, or give it") {
				t.Errorf("--%s=%q: %v", c.flag, value, err)
			}
		}
	}
	o, _, err := ParseNode(nil, func(name string) (string, bool) { return map[string]string{"CHAT_JWT_SECRET": " "}[name], true }, io.Discard)
	if err != nil || len(o.Given) > 0 {
		t.Errorf("empty variables: %v, given %v", err, o.Given)
	}
}

func parseNode(arg string) error {
	_, _, err := ParseNode([]string{arg}, func(string) (string, bool) { return "", false }, io.Discard)
	return err
}

func TestIsJWT(t *testing.T) {
	t.Parallel()
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for token, want := range map[string]bool{
		part(`{"alg":"HS256","typ":"JWT"}`) + ".e30.c2ln": true,
		part(`{"typ":"JWT"}`) + ".e30.c2ln":               false,
		part(`{"alg":"HS256"}`) + ".e30":                  false,
		"g1.abc.def":                                      false,
		"":                                                false,
	} {
		if isJWT(token) != want {
			t.Errorf("%q: %t", token, !want)
		}
	}
}

func TestReadLine(t *testing.T) {
	t.Parallel()
	in := bufio.NewReaderSize(strings.NewReader("ab\r\n\n"+strings.Repeat("x", 40)+"\nend"), 16)
	for _, want := range []struct {
		text string
		size int
	}{{"ab", 2}, {"", 0}, {strings.Repeat("x", 22), 41}, {"end", 3}} {
		text, size, err := readLine(in, 20)
		if text != want.text || size != want.size || (err != nil && err != io.EOF) {
			t.Errorf("got %q, %d, %v; want %v", text, size, err, want)
		}
	}
}
