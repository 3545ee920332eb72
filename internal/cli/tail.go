package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/pflag"

	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

const tailAbout = `chat tail ROOM: print a room as it goes on: time, name, text; with the date where that is
not today, or the day changes. Edits and reactions are printed behind the
text. It ends with --no-follow, at Ctrl-C, and when its output is closed.
`

// tailFlags are the flags of chat tail alone.
type tailFlags struct {
	json     bool
	after    string
	newest   int
	noFollow bool
}

// maxNewest is the most entries that -n may ask for.
const maxNewest = 1000

// Tail runs `chat tail`: it prints a room's entries until ctx is done, also after a
// change of the node. Reports (a gap, another node) go to stderr, one line each. It
// returns a *UsageError if the command line is wrong.
func Tail(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) error {
	var c clientFlags
	var t tailFlags
	flags := pflag.NewFlagSet("chat tail", pflag.ContinueOnError)
	flags.BoolVar(&t.json, "json", false, "print the entries as JSON, one a line")
	flags.StringVar(&t.after, "after", "", "begin after the entry with this `ID`; 0-0 is before the first")
	flags.IntVarP(&t.newest, "newest", "n", 50, "begin with the newest `count` entries, 1000 at most")
	flags.BoolVar(&t.noFollow, "no-follow", false, "print what is there, and end")
	c.add(flags)
	help, err := parseClient("tail", tailAbout, flags, args, stdout)
	if err != nil || help {
		return err
	}
	follow, room, err := t.check(flags)
	if err != nil {
		return err
	}
	opts, err := c.options()
	if err != nil {
		return err
	}
	p := &printer{stdout: stdout, stderr: stderr, json: t.json, once: t.noFollow, local: time.Local, now: time.Now, ended: make(chan struct{})}
	news := &reporter{w: stderr}
	opts.OnRefused = news.refused
	opts.OnNotice = func(n client.Notice) {
		if n.Err == nil {
			p.down = false // that was the status of another node
		}
		news.notice(n)
	}
	opts.OnEvent = p.event
	follow.Handle = p.update
	return p.follow(ctx, room, follow, func() (*client.Session, error) { return c.open(ctx, opts, stderr) })
}

// check parses the arguments and flags.
func (t *tailFlags) check(flags *pflag.FlagSet) (client.Follow, string, error) {
	follow := client.Follow{Newest: t.newest}
	if flags.NArg() != 1 {
		return follow, "", usage("chat tail needs one room", "chat tail ROOM")
	}
	room, err := roomArg(flags.Arg(0))
	if err != nil {
		return follow, "", err
	}
	if t.newest < 0 || t.newest > maxNewest {
		return follow, "", usage(fmt.Sprintf("-n %d is outside 0 to %d", t.newest, maxNewest), "give --after ID to begin further back")
	}
	if flags.Changed("after") {
		if _, err := protocol.ParseID(t.after); err != nil {
			return follow, "", usage(fmt.Sprintf("--after %q is no id of an entry", t.after), "give one as 1764000000000-17, or 0-0 for the beginning")
		}
		follow.After = t.after
		if flags.Changed("newest") {
			return follow, "", usage("--after and -n contradict each other", "leave one out: both say where to begin")
		}
	}
	return follow, room, nil
}

// printer prints the updates of a session. The session's reader calls its methods, one
// at a time.
type printer struct {
	stdout, stderr io.Writer
	json           bool
	once           bool // closed when the existing entries are printed
	local          *time.Location
	now            func() time.Time
	shown          recent
	day            string // of the last printed entry
	down           bool   // the node has reported the loss of Redis

	over  bool
	err   error         // why it ended; set before ended is closed
	ended chan struct{} // closed when there is nothing more to print
}

