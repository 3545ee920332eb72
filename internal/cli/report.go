package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// refusedEvery is the least time between two lines that tell of refusals.
const refusedEvery = 5 * time.Second

// reporter writes news of a session, one line each: the loss of a node and what
// it went on at, not each try between; and why it waits.
type reporter struct {
	mu      sync.Mutex // guards the fields below, and is held while w is written to
	w       io.Writer
	waiting string    // what was told since there is no connection
	told    time.Time // when a refusal was told last
}

// notice tells of connections (client.Options.OnNotice).
func (r *reporter) notice(n client.Notice) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n.Renewed {
		fmt.Fprintln(r.w, "chat: the token does not hold here any more: this is a new user now")
	}
	switch {
	case n.Err == nil && n.Again:
		fmt.Fprintf(r.w, "chat: moved to node %s at %s\n", clean(n.Node.ID), clean(n.Node.URL))
		r.waiting = ""
	case n.Err == nil:
		r.waiting = ""
	case r.waiting == "" && n.Again:
		fmt.Fprintf(r.w, "chat: lost node %s: %s\n", clean(n.Node.ID), clean(n.Err.Error()))
		r.waiting = "lost"
	case r.waiting == "" || r.waiting == "lost":
		fmt.Fprintf(r.w, "chat: trying again: %s\n", clean(n.Err.Error()))
		r.waiting = "told"
	}
}

// refused tells, now and then, that a node is there and takes nothing
// (client.Options.OnRefused). A rate limit is no trouble, but the usual pace.
func (r *reporter) refused(e *protocol.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Code == protocol.CodeRateLimited || !r.told.IsZero() && time.Since(r.told) < refusedEvery {
		return
	}
	r.told = time.Now()
	fmt.Fprintf(r.w, "chat: trying again: %s\n", clean(e.Error()))
}
