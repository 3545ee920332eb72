package relay

import "golang.org/x/sys/unix"

// setDeadAfter has a connection end when what was sent is not confirmed for deadAfter
// (TCP_USER_TIMEOUT, RFC 5482).
func setDeadAfter(fd uintptr) {
	// Without it a dead machine is noticed later.
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadAfter.Milliseconds()))
}
