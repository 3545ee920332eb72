//go:build !linux

package conn

import "syscall"

// unsentBy is unknown on this system.
func unsentBy(syscall.RawConn) int { return 0 }
