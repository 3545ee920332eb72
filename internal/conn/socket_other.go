//go:build !unix

package conn

// canDoNow reports that readNow and writeNow do not work on this system: reading blocks
// with a buffer, and every write uses a goroutine.
const canDoNow = false

func writeNow(uintptr, []byte) (int, error) { return 0, nil }

func readNow(uintptr, []byte) (int, bool, error) { return 0, false, nil }
