package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// refusedEvery is the shortest time between two lines about refusals.
const refusedEvery = 5 * time.Second

// reporter prints changes of a session's connection, one line each: the loss of a node
// and the next node, but not each try in between; and why it waits.
type reporter struct {
	mu      sync.Mutex // guards the fields below; held during writes to w
	w       io.Writer
	waiting string    // the last line since the connection was lost
	told    time.Time // when a refusal was last reported
}

// notice handles changes of the connection (client.Options.OnNotice).
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

// refused reports from time to time that the node is there and refuses messages
// (client.Options.OnRefused), except for its rate limit, which is normal.
func (r *reporter) refused(e *protocol.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Code == protocol.CodeRateLimited || !r.told.IsZero() && time.Since(r.told) < refusedEvery {
		return
	}
	r.told = time.Now()
	fmt.Fprintf(r.w, "chat: trying again: %s\n", clean(e.Error()))
}
