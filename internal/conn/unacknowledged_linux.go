package conn

import "golang.org/x/sys/unix"

// unacknowledgedBy returns how many bytes of a socket's output the other side has not
// acknowledged (SIOCOUTQ, tcp(7)).
func unacknowledgedBy(fd uintptr) int {
	n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}
