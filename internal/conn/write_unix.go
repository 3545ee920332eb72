//go:build unix

package conn

import "syscall"

// canWriteNow tells that writeNow works here.
const canWriteNow = true

// writeNow writes to a socket without waiting: a socket that takes nothing now
// is no error, but 0 bytes (write(2), EAGAIN).
func writeNow(fd uintptr, b []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), b)
		switch err {
		case nil:
			return n, nil
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return 0, nil
		}
		return 0, err
	}
}
