package conn

import (
	"syscall"
	"unsafe"
)

// siocOutQNSD is the request SIOCOUTQNSD of ioctl(2), which package syscall does
// not name: the bytes in a socket's send queue that TCP has not sent yet.
const siocOutQNSD = 0x894B

// unsentBy returns how many bytes a socket was given that TCP has not sent; 0
// where it can't tell.
func unsentBy(raw syscall.RawConn) int {
	var n int32
	err := raw.Control(func(fd uintptr) {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, siocOutQNSD, uintptr(unsafe.Pointer(&n))); errno != 0 {
			n = 0
		}
	})
	if err != nil {
		return 0
	}
	return int(n)
}
