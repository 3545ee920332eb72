package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

const sendAbout = `chat send ROOM [TEXT...]: say one thing; without TEXT, each line of standard input.
Prints the id of each message. While no node accepts it, it tries again until it is
interrupted, and prints the reason on standard error. If a line is too long, or the node
refuses it, it prints an error there and goes on with the next line; the status is then 1.
A text with a word that begins with "-" comes after "--".
`

// Send runs `chat send`: it sends the text of the arguments, or each line of stdin, to
// a room, and prints the id of each message. It returns a *UsageError if the command
// line is wrong.
func Send(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	var c clientFlags
	flags := pflag.NewFlagSet("chat send", pflag.ContinueOnError)
	c.add(flags)
	help, err := parseClient("send", sendAbout, flags, args, stdout)
	if err != nil || help {
		return err
	}
	if flags.NArg() == 0 {
		return usage("chat send needs a room", "chat send ROOM [TEXT...]")
	}
	room, err := roomArg(flags.Arg(0))
	if err != nil {
		return err
	}
	opts, err := c.options()
	if err != nil {
		return err
	}
	words := flags.Args()[1:]
	if len(words) > 0 && strings.Join(words, " ") == "" {
		return usage("the text is empty", "say something, or leave it out and give lines on standard input")
	}
	news := &reporter{w: stderr}
	opts.OnNotice, opts.OnRefused = news.notice, news.refused
	session, err := c.open(ctx, opts, stderr)
	if err != nil {
		return explain(err)
	}
	defer session.Close()
	s := &sender{session: session, room: room, stdout: stdout, stderr: stderr}
	if len(words) > 0 {
		return explain(s.say(ctx, strings.Join(words, " ")))
	}
	return s.lines(ctx, stdin)
}

// sender sends messages to one room, one after the other.
type sender struct {
	session        *client.Session
	room           string
	stdout, stderr io.Writer
}

func (s *sender) say(ctx context.Context, text string) error {
	sent, err := s.session.Send(ctx, s.room, text, client.NewKey())
	if err != nil {
		return err
	}
	id := sent.ID
	if id == "" {
		id = "-" // it was accepted, and the log no longer holds it
	}
	_, err = fmt.Fprintln(s.stdout, clean(id))
	return err
}

// lines sends each line of a reader. A line that the node refuses fails alone; the
// others are sent.
func (s *sender) lines(ctx context.Context, stdin io.Reader) error {
	texts := make(chan line)
	stop := make(chan struct{})
	defer close(stop)
	// Owned by this call; ends with the input, or with stop at its next line. A read
	// that never returns ends with the process: nothing can end it sooner, so nothing
	// waits for it.
	go readLines(stdin, maxLine, texts, stop)
	failed, n := 0, 0
	for {
		select {
		case <-ctx.Done():
			return nil // between two lines, so no message is in flight
		case <-s.session.Done():
			return explain(s.session.Err())
		case l, ok := <-texts:
			if !ok {
				if failed > 0 {
					return fmt.Errorf("%d of %d lines were not sent: see above", failed, n)
				}
				return nil
			}
			n++
			refused, err := s.line(ctx, l)
			if err != nil {
				return err
			}
			if refused {
				failed++
			}
		}
	}
}

// line sends one line; refused reports that the node does not accept it.
func (s *sender) line(ctx context.Context, l line) (refused bool, err error) {
	err = l.err
	if err == nil {
		err = s.say(ctx, l.text)
	}
	var bad *protocol.Error
	switch {
	case err == nil:
		return false, nil
	case errors.As(err, &bad) && !hopeless[bad.Code] && !errors.Is(err, client.ErrUnknown) && s.session.Err() == nil:
		fmt.Fprintf(s.stderr, "line %d: %s\n", l.number, clean(bad.Error()))
		return true, nil
	}
	return false, fmt.Errorf("line %d: %w", l.number, explain(err))
}

// hopeless are the refusals that every further line would get too.
var hopeless = map[protocol.Code]bool{
	protocol.CodeBadRoom: true, protocol.CodeForbidden: true, protocol.CodeUnauthorized: true,
	protocol.CodeNotJoined: true, protocol.CodeTooManyRooms: true, protocol.CodeMuted: true, protocol.CodeLocked: true,
}

// maxLine bounds the part of a line that is kept: no node accepts a longer text.
const maxLine = maxTextLimit

// line is one line of standard input that is not empty.
type line struct {
	number int
	text   string
	err    error
}

// readLines sends the lines of a reader to a channel, and closes it at the end.
func readLines(from io.Reader, most int, to chan<- line, stop <-chan struct{}) {
	defer close(to)
	in := bufio.NewReader(from)
	for number := 1; ; number++ {
		text, size, err := readLine(in, most)
		l := line{number: number, text: text}
		switch {
		case size > most:
			l.err = protocol.Errorf(protocol.CodeTooLong, "the line has %d bytes: no node takes so many", size)
		case err != nil && !errors.Is(err, io.EOF):
			l.err = fmt.Errorf("read standard input: %w", err)
		}
		if text != "" || l.err != nil {
			select {
			case to <- l:
			case <-stop:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// readLine reads one line without its end, keeps at most so many bytes of it, and
// returns its full length.
func readLine(in *bufio.Reader, most int) (text string, size int, err error) {
	var kept []byte
	for {
		part, err := in.ReadSlice('\n')
		size += len(part)
		kept = append(kept, part[:min(len(part), most+2-len(kept))]...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		bare := strings.TrimSuffix(strings.TrimSuffix(string(kept), "\n"), "\r")
		if size > len(kept) {
			return bare, size, err
		}
		return bare, len(bare), err
	}
}
