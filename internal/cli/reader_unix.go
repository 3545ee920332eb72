//go:build unix

package cli

import (
	"context"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// readerGone returns a channel that is closed when nobody can read any more what is
// written to w: when the other end of a pipe, or of a terminal, was closed. For what has
// no other end it stays open. The search for the end ends with ctx.
//
// A write would tell so too, but the next entry may be hours away.
func readerGone(ctx context.Context, w io.Writer) <-chan struct{} {
	gone := make(chan struct{})
	f, ok := w.(*os.File)
	if !ok {
		return gone
	}
	fd := int32(f.Fd())
	go func() { // ends with ctx, within a second, or with the reader
		const second = 1000 // of poll's milliseconds
		for ctx.Err() == nil {
			// Without events to wait for, poll(2) reports errors and hang-ups alone.
			at := []unix.PollFd{{Fd: fd}}
			n, err := unix.Poll(at, second)
			if n > 0 && at[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0 {
				close(gone)
				return
			}
			if err != nil && err != unix.EINTR || n > 0 {
				return
			}
		}
	}()
	return gone
}
