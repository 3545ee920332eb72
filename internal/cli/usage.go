// Package cli reads command lines and environments, and carries out the
// subcommands that are clients of a node.
package cli

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
