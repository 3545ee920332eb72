//go:build race

package race

// Enabled tells that the race detector is in this binary.
const Enabled = true
