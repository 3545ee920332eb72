//go:build linux

// Compare runs this chat, Centrifugo and Socket.IO in turn under the same load with the
// same measuring, and writes BENCHMARKS.md. CONTRIBUTING.md says how to run it.
//
// What is measured: the processor time of all processes of a system and its Redis
// together, and the time from when a message was due until the kernel received each
// copy (SO_TIMESTAMPNS). The clients are those of internal/swarm. A bare loop of write(2)
// is the floor (floor.go).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	rounds        int
	each          time.Duration
	rows, systems string
	builds        builds
	tools, out    string
}

// builds are further programs of chat, as NAME=PATH (flag.Value).
type builds []*system

// String returns the names.
func (b *builds) String() string {
	var names []string
	for _, s := range *b {
		names = append(names, s.name)
	}
	return strings.Join(names, ",")
}

// Set adds one.
func (b *builds) Set(text string) error {
	name, path, ok := strings.Cut(text, "=")
	if !ok || name == "" || path == "" {
		return errors.New("give NAME=PATH")
	}
	*b = append(*b, chatSystem(name, path))
	return nil
}

// fullRounds is the number of rounds of a run that may be published.
const fullRounds = 3

func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	f.IntVar(&o.rounds, "rounds", fullRounds, "how often each load runs with each system; the table has medians")
	f.DurationVar(&o.each, "for", 3*time.Second, "how long each load is measured, after a second that is not; idling takes twice as long")
	f.StringVar(&o.rows, "rows", "", "only these loads, comma-separated: saturated, fanout, nodes, rooms, idle, embedded")
	f.StringVar(&o.systems, "systems", "", "only these systems, comma-separated: chat, Centrifugo, Socket.IO, floor, and names of --build")
	f.Var(&o.builds, "build", "another program of chat to compare, as `NAME=PATH`; repeatable")
	f.StringVar(&o.tools, "tools", "", "a folder in which to install the systems, to be used again; a temporary one without it")
	f.StringVar(&o.out, "out", "", "the file to write; BENCHMARKS.md after a full run, none after any other")
	return f
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == floorArgument {
		fmt.Fprintln(os.Stderr, "compare:", runFloor())
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch err := compare(ctx, os.Args[1:], os.Stdout); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// compare is the whole program. It prints its progress and the table to w.
func compare(ctx context.Context, args []string, w io.Writer) error {
	var o options
	flags := o.flags()
	if err := flags.Parse(args); err != nil {
		return err
	}
	rows, systems, err := o.choose()
	if err != nil {
		return err
	}
	full := o.rows == "" && o.systems == "" && o.rounds >= fullRounds
	if full && o.out == "" {
		o.out = "BENCHMARKS.md"
	}
	dir := o.tools
	if dir == "" {
		if dir, err = os.MkdirTemp("", "chat-compare-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	for _, s := range systems {
		fmt.Fprintf(w, "preparing %s\n", s.name)
		if err := s.prepare(ctx, s, dir); err != nil {
			return fmt.Errorf("prepare %s: %w", s.name, err)
		}
	}
	t := newTable(rows, systems)
	t.machine, t.args, t.each, t.rounds = thisMachine(ctx), args, o.each, o.rounds
	if err := t.fill(ctx, w); err != nil {
		return err
	}
	text := t.markdown()
	fmt.Fprintf(w, "\n%s", text)
	if o.out == "" {
		return nil
	}
	return os.WriteFile(o.out, []byte(text), 0o644)
}

// choose returns the loads and systems of the flags.
func (o *options) choose() ([]row, []*system, error) {
	rows, systems := allRows(), append(allSystems(), o.builds...)
	if o.rounds < 1 || o.each <= 0 {
		return nil, nil, errors.New("--rounds and --for must be above 0")
	}
	var err error
	if rows, err = pick(rows, o.rows, func(r row) string { return r.key }); err != nil {
		return nil, nil, fmt.Errorf("--rows: %w", err)
	}
	if systems, err = pick(systems, o.systems, func(s *system) string { return s.name }); err != nil {
		return nil, nil, fmt.Errorf("--systems: %w", err)
	}
	return rows, systems, nil
}

// pick returns the members of a list that a comma-separated text names, all for "".
func pick[T any](list []T, text string, name func(T) string) ([]T, error) {
	if text == "" {
		return list, nil
	}
	var picked []T
	for word := range strings.SplitSeq(text, ",") {
		i := slices.IndexFunc(list, func(one T) bool { return strings.EqualFold(name(one), word) })
		if i < 0 {
			return nil, fmt.Errorf("there is no %q", word)
		}
		picked = append(picked, list[i])
	}
	return picked, nil
}
