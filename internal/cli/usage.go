// Package cli reads command lines and environments, and carries out the
// subcommands that are clients of a node.
package cli

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// UsageError is a command line that can't be obeyed as it stands; the program
// ends with status 2.
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

// refuseEmpty refuses flags that were given without a value, as by a shell
// variable that is not set: they would turn off in silence what they are for. It
// is called before the environment is read.
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
