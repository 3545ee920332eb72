//go:build !unix

package main

// connsByFileLimit is how many connections the process can hold: a guess, where
// the system sets no limit that could be read.
func connsByFileLimit() int { return 10_000 }
