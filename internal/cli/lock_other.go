//go:build !unix || solaris || aix

package cli

import (
	"context"
	"os"
)

// lockFile does nothing on systems without such locks: concurrent calls that make a
// token file then become different users.
func lockFile(context.Context, *os.File) error { return nil }

func isReadOnly(error) bool { return false }
