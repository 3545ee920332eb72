package replica

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// A sliding list holds what a plain append holds, whatever is appended, cut off and moved
// to another array. In the long run it allocates nothing.
func TestASlidingListIsAppendedTo(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var array, list, want []int
	for i := range 20_000 {
		list, want = appendSliding(&array, list, i), append(want, i)
		switch n := rng.IntN(100); {
		case n == 0:
			list = slices.Concat([]int{-i}, list) // elsewhere
			want = slices.Concat([]int{-i}, want)
		case n == 1:
			list, want = slices.Delete(list, 0, len(list)/2), slices.Delete(want, 0, len(want)/2)
		case n < 60 && len(list) > 40:
			cut := rng.IntN(4)
			clear(list[:cut])
			list, want = list[cut:], want[cut:]
		}
		if !slices.Equal(list, want) {
			t.Fatalf("step %d: %v, want %v", i, list, want)
		}
	}
	list = list[:0]
	for i := range 1000 {
		list = appendSliding(&array, list, i)
	}
	if allocs := testing.AllocsPerRun(1000, func() {
		for range 100 {
			list = appendSliding(&array, list[1:], 1)
		}
	}); allocs > 0 {
		t.Errorf("100 elements cost %v allocations", allocs)
	}
}
