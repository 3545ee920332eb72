//go:build !unix

package cli

import (
	"context"
	"io"
)

// readerGone returns a channel that stays open: on this system only a write shows that
// the reader of the output is gone.
func readerGone(context.Context, io.Writer) <-chan struct{} { return make(chan struct{}) }
