//go:build unix

package main

import "syscall"

// filesKept are descriptors that are not for users: Redis, the listener, logs.
const filesKept = 128

// maxConnsUnknown is taken where the limit can't be read.
const maxConnsUnknown = 10_000

// connsByFileLimit is how many connections the process can hold (getrlimit(2);
// Go raises the soft limit to the hard one by itself).
func connsByFileLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return maxConnsUnknown
	}
	return max(1, int(min(uint64(limit.Cur), 1<<30))-filesKept)
}