// follow prints a room until ctx is done, or the reader of the output is gone.
func (p *printer) follow(ctx context.Context, room string, f client.Follow, open func() (*client.Session, error)) error {
	session, err := open()
	if err == nil {
		defer session.Close()
		following, stop := context.WithCancel(ctx)
		defer stop()
		gone := readerGone(following, p.stdout)
		go func() { // ends with following; the next entry may be hours away
			select {
			case <-gone:
				stop()
			case <-following.Done():
			}
		}()
		if err = session.Follow(following, room, f); err == nil && !p.once {
			select {
			case <-following.Done():
			case <-p.ended:
				err = p.err
			case <-session.Done():
				err = session.Err()
			}
		}
		if following.Err() != nil {
			return nil
		}
	}
	if ctx.Err() != nil || errors.Is(err, errBroken) {
		return nil
	}
	return explain(err)
}

// errBroken reports that the reader of the output is gone.
var errBroken = errors.New("the output was closed")

func (p *printer) end(err error) {
	if !p.over {
		p.over, p.err = true, err
		close(p.ended)
	}
}

// update prints one update of the room (client.Follow.Handle).
func (p *printer) update(u client.Update) {
	switch u.Kind {
	case client.KindGap:
		fmt.Fprintln(p.stderr, "chat: there is a gap: entries are missing before the next one")
	case client.KindReset:
		fmt.Fprintln(p.stderr, "chat: the room was reset: what follows is its new log")
	case client.KindEnded:
		p.end(u.Err)
	case client.KindEntry:
		p.entry(u.Entry)
	}
}

func (p *printer) entry(e client.Entry) {
	if p.over || !p.shown.add(e.ID) {
		return
	}
	var out []byte
	if p.json {
		out = formatJSON(e.Raw)
	} else {
		out = formatEntry(e, p.local, p.dated(e))
	}
	_, err := p.stdout.Write(out)
	switch {
	case err == nil:
	case errors.Is(err, syscall.EPIPE), errors.Is(err, io.ErrClosedPipe):
		p.end(errBroken)
	default:
		p.end(fmt.Errorf("write the output: %w", err))
	}
}

// event explains a silence (client.Options.OnEvent).
func (p *printer) event(e client.Event) {
	var s protocol.StatusEvent
	if e.Type != protocol.StatusName || e.Decode(&s) != nil || p.down == (s.Broker == protocol.BrokerDown) {
		return
	}
	p.down = !p.down
	if p.down {
		fmt.Fprintln(p.stderr, "chat: the node can't reach Redis: waiting")
	} else {
		fmt.Fprintln(p.stderr, "chat: the node reaches Redis again")
	}
}

// recent remembers the ids of the last printed entries, which may be repeated after a
// reset.
type recent struct {
	known map[string]bool
	ring  []string
	next  int
}

// maxRecent is more than the entries that follow a reset at once.
const maxRecent = 2 * protocol.MaxRecovered

// add remembers an id, and reports whether it is new.
func (r *recent) add(id string) bool {
	if r.known[id] {
		return false
	}
	if r.known == nil {
		r.known = make(map[string]bool)
	}
	r.known[id] = true
	if len(r.ring) < maxRecent {
		r.ring = append(r.ring, id)
		return true
	}
	delete(r.known, r.ring[r.next])
	r.ring[r.next] = id
	r.next = (r.next + 1) % maxRecent
	return true
}

// clock is the format of an entry's time in the local zone, and dated that with the
// date.
const (
	clock = "15:04:05"
	date  = "2006-01-02"
	dated = date + " " + clock
)

// dated reports whether an entry is printed with its date: if it is not of today, and
// at the start of a new day.
func (p *printer) dated(e client.Entry) bool {
	day := time.UnixMilli(e.Time).In(p.local).Format(date)
	fresh := p.day != "" && p.day != day
	p.day = day
	return fresh || day != p.now().In(p.local).Format(date)
}

