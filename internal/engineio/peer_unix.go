//go:build linux || darwin || freebsd || netbsd || openbsd

package engineio

import "syscall"

// ended reports whether the other side has closed a connection. It peeks at the input
// and leaves it unread.
func ended(fd uintptr) bool {
	var b [1]byte
	n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	switch err {
	case nil:
		return n == 0
	case syscall.EAGAIN, syscall.EINTR:
		return false
	}
	return true
}
