package demo

import (
	"fmt"
	"io"
	"sync"
)

// printer prints a line for each node that is ready, at the start in the order of the
// nodes.
type printer struct {
	out io.Writer

	mu      sync.Mutex // guards the fields below, and out
	lines   []string   // of ready nodes, until printed
	printed int        // how many were printed in order
	held    bool       // lines wait for their order
}

func newPrinter(out io.Writer, nodes int) *printer {
	return &printer{out: out, lines: make([]string, nodes), held: true}
}

// ready prints the line of a node, or keeps it until those before it are printed.
func (p *printer) ready(i int, url string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines[i] = fmt.Sprintf("node %d  %s\n", i+1, url)
	p.printLocked()
}

// release prints the lines from now on in any order.
func (p *printer) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = false
	p.printLocked()
}

func (p *printer) printLocked() {
	for p.held && p.printed < len(p.lines) && p.lines[p.printed] != "" {
		p.printLineLocked(p.printed)
		p.printed++
	}
	if p.printed == len(p.lines) {
		p.held = false
	}
	for i := range p.lines {
		if !p.held && p.lines[i] != "" {
			p.printLineLocked(i)
		}
	}
}

func (p *printer) printLineLocked(i int) {
	_, _ = io.WriteString(p.out, p.lines[i])
	p.lines[i] = ""
}
