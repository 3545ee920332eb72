//go:build unix

package node

import "syscall"

// fileLimit returns how many file descriptors the process may have (getrlimit(2); Go
// raises the soft limit to the hard one by itself).
func fileLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return defaultFileLimit
	}
	return int(min(uint64(limit.Cur), 1<<30)) //nolint:unconvert // it is an int64 on FreeBSD
}
