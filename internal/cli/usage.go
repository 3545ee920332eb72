// Package cli parses command lines and environments, and runs the subcommands that are
// clients of a node.
package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// commands are the subcommands in the order of the help: how each is called, and what
// it does. A call without a subcommand starts nodes.
var commands = []struct{ call, about string }{
	{"chat [flags]", "run a node, with the embedded broker unless --redis"},
	{"chat --nodes 3", "run a cluster of three on this machine"},
	{"chat send ROOM [TEXT...]", "say one thing; without TEXT, each line of standard input"},
	{"chat tail ROOM", "print a room as it goes on"},
	{"chat bench", "load a cluster, and check that nothing is lost, doubled or out of order"},
	{"chat verify FILE...", "check the histories that bench or a test wrote"},
	{"chat help [COMMAND]", "this, or what a command takes"},
	{"chat version", "version, commit, Go version, platform"},
}

// printCommands prints the commands, aligned.
func printCommands(w io.Writer) {
	for _, c := range commands {
		fmt.Fprintf(w, "  %-25s %s\n", c.call, c.about)
	}
}

// UnknownCommand returns the error of an unknown subcommand, which lists the known
// ones.
func UnknownCommand(name string) error {
	var names []string
	for _, c := range commands {
		word := strings.Fields(c.call)[1]
		if !strings.ContainsAny(word, "[-") {
			names = append(names, word)
		}
	}
	last := len(names) - 1
	return usage(fmt.Sprintf("unknown command %q", clean(name)),
		"the commands are "+strings.Join(names[:last], ", ")+" and "+names[last]+"; chat --help tells more")
}

// UsageError is the error of a wrong command line; the program exits with status 2.
type UsageError struct {
	// Message says what is wrong, Hint what to do instead.
	Message, Hint string
}

// Error returns both in one line.
func (e *UsageError) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + ": " + e.Hint
}

func usage(message, hint string) error { return &UsageError{Message: message, Hint: hint} }

// refuseEmpty refuses flags with an empty value, as from an unset shell variable: they
// would silently disable what they are for. It must be called before the environment is
// read.
func refuseEmpty(flags *pflag.FlagSet) error {
	var empty error
	flags.Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		if empty == nil && slices.ContainsFunc(values, blank) {
			empty = usage("--"+f.Name+" is given as empty", "leave it out, or give it a value (is the shell's variable set?)")
		}
	})
	return empty
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }
