//go:build !unix

package cli

import (
	"context"
	"io"
)

// readerGone returns a channel that stays open: here only a write tells that nobody reads
// its output any more.
func readerGone(context.Context, io.Writer) <-chan struct{} { return make(chan struct{}) }
