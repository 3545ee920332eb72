package relay

import "golang.org/x/sys/unix"

// setDeadAfter makes a connection end when sent bytes are not acknowledged for
// deadAfter (TCP_USER_TIMEOUT, RFC 5482).
func setDeadAfter(fd uintptr) {
	// Without it a dead machine is detected later.
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadAfter.Milliseconds()))
}
