package demo

import (
	"bufio"
	"io"
	"sync"
)

// maxHeld bounds the lines that are kept of a node's log until it is ready.
const maxHeld = 200

// childLog forwards the log of one process. With hold it keeps the lines until the
// process is ready, so that a cluster that cannot start reports the reason once, and not
// once for each node.
type childLog struct {
	hold   bool
	passOn func(line string)

	mu    sync.Mutex // guards the fields below; locked before cluster.mu
	ready bool
	held  []string
}

// line forwards one line, or keeps it.
func (l *childLog) line(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hold && !l.ready && len(l.held) < maxHeld {
		l.held = append(l.held, line)
		return
	}
	l.passOn(line)
}

// release forwards the kept lines: the process is ready.
func (l *childLog) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready = true
	for _, line := range l.held {
		l.passOn(line)
	}
	l.held = nil
}

// end returns whether the process was ready, and the lines that are still kept.
func (l *childLog) end() (ready bool, held []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ready, l.held
}

// maxLine bounds one line of a child's output.
const maxLine = 64 << 10

// eachLine calls f with each line; one that is too long is split.
func eachLine(r io.Reader, f func(string)) {
	b := bufio.NewReaderSize(r, maxLine)
	for {
		line, _, err := b.ReadLine()
		if err != nil {
			return
		}
		f(string(line))
	}
}
