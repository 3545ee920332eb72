//go:build unix && !race

package faults

// raceEnabled tells that the race detector is in this binary.
const raceEnabled = false
