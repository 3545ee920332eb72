//go:build !linux

// Compare measures this chat beside others. It needs Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "compare: it needs Linux, for the processor time of processes and the kernel's time stamps")
	os.Exit(1)
}
