//go:build unix

package demo

import (
	"os"
	"syscall"
)

// canFreeze reports whether this system can freeze a process.
const canFreeze = true

func freeze(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }

func wake(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
