package embed

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
)

// command is a command as clients send it: an array of bulk strings.
func command(words []string) []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, word := range words {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(word), word)
	}
	return b
}

// raw is a connection to the broker without a client library.
func raw(t *testing.T, b *Broker) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(chattest.Patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// say writes all bytes at once. It ignores errors, because the broker may have closed the
// connection.
func say(t *testing.T, c net.Conn, parts ...string) {
	t.Helper()
	_, _ = io.WriteString(c, strings.Join(parts, ""))
}

// rest reads until the broker closes the connection.
func rest(t *testing.T, c net.Conn) string {
	t.Helper()
	var b strings.Builder
	if _, err := io.Copy(&b, c); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the broker does not end the connection: %v", err)
	}
	return b.String()
}

// Malformed commands before the password end only their connection. An empty command and
// a word of an impossible length make miniredis panic.
func TestStrangersCanDoNothing(t *testing.T) {
	t.Parallel()
	b := start(t, BrokerConfig{})
	quit := string(command([]string{"QUIT"}))
	const noauth, refused = "-NOAUTH Authentication required.\r\n", "-ERR Protocol error\r\n"
	for name, c := range map[string]struct{ said, heard string }{
		"an empty command":           {"*0\r\n" + quit, "+OK\r\n"},
		"less than no words":         {"*-1\r\n", refused},
		"no word":                    {"*1\r\n$-1\r\n", refused},
		"an impossible length":       {"*1\r\n$99999999999999999\r\n", refused},
		"a length past all numbers":  {"*1\r\n$99999999999999999999999\r\n", refused},
		"a length that is no number": {"*x\r\n", refused},
		"two billion words":          {"*2000000000\r\n", refused},
		"a word over the bound":      {"*1\r\n$16385\r\n", refused},
		"a word longer than said":    {"*1\r\n$4\r\nPINGS\r\n", refused},
		"a line without an end":      {"*" + strings.Repeat("1", 1<<20), refused},
		"a web browser":              {"POST / HTTP/1.1\r\nHost: x\r\n\r\n", refused},
		"typed by hand":              {"PING\r\n", refused},
		"a command":                  {string(command([]string{"SET", "x", "y"})) + quit, noauth + "+OK\r\n"},
		"a script":                   {string(command([]string{"EVAL", "dofile('/etc/hosts')", "0"})) + quit, noauth + "+OK\r\n"},
		"a subscription":             {string(command([]string{"SUBSCRIBE", "x"})) + quit, noauth + "+OK\r\n"},
		"AUTH without a password":    {string(command([]string{"AUTH"})) + quit, "-ERR wrong number of arguments for 'auth' command\r\n+OK\r\n"},
		"guessing without an end":    {strings.Repeat(string(command([]string{"SET", "x", "y"})), 5*strangerCommands), refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := raw(t, b)
			say(t, conn, c.said)
			// A client that still writes when it is cut off may lose the answer, because the
			// system resets the connection.
			if got := rest(t, conn); got != c.heard && len(c.said) < 4096 {
				t.Errorf("it heard %q, want %q", got, c.heard)
			}
			if err := client(t, b.URL()).Ping(t.Context()).Err(); err != nil {
				t.Errorf("the others: %v", err)
			}
		})
	}
}

func TestAnswersKeepTheirOrderAroundThePassword(t *testing.T) {
	t.Parallel()
	b := start(t, BrokerConfig{})
	c := raw(t, b)
	for _, words := range [][]string{{"AUTH", "guess"}, {"GET", "x"}, {"auth", "default", b.cfg.Password}, {"ECHO", "hello"}, {"QUIT"}} {
		say(t, c, string(command(words)))
	}
	want := "-WRONGPASS invalid username-password pair\r\n-NOAUTH Authentication required.\r\n+OK\r\n$5\r\nhello\r\n+OK\r\n"
	if got := rest(t, c); got != want {
		t.Errorf("it heard %q, want %q", got, want)
	}
}

func TestAStrangerHasLittleTime(t *testing.T) {
	t.Parallel()
	b := start(t, BrokerConfig{patience: 50 * time.Millisecond})
	silent, slow, friend := raw(t, b), raw(t, b), raw(t, b)
	say(t, slow, "*2\r\n$4\r\nAU")
	say(t, friend, string(command([]string{"AUTH", b.cfg.Password})))
	rest(t, silent)
	rest(t, slow)
	say(t, friend, string(command([]string{"QUIT"})))
	if got := rest(t, friend); got != "+OK\r\n+OK\r\n" {
		t.Errorf("who has the password heard %q", got)
	}
}

func TestWaysToGiveThePassword(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words []string
		want  bool
	}{
		{[]string{"AUTH", "secret"}, true},
		{[]string{"auth", "default", "secret"}, true},
		{[]string{"HELLO", "3", "AUTH", "default", "secret"}, true},
		{[]string{"HELLO", "3", "SETNAME", "x", "auth", "default", "secret"}, true},
		{[]string{"AUTH"}, false},
		{[]string{"AUTH", ""}, false},
		{[]string{"AUTH", "secrets"}, false},
		{[]string{"HELLO", "3"}, false},
		{[]string{"HELLO", "3", "AUTH", "secret"}, false},
		{[]string{"HELLO", "secret"}, false},
		{[]string{"ECHO", "secret"}, false},
	} {
		if got := knows(c.words, "secret"); got != c.want {
			t.Errorf("%q: %v, want %v", c.words, got, c.want)
		}
	}
}

func FuzzReadCommand(f *testing.F) {
	for _, seed := range []string{"*0\r\n", "*1\r\n$4\r\nPING\r\n", "*1\r\n$-1\r\n", "*2\r\n$4\r\nAUTH\r\n$0\r\n\r\n", "PING\r\n", "*1\n$99999999999\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		words, err := readCommand(bufio.NewReader(bytes.NewReader(said)), stranger)
		if err != nil {
			return
		}
		again, err := readCommand(bufio.NewReader(bytes.NewReader(command(words))), stranger)
		if err != nil || !slices.Equal(again, words) {
			t.Errorf("%q came back as %q, %v", words, again, err)
		}
	})
}
