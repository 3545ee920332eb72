package chattest

import (
	"strings"
	"sync"
)

// maxOutput bounds what is kept of one process, in bytes.
const maxOutput = 4 << 20

// Output keeps what a process writes, 4 MiB at most, and drops the rest. It is safe
// for concurrent use; its zero value is empty.
type Output struct {
	mu   sync.Mutex // guards the field below
	text strings.Builder
}

// Write implements io.Writer. It never fails.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < maxOutput {
		o.text.Write(b)
	}
	return len(b), nil
}

// String returns what was written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Count returns how often words occur in what was written so far.
func (o *Output) Count(words string) int { return strings.Count(o.String(), words) }
