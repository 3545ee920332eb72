//go:build !race

// Package race tells tests whether they run under the race detector, where all
// takes several times as long.
package race

// Enabled tells that the race detector is in this binary.
const Enabled = false
