package room

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"example.com/chat/internal/protocol"
)

// submission is a draft on its way into the log.
type submission struct {
	draft protocol.Draft
	done  func(protocol.Receipt, *protocol.Error)
}

// Bounds of one append and of what waits for it.
const (
	batchDrafts = 256
	batchBytes  = 256 << 10
	queueDrafts = 20_000
	// appendTimeout bounds one try.
	appendTimeout = 2 * time.Second
	// appendTries is how often the same drafts are tried when no answer comes:
	// under their old keys, so that none is entered twice.
	appendTries = 2
)

// Send puts a draft into the room's log. done is called once with the outcome,
// later and by another goroutine, or at once when it can't be queued; drafts of
// one caller keep their order. An outcome of unavailable means: unknown. A
// moderator speaks where others may not.
func (h *Hub) Send(m Member, name string, moderator bool, d protocol.Draft, done func(protocol.Receipt, *protocol.Error)) {
	r := h.find(name)
	if r == nil {
		done(protocol.Receipt{}, protocol.ErrNotJoined)
		return
	}
	if err := r.submit(m, moderator, submission{d, done}); err != nil {
		done(protocol.Receipt{}, err)
	}
}

func (r *room) submit(m Member, moderator bool, s submission) *protocol.Error {
	if err := r.hub.maySpeak(s.draft.User, s.draft.Kind, moderator); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	u, ok := r.members[m]
	if !ok {
		return protocol.ErrNotJoined
	}
	if !moderator {
		if err := r.rules.speak(u.ID, s.draft.Kind, &r.spoken); err != nil {
			return err
		}
	}
	if len(r.queue) >= queueDrafts {
		return protocol.ErrUnavailable
	}
	r.queue = append(r.queue, s)
	if !r.committing {
		r.committing = true
		r.idle = make(chan struct{})
		go r.commit() // ends when nothing is queued; drain waits for it
	}
	return nil
}

// drain waits until nothing is being appended, or ctx is done.
func (r *room) drain(ctx context.Context) {
	r.mu.Lock()
	idle, committing := r.idle, r.committing
	r.mu.Unlock()
	if !committing {
		return
	}
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// commit appends what is queued, a batch a call: what is said while a call is
// under way goes in the next.
func (r *room) commit() {
	for {
		batch := r.nextBatch()
		if batch == nil {
			return
		}
		r.hub.commits <- struct{}{} // given back below, after a bounded time
		receipts, err := r.append(batch)
		<-r.hub.commits
		if err != nil {
			r.fail(batch, err)
			continue
		}
		r.hub.counts.acknowledged(receipts)
		r.log.expect(receipts)
		for i, s := range batch {
			s.done(receipts[i], receipts[i].Refused)
		}
	}
}

func (r *room) nextBatch() []submission {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, size := 0, 0
	for n < len(r.queue) && n < batchDrafts && (n == 0 || size+len(r.queue[n].draft.Tail) <= batchBytes) {
		size += len(r.queue[n].draft.Tail)
		n++
	}
	if n == 0 {
		r.queue, r.committing = nil, false
		close(r.idle)
		return nil
	}
	batch := r.queue[:n:n]
	r.queue = r.queue[n:]
	return batch
}

func (r *room) append(batch []submission) ([]protocol.Receipt, error) {
	drafts := make([]protocol.Draft, len(batch))
	for i, s := range batch {
		drafts[i] = s.draft
	}
	shown := tracedOf(batch)
	r.hub.traces.noteAll(shown, AppendBegan)
	var err error
	for try := range appendTries {
		if try > 0 {
			r.hub.counts.retried.Add(1)
		}
		var receipts []protocol.Receipt
		ctx, cancel := context.WithTimeout(context.Background(), appendTimeout)
		receipts, err = r.hub.broker.Append(ctx, r.name, drafts)
		cancel()
		if err == nil || !noAnswer(err) {
			r.hub.traces.noteAll(shown, AppendEnded)
			return receipts, err
		}
	}
	return nil, err
}

// noAnswer reports whether the connection failed, so that a new one may do.
func noAnswer(err error) bool {
	var network net.Error
	return errors.As(err, &network) || isEOF(err)
}

// fail tells the senders of the batch, and of all that is queued behind it:
// for what was said later must not be entered before what is tried again.
func (r *room) fail(batch []submission, err error) {
	r.mu.Lock()
	batch = append(batch, r.queue...)
	r.queue = nil
	r.mu.Unlock()
	r.hub.failed(len(batch), r.name, err)
	r.hub.counts.unavailable.Add(int64(len(batch)))
	for _, s := range batch {
		s.done(protocol.Receipt{}, protocol.ErrUnavailable)
	}
}

func isEOF(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded)
}

// failuresAfter is how long failures to append are gathered for one line in the
// operator's log. It is longer than it takes until an outage is noticed, which has
// a line of its own.
const failuresAfter = 3 * time.Second

// failures are the messages that could not be appended and are not logged yet.
type failures struct {
	mu      sync.Mutex // guards the fields below
	count   int
	room    string // of the last one
	err     error  // as above
	outages uint64 // Hub.outages at the first one
}

// failed notes messages that could not be appended.
func (h *Hub) failed(n int, room string, err error) {
	h.mu.Lock()
	outages := h.outages
	h.mu.Unlock()
	f := &h.failures
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count == 0 {
		f.outages = outages
		time.AfterFunc(failuresAfter, h.tellFailures)
	}
	f.count += n
	f.room, f.err = room, err
}

// tellFailures logs what failed noted, unless that belongs to an outage.
func (h *Hub) tellFailures() {
	f := &h.failures
	f.mu.Lock()
	n, name, err, outages := f.count, f.room, f.err, f.outages
	f.count, f.room, f.err = 0, "", nil
	f.mu.Unlock()
	h.mu.Lock()
	outage := h.outages != outages || !h.up.Load()
	h.mu.Unlock()
	if !outage && h.ctx.Err() == nil {
		h.log.Error("messages could not be put into logs", "count", n, "last room", name, "error", err)
	}
}
