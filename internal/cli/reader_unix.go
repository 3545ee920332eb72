//go:build unix

package cli

import (
	"context"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// readerGone returns a channel that is closed when the reader of w is gone: when the
// other end of a pipe or terminal was closed. For a file it stays open. The goroutine
// behind it ends with ctx.
//
// A write would show it too, but the next entry may be hours away.
func readerGone(ctx context.Context, w io.Writer) <-chan struct{} {
	gone := make(chan struct{})
	f, ok := w.(*os.File)
	if !ok {
		return gone
	}
	fd := int32(f.Fd())
	go func() { // ends with ctx, within a second, or with the reader
		const second = 1000 // in poll's milliseconds
		for ctx.Err() == nil {
			// Without requested events, poll(2) reports only errors and hang-ups.
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
