//go:build unix

package conn

import "syscall"

// canDoNow reports that readNow and writeNow work on this system.
const canDoNow = true

// writeNow writes to a socket without blocking; a socket that accepts nothing now is no
// error, but 0 bytes (write(2), EAGAIN).
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

// readNow reads from a socket without blocking; wait is true if there is nothing to
// read now (read(2), EAGAIN), and n is 0 at the end.
func readNow(fd uintptr, b []byte) (n int, wait bool, err error) {
	for {
		n, err := syscall.Read(int(fd), b)
		switch err {
		case nil:
			return n, false, nil
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return 0, true, nil
		}
		return 0, false, err
	}
}
