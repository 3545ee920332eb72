package cli

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// clientFlags are those of every subcommand that is a user of a node.
type clientFlags struct {
	url, name, token string
}

func (c *clientFlags) add(flags *pflag.FlagSet) {
	c.addURL(flags)
	flags.StringVar(&c.name, "name", "", "the display `name` to ask for (default: the node makes one up)")
	flags.StringVar(&c.token, "token", "", "who to be: a guest's `token` or a JWT; better given as CHAT_TOKEN")
}

// addURL adds the one flag that all have which talk to a node.
func (c *clientFlags) addURL(flags *pflag.FlagSet) {
	flags.StringVar(&c.url, "url", "http://localhost:8080", "the `URL` of any node")
}

// options are what the flags say to a client.
func (c *clientFlags) options() (client.Options, error) {
	if _, err := client.Endpoint(c.url); err != nil {
		return client.Options{}, usage("--url "+clean(err.Error()), "give one as http://localhost:8080")
	}
	opts := client.Options{URL: c.url, Name: c.name}
	if isJWT(c.token) {
		opts.Auth = c.token
	} else {
		opts.Token = c.token
	}
	return opts, nil
}

// isJWT reports whether a token has the shape of a JWT (RFC 7519), which a guest's
// has not: three parts, the first a JSON object that names an algorithm.
func isJWT(token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		return false
	}
	var fields struct {
		Alg *string `json:"alg"`
	}
	return json.Unmarshal(header, &fields) == nil && fields.Alg != nil
}

// parseClient reads the command line of such a subcommand. help is true when
// --help was given: it has been printed.
func parseClient(command, about string, flags *pflag.FlagSet, args []string, stdout io.Writer) (help bool, err error) {
	flags.SortFlags = false
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	flags.BoolVarP(&help, "help", "h", false, "")
	_ = flags.MarkHidden("help")
	if err := flags.Parse(args); err != nil {
		return false, usage(clean(err.Error()), "chat "+command+" --help lists the flags")
	}
	if help {
		environment := "CHAT_URL, CHAT_NAME and CHAT_TOKEN in the environment stand for flags that are not given."
		if flags.Lookup("name") == nil {
			environment = "CHAT_URL in the environment stands for --url."
		}
		fmt.Fprintf(stdout, "%s\n%s\n\n%s", about, environment, flags.FlagUsages())
		return true, nil
	}
	if err := refuseEmpty(flags); err != nil {
		return false, err
	}
	for _, name := range []string{"url", "name", "token"} {
		if flags.Lookup(name) == nil {
			continue
		}
		value := os.Getenv(EnvName(name))
		if value != "" && !flags.Changed(name) {
			if err := flags.Set(name, value); err != nil {
				return false, usage(EnvName(name)+" does not fit --"+name, "chat "+command+" --help tells more")
			}
		}
	}
	return false, nil
}

// roomArg checks the name of a room before anything is connected to.
func roomArg(name string) (string, error) {
	room, bad := protocol.Room(name)
	if bad != nil {
		return "", usage(fmt.Sprintf("%q is no room", name), bad.Message)
	}
	return room, nil
}

// explain says in one line what went wrong with a node, and what to do.
func explain(err error) error {
	var absent *client.UnreachableError
	var closed *client.ClosedError
	var refused *protocol.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled) && errors.Is(err, client.ErrUnknown):
		return fmt.Errorf("interrupted: %w", client.ErrUnknown)
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted before it was sent")
	case errors.As(err, &absent):
		return fmt.Errorf("%s: is it running? give --url", clean(absent.Error()))
	case errors.As(err, &closed) && closed.Code == protocol.CloseNoHello:
		return fmt.Errorf("%s: give --token", clean(err.Error()))
	case errors.As(err, &refused) && refused.Code == protocol.CodeNameTaken:
		return fmt.Errorf("%s: give another --name, or the --token of who has it", clean(refused.Error()))
	case errors.As(err, &refused) && refused.Code == protocol.CodeUnauthorized:
		return fmt.Errorf("%s: give another --token, or none", clean(refused.Error()))
	}
	return errors.New(clean(err.Error()))
}

const sendAbout = `chat send ROOM [TEXT...]: say one thing; without TEXT, each line of standard input.
Prints the id of each message. While no node takes it, it tries again until it is
interrupted, and tells why on standard error. A text with a word that begins with "-" comes after "--".
`

// Send carries out `chat send`: it says the text of the arguments, or
// each line of stdin, in a room, and prints the id of each message. It returns a
// *UsageError for a command line that can't be obeyed.
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
	session, err := client.Open(ctx, opts)
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

// sender says things in one room, one after the other.
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
		id = "-" // it was taken, and the log holds it no longer
	}
	_, err = fmt.Fprintln(s.stdout, clean(id))
	return err
}

// lines says each line of a reader. A line that the node refuses fails alone;
// the others go on.
func (s *sender) lines(ctx context.Context, stdin io.Reader) error {
	texts := make(chan line)
	stop := make(chan struct{})
	defer close(stop)
	// Owned by this call; ends with the input, or with stop at its next line. A
	// read that never returns ends with the process: nothing can end it sooner,
	// so nobody waits for it.
	go readLines(stdin, maxLine, texts, stop)
	failed, n := 0, 0
	for {
		select {
		case <-ctx.Done():
			return nil // between two lines, so nothing is left half done
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

// line says one line; refused tells that the node does not take it.
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

// hopeless are the refusals that the next line would meet too.
var hopeless = map[protocol.Code]bool{
	protocol.CodeBadRoom: true, protocol.CodeForbidden: true, protocol.CodeUnauthorized: true,
	protocol.CodeNotJoined: true, protocol.CodeTooManyRooms: true, protocol.CodeMuted: true, protocol.CodeLocked: true,
}

// maxLine bounds what is kept of a line: no node takes a longer text.
const maxLine = maxTextLimit

// line is one line of standard input that is not empty.
type line struct {
	number int
	text   string
	err    error
}

// readLines hands over the lines of a reader, and closes to at its end.
func readLines(from io.Reader, most int, to chan<- line, stop <-chan struct{}) {
	defer close(to)
	in := bufio.NewReader(from)
	for number := 1; ; number++ {
		text, size, err := readLine(in, most)
		l := line{number: number, text: text}
		switch {
		case size > most:
			l.err = protocol.Errorf(protocol.CodeTooLong, "the line has %d bytes: no node takes so many", size)
		case err != nil && err != io.EOF:
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

// readLine reads one line without its end, keeps most bytes of it, and tells
// how many there were.
func readLine(in *bufio.Reader, most int) (text string, size int, err error) {
	var kept []byte
	for {
		part, err := in.ReadSlice('\n')
		size += len(part)
		kept = append(kept, part[:min(len(part), most+2-len(kept))]...)
		if err == bufio.ErrBufferFull {
			continue
		}
		bare := strings.TrimSuffix(strings.TrimSuffix(string(kept), "\n"), "\r")
		if size > len(kept) {
			return bare, size, err
		}
		return bare, len(bare), err
	}
}
