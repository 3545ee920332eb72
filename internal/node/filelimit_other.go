//go:build !unix

package node

// fileLimit returns how many file descriptors the process may have: a guess, since the
// system has no limit that can be read.
func fileLimit() int { return defaultFileLimit }
