//go:build unix

package faults

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/chat/internal/check"
)

// row is the result of one fault.
type row struct {
	fault
	injected int
	report   *check.Report
	silence  time.Duration
	away     time.Duration
	seen     []string
}

// rows holds the rows of this run.
type rows struct {
	mu   sync.Mutex // guards the field below
	list []row
}

var table rows

func (r *rows) add(one row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, one)
}

// legend explains the columns.
const legend = `Sent counts messages, acknowledged those of them that a node acknowledged; lost, doubled and out of order
are violations that the checker found, other all its other violations. Connections are those that clients lost, gaps
are joins with a cursor that recovered nothing, resets are those that clients got. Away is the longest time from the
loss of a client's connection until the client was in its rooms again; silence the longest time in which a client in a
busy room received no message, including the absence of Redis; behind the longest time until a member received an
entry that was known elsewhere, including its time away; ack the longest time from the first sending of a message to
its acknowledgement.
`

// write prints the table, and writes it to a folder unless dir is "".
func (r *rows) write(dir string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == 0 {
		return nil
	}
	slices.SortFunc(r.list, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.number, b.number), strings.Compare(a.name, b.name))
	})
	var out strings.Builder
	fmt.Fprintf(&out, "Seed %d.\n\n", seed)
	out.WriteString("| # | fault | injected | sent | acknowledged | lost | doubled | out of order | other | connections | gaps | resets | away | silence | behind | ack | notes |\n")
	out.WriteString("| --- | --- |" + strings.Repeat(" ---: |", 14) + " --- |\n")
	for _, one := range r.list {
		out.WriteString(one.line())
	}
	out.WriteString("\n" + legend)
	fmt.Print(out.String())
	if dir == "" {
		return nil
	}
	if err := os.WriteFile(filepath.Join(dir, "faults.md"), []byte(out.String()), 0o644); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}

func (r row) line() string {
	n := func(rules ...check.Rule) (sum int) {
		for _, rule := range rules {
			sum += r.report.Found[rule]
		}
		return sum
	}
	lost := n(check.RuleLost, check.RuleID)
	doubled := n(check.RuleTwice, check.RuleRepeat)
	order := n(check.RuleOrder, check.RuleTime, check.RuleLog)
	other := -lost - doubled - order
	for _, count := range r.report.Found {
		other += count
	}
	short := func(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
	rep := r.report
	return fmt.Sprintf("| %d | %s | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %s | %s | %s | %s | %s |\n",
		r.number, r.name, r.injected, rep.Sent, rep.Acknowledged, lost, doubled, order, other, rep.Lost, rep.Gaps, rep.Resets,
		short(r.away), short(r.silence), short(rep.Behind), short(rep.Waited), strings.Join(r.seen, "; "))
}

// A history with a violation is written to the folder CHAT_OUT.
func TestAFailedHistoryIsKept(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CHAT_OUT", dir)
	fault{number: 99}.keep(t, []check.Record{{Op: check.OpWiped}})
	if files, err := filepath.Glob(filepath.Join(dir, "chat-fault-99-*.jsonl")); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}
