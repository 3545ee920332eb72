package conn

import (
	"syscall"
	"unsafe"
)

// siocOutQNSD is the ioctl(2) request SIOCOUTQNSD, which package syscall does not
// define: the bytes in a socket's send queue that TCP has not sent yet.
const siocOutQNSD = 0x894B

// unsentBy returns how many bytes written to a socket TCP has not sent yet; 0 if
// unknown.
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
