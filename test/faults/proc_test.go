//go:build unix

package faults

import (
	"testing"
	"time"

	"example.com/chat/internal/chattest"
)

func (n *node) pid() int { return n.process().PID() }

// resident returns the memory of the node in KiB.
func (n *node) resident(t *testing.T) int {
	t.Helper()
	return chattest.UsageOf(t, n.pid()).Resident / 1024
}

// cpu returns the CPU time that the node has used.
func (n *node) cpu(t *testing.T) time.Duration {
	t.Helper()
	return chattest.UsageOf(t, n.pid()).CPU
}

// descriptors returns the number of the node's open files.
func (n *node) descriptors(t *testing.T) int {
	t.Helper()
	return chattest.UsageOf(t, n.pid()).Files
}
