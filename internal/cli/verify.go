package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"example.com/chat/internal/check"
)

const verifyAbout = `chat verify FILE...: check the histories that bench or a test wrote (JSON lines): whether
each acknowledged message is there once and in order, and whether clients were notified
of each gap. - is standard input. Status 1 if a promise was broken, if Redis lost what it
had acknowledged, or if the histories hold no messages.
`

// Verify runs `chat verify`: it prints the contents of each history and the broken
// promises. Its error says that there was one, or that a file could not be read.
func Verify(args []string, stdin io.Reader, stdout io.Writer) error {
	flags := pflag.NewFlagSet("chat verify", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	help := flags.BoolP("help", "h", false, "")
	if err := flags.Parse(args); err != nil {
		return usage(clean(err.Error()), "chat verify FILE...")
	}
	if *help {
		fmt.Fprint(stdout, verifyAbout)
		return nil
	}
	if flags.NArg() == 0 {
		return usage("chat verify needs a file", "chat verify FILE..., or - for standard input")
	}
	var bad, lost, mute int
	acknowledged := 0 // messages that Redis lost
	for _, name := range flags.Args() {
		report, v, err := verifyFile(name, stdin)
		if err != nil {
			return fmt.Errorf("%s: %w", clean(name), err)
		}
		switch {
		case v == check.Broken:
			bad++
		case v == check.RedisLost:
			lost++
			acknowledged += report.Found[check.RuleLost]
		case report.Sent == 0:
			mute++
		}
		printReport(stdout, name, report, v)
	}
	switch {
	case bad > 0:
		return fmt.Errorf("%d of %d histories break a promise: see above", bad, flags.NArg())
	case lost > 0 && acknowledged == 0:
		return fmt.Errorf("in %d of %d histories Redis lost the end of a log: %s", lost, flags.NArg(), whereLosses)
	case lost > 0:
		return fmt.Errorf("in %d of %d histories Redis lost what it had acknowledged: %s", lost, flags.NArg(), whereLosses)
	case mute > 0:
		return fmt.Errorf("in %d of %d histories nothing was sent, so there is nothing to judge", mute, flags.NArg())
	}
	return nil
}

func verifyFile(name string, stdin io.Reader) (*check.Report, check.Verdict, error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			var path *os.PathError
			if errors.As(err, &path) {
				err = path.Err
			}
			return nil, 0, err
		}
		defer f.Close()
		in = f
	}
	list, err := check.Read(in)
	if err != nil {
		return nil, 0, err
	}
	if len(list) == 0 {
		return nil, 0, errors.New("it holds no record: give a history in JSON lines")
	}
	report, v := check.Judge(list)
	if v == check.Broken && report.Acknowledged > 0 && report.Entries == 0 {
		return nil, 0, fmt.Errorf("it can't be judged: %d messages were acknowledged, and its end is missing, the records of what the rooms' logs hold (op log)", report.Acknowledged)
	}
	return report, v, nil
}

func printReport(w io.Writer, name string, r *check.Report, v check.Verdict) {
	fmt.Fprintf(w, "%s: %s\n", clean(name), verdict(v, r))
	fmt.Fprintf(w, "  sent %d, acknowledged %d, unknown %d; in the logs %d, heard %d\n", r.Sent, r.Acknowledged, r.Unknown, r.Entries, r.Heard)
	fmt.Fprintf(w, "  connections lost %d, duplicates %d, gaps told %d, resets told %d\n", r.Lost, r.Duplicates, r.Gaps, r.Resets)
	fmt.Fprintf(w, "  longest wait for an acknowledgement %s, longest behind others %s\n", r.Waited, r.Behind)
	if v == check.Broken {
		printViolations(w, r)
	}
}

// printViolations prints the broken promises that have a text in the report.
func printViolations(w io.Writer, r *check.Report) {
	for _, v := range r.Violations {
		fmt.Fprintf(w, "  %s\n", clean(v.String()))
	}
	all := 0
	for _, n := range r.Found {
		all += n
	}
	if more := all - len(r.Violations); more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
}
