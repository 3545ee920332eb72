//go:build !unix

package main

// fileLimit is how many descriptors the process may have: a guess, where the
// system sets no limit that could be read.
func fileLimit() int { return fileLimitUnknown }
