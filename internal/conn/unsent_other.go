//go:build !linux

package conn

import "syscall"

// unsentBy can't tell here.
func unsentBy(syscall.RawConn) int { return 0 }
