//go:build unix

package embed

import (
	"net"
	"syscall"
)

// writesNow returns a function that writes what a connection accepts without waiting, and
// returns how many bytes these were; nil if the connection is not a socket. An error is no
// byte: whoever writes the rest finds it too.
func writesNow(conn net.Conn) func([]byte) int {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	socket, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	return func(b []byte) (n int) {
		_ = socket.Write(func(fd uintptr) bool {
			n, _ = syscall.Write(int(fd), b) // Go's sockets don't block
			return true
		})
		return max(n, 0)
	}
}
