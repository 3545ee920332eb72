package node_test

import (
	"runtime"
	"strconv"
	"testing"

	"example.com/chat/internal/chattest"
	"example.com/chat/internal/chattest/redistest"
)

// Connections, users and rooms that have ended leave no goroutine and no memory in a
// node. The test counts both, so it runs while no other test does.
func TestCrowdsLeaveNothingBehind(t *testing.T) {
	b := redistest.Embedded(t)
	n := startNode(t, b.URL(), "--rate=0")
	const members = 500
	var goroutines int
	var heap uint64
	for round := range 4 {
		list := chattest.Crowd(t, n.url, "crowd-"+strconv.Itoa(round), members)
		for _, c := range list {
			_ = c.Close()
		}
		chattest.Eventually(t, "the connections to end", func() bool { return n.Conns().Stats().Open == 0 && n.Plain().Count() == 0 })
		if under := n.Limiter().Stats().InFlight; under != 0 {
			t.Errorf("%d handshakes are in flight", under)
		}
		if round == 0 { // from this round on workers, connections to Redis and maps exist
			goroutines = runtime.NumGoroutine()
			heap = liveHeap()
			continue
		}
		// The number of idle workers varies.
		chattest.Eventually(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines+members/5 })
		// A leak of 1 KiB a connection would exceed this.
		chattest.Eventually(t, "the memory to be free", func() bool { return liveHeap() <= heap+members*uint64(round)<<10 })
	}
	t.Logf("%d goroutines and %d KiB after the first crowd, %d and %d after the fourth", goroutines, heap>>10, runtime.NumGoroutine(), liveHeap()>>10)
}

// liveHeap returns the bytes in use, without garbage.
func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
