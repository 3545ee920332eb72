//go:build !race

package main

// raceEnabled tells that the race detector is in this binary.
const raceEnabled = false
