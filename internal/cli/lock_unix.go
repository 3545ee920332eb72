//go:build unix && !solaris && !aix

package cli

import (
	"context"
	"errors"
	"os"
	"syscall"
)

// lockFile waits for the file's exclusive lock (flock(2)), which ends when the file is
// closed. On an error it closes the file.
func lockFile(ctx context.Context, f *os.File) error {
	locked := make(chan error, 1)
	go func() { // ends with the wait; releases the lock if ctx ended first
		err := error(syscall.EINTR)
		for errors.Is(err, syscall.EINTR) {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		}
		locked <- err
	}()
	select {
	case err := <-locked:
		if err != nil {
			_ = f.Close()
			return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
		return nil
	case <-ctx.Done():
		go func() { // ends with the wait above
			<-locked
			_ = f.Close()
		}()
		return ctx.Err()
	}
}

// isReadOnly reports whether an error is that of a read-only file system.
func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }
