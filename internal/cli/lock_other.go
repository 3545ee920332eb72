//go:build !unix || solaris || aix

package cli

import (
	"context"
	"os"
)

// lockFile does nothing where files have no such locks: calls that make a token file at
// the same time then become different users.
func lockFile(context.Context, *os.File) error { return nil }

func isReadOnly(error) bool { return false }
