//go:build unix && !solaris && !aix

package cli

import (
	"context"
	"errors"
	"os"
	"syscall"
)

// lockFile waits until this process alone holds the file's lock (flock(2)), which ends
// when the file is closed. Where it fails it closes the file.
func lockFile(ctx context.Context, f *os.File) error {
	locked := make(chan error, 1)
	go func() { // ends with the wait; where ctx ends first, it gives the lock back
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

// isReadOnly reports whether a file can't be written because its file system can't.
func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }
