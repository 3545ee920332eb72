//go:build unix

package faults

import (
	"math/rand/v2"
	"time"
)

// chance is the source of random decisions of one test. Only one goroutine at a time may
// use it.
type chance struct{ *rand.Rand }

// newChance returns the source for a fault of this run; the seed decides it.
func newChance(f fault) chance { return chance{rand.New(rand.NewPCG(seed, uint64(f.number)))} }

// fork returns another source, for another goroutine.
func (c chance) fork() *rand.Rand { return rand.New(rand.NewPCG(c.Uint64(), 1)) }

// between returns a random duration.
func (c chance) between(least, most time.Duration) time.Duration {
	return least + time.Duration(c.Int64N(int64(most-least)+1))
}