// formatEntry formats an entry for people. No part of it can control a terminal.
// Further lines of a text are indented, so that they do not look like entries.
func formatEntry(e client.Entry, zone *time.Location, withDate bool) []byte {
	layout := clock
	if withDate {
		layout = dated
	}
	indent := "\n" + strings.Repeat(" ", len(layout)+2)
	text := strings.ReplaceAll(cleanText(e.Text), "\n", indent)
	switch e.Kind {
	case "":
		text += marks(e)
	case "edit":
		text = "(edited " + clean(e.Target) + ") " + text
	case "delete":
		text = "(deleted " + clean(e.Target) + ")"
	case "react":
		done := "reacted to"
		if !e.On {
			done = "no longer reacts to"
		}
		text = "(" + done + " " + clean(e.Target) + ") " + clean(e.Emoji)
	default:
		text = "(" + clean(e.Kind) + ") " + text
	}
	at := time.UnixMilli(e.Time).In(zone).Format(layout)
	return []byte(at + "  " + clean(e.User.Name) + "  " + text + "\n")
}

// marks returns what follows the text of a message as it stands.
func marks(e client.Entry) string {
	var b strings.Builder
	if e.Edited != 0 {
		b.WriteString(" (edited)")
	}
	for i, r := range e.Reactions {
		b.WriteString([]string{"  [", ", "}[min(i, 1)])
		fmt.Fprintf(&b, "%s %d", clean(r.Emoji), r.Count)
	}
	if len(e.Reactions) > 0 {
		b.WriteByte(']')
	}
	return b.String()
}

// formatJSON returns an entry for programs: the same JSON, with characters that control
// a terminal escaped. Such characters are only in strings.
func formatJSON(raw jsontext.Value) []byte {
	if !bytes.ContainsFunc(raw, steers) {
		return append(raw.Clone(), '\n')
	}
	var b bytes.Buffer
	for _, r := range string(raw) {
		if steers(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// steers reports whether a character controls a terminal: control characters, and those
// that change the direction of text (UAX #9) or end a line.
func steers(r rune) bool {
	switch {
	case unicode.IsControl(r), r == '\u061c', r == '\u200e', r == '\u200f',
		'\u2028' <= r && r <= '\u202e', '\u2066' <= r && r <= '\u2069':
		return true
	}
	return false
}

// clean converts external text to one harmless line.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		return r
	}, cleanText(s))
}

// cleanText removes what controls a terminal, with the parameters of escape sequences,
// and keeps newlines and tabs.
func cleanText(s string) string {
	if !strings.ContainsFunc(s, steers) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '\x1b':
			n = escapeLen(s)
		case r == '\u009b':
			n += parametersLen(s[n:])
		case r == '\n' || r == '\t' || !steers(r):
			b.WriteRune(r)
		}
		s = s[n:]
	}
	return b.String()
}

// maxEscape bounds the search for the end of an escape sequence.
const maxEscape = 1024

// escapeLen returns the length of the escape sequence at the start of s (ECMA-48
// sections 5.3 and 5.4): ESC [ and parameters; ESC ] and similar ones up to their
// terminator; ESC and one or more characters.
func escapeLen(s string) int {
	rest := s[1:]
	if rest == "" {
		return 1
	}
	switch rest[0] {
	case '[':
		return 2 + parametersLen(rest[1:])
	case ']', 'P', 'X', '^', '_':
		for i, r := range rest[:min(len(rest), maxEscape)] {
			switch {
			case r == '\a':
				return 1 + i + 1
			case r == '\u009c':
				return 1 + i + len("\u009c")
			case strings.HasPrefix(rest[i:], "\x1b\\"):
				return 1 + i + 2
			case r == '\n':
				return 1 + i // no end: the rest is text
			}
		}
		return 2 // no end: only the introducer is removed
	}
	for i := range len(rest) { // intermediate characters, then a final one
		switch c := rest[i]; {
		case c < ' ' || c > '~':
			return 1 + i
		case c >= '0':
			return 1 + i + 1
		}
	}
	return len(s)
}

// parametersLen returns the length of the part after a control sequence's introducer.
func parametersLen(s string) int {
	for i := range len(s) {
		switch c := s[i]; {
		case '@' <= c && c <= '~':
			return i + 1
		case c < ' ' || c > '~':
			return i
		}
	}
	return len(s)
}
