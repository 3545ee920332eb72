//go:build !race

package chattest

// Race reports whether the race detector is in this binary: everything then takes
// several times as long.
const Race = false
