//go:build unix

package main

import "syscall"

// fileLimit is how many descriptors the process may have (getrlimit(2); Go raises
// the soft limit to the hard one by itself).
func fileLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fileLimitUnknown
	}
	return int(min(uint64(limit.Cur), 1<<30))
}
