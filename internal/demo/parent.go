package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
)

// The environment by which a child reports to its parent.
const (
	parentEnv      = "CHAT_PARENT"       // where the parent listens, host:port
	parentTokenEnv = "CHAT_PARENT_TOKEN" // proves that a report is a child's
)

// readyReport is what a child reports when it is ready.
type readyReport struct {
	PID int    `json:"pid"`
	URL string `json:"url"` // for people on this machine
}

// Parent is the process that started this one as a node of a cluster. It may be used
// concurrently. The methods of a nil *Parent behave as without a parent.
type Parent struct {
	gone     <-chan struct{}
	report   *Remote
	controls *Remote
}

// FindParent returns the parent of this process, by the environment and the standard
// input; nil if this is no child.
func FindParent(lookup func(string) (string, bool), stdin io.Reader) *Parent {
	if child, _ := lookup(ChildEnv); child == "" {
		return nil
	}
	p := &Parent{gone: ParentGone(stdin), controls: Controls(lookup)}
	addr, _ := lookup(parentEnv)
	token, _ := lookup(parentTokenEnv)
	if addr != "" && token != "" {
		p.report = newRemote(addr, token, nil)
	}
	return p
}

// Gone is closed when the parent has ended.
func (p *Parent) Gone() <-chan struct{} {
	if p == nil {
		return nil
	}
	return p.gone
}

// Controls returns the controls of the cluster; nil if it has none.
func (p *Parent) Controls() *Remote {
	if p == nil {
		return nil
	}
	return p.controls
}

// ReportReady reports to the parent that this node is ready at the URL.
func (p *Parent) ReportReady(ctx context.Context, url string) error {
	if p.report == nil {
		return fmt.Errorf("report to the parent: %s is not set", parentEnv)
	}
	body, err := json.Marshal(readyReport{os.Getpid(), url})
	if err != nil {
		return err
	}
	if _, err := p.report.send(ctx, http.MethodPost, "/ready", body); err != nil {
		return fmt.Errorf("report to the parent: %w", err)
	}
	return nil
}

// ParentGone is closed when standard input ends: then a child's parent is gone.
func ParentGone(stdin io.Reader) <-chan struct{} {
	gone := make(chan struct{})
	go func() { // ends with standard input, or with the process
		_, _ = io.Copy(io.Discard, stdin)
		close(gone)
	}()
	return gone
}
