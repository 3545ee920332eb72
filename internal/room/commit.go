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
	maxBatch      = 256
	maxBatchBytes = 256 << 10
	maxQueue      = 20_000
	// appendTimeout bounds one try.
	appendTimeout = 2 * time.Second
	// appendTries is how often the same drafts are tried when no answer comes, under
	// the same keys, so that none is appended twice.
	appendTries = 2
)

// committer appends what is sent in a room to its log. Its fields are guarded by the
// room's lock.
type committer struct {
	room    *room
	queue   []submission
	running bool
	done    chan struct{} // closed when the committer ends; nil before the first
}

// busyLocked reports whether something is queued or being appended.
func (c *committer) busyLocked() bool { return len(c.queue) > 0 || c.running }

// Send queues a draft for the room's log. done is called once with the outcome,
// later and by another goroutine, or at once if it can't be queued; drafts of
// one caller keep their order. An outcome of unavailable means: unknown. A
// moderator speaks where others may not.
func (h *Hub) Send(m Member, name string, moderator bool, d protocol.Draft, done func(protocol.Receipt, *protocol.Error)) {
	r := h.rooms.find(name)
	if r == nil {
		done(protocol.Receipt{}, protocol.ErrNotJoined)
		return
	}
	if err := r.sends.submit(m, moderator, submission{d, done}); err != nil {
		done(protocol.Receipt{}, err)
	}
}

func (c *committer) submit(m Member, moderator bool, s submission) *protocol.Error {
	r := c.room
	if !moderator {
		if err := r.hub.users.maySpeak(s.draft.User, s.draft.Kind); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	u, ok := r.members[m]
	if !ok {
		return protocol.ErrNotJoined
	}
	if !moderator {
		if err := r.rules.Speak(u.ID, s.draft.Kind, time.Now()); err != nil {
			return err
		}
	}
	if len(c.queue) >= maxQueue {
		return protocol.ErrUnavailable
	}
	c.queue = append(c.queue, s)
	if !c.running {
		c.running = true
		c.done = make(chan struct{})
		go c.run() // ends when nothing is queued; drain waits for it
	}
	return nil
}

// drain waits until nothing is being appended, or ctx is done.
func (c *committer) drain(ctx context.Context) {
	done := c.end()
	if done == nil {
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// end returns what is closed when the committer ends; nil if it does not run.
func (c *committer) end() <-chan struct{} {
	c.room.mu.Lock()
	defer c.room.mu.Unlock()
	if !c.running {
		return nil
	}
	return c.done
}

// run appends what is queued, a batch a call: what is sent during a call is in the next
// one.
func (c *committer) run() {
	for {
		batch := c.next()
		if batch == nil {
			return
		}
		receipts, err := c.append(batch)
		if err != nil {
			c.fail(batch, err)
			continue
		}
		c.room.hub.counts.acknowledged(receipts)
		c.room.log.expect(receipts)
		for i, s := range batch {
			s.done(receipts[i], receipts[i].Refused)
		}
	}
}

// next removes the next batch from the queue; nil ends the committer.
func (c *committer) next() []submission {
	c.room.mu.Lock()
	defer c.room.mu.Unlock()
	n, size := 0, 0
	for n < len(c.queue) && n < maxBatch && (n == 0 || size+len(c.queue[n].draft.Tail) <= maxBatchBytes) {
		size += len(c.queue[n].draft.Tail)
		n++
	}
	if n == 0 {
		c.queue, c.running = nil, false
		close(c.done)
		return nil
	}
	batch := c.queue[:n:n]
	c.queue = c.queue[n:]
	return batch
}

// append appends a batch. If Redis does not answer, it tries once more under the same
// keys.
func (c *committer) append(batch []submission) ([]protocol.Receipt, error) {
	h := c.room.hub
	h.commits <- struct{}{} // released after a bounded time
	defer func() { <-h.commits }()
	drafts := make([]protocol.Draft, len(batch))
	for i, s := range batch {
		drafts[i] = s.draft
	}
	keys := tracedOf(batch)
	h.traces.noteAll(keys, AppendBegan)
	var err error
	for try := range appendTries {
		if try > 0 {
			h.counts.retried.Add(1)
		}
		var receipts []protocol.Receipt
		if receipts, err = c.try(drafts); err == nil || !noAnswer(err) {
			h.traces.noteAll(keys, AppendEnded)
			return receipts, err
		}
	}
	return nil, err
}

func (c *committer) try(drafts []protocol.Draft) ([]protocol.Receipt, error) {
	ctx, cancel := context.WithTimeout(context.Background(), appendTimeout)
	defer cancel()
	return c.room.hub.broker.Append(ctx, c.room.name, drafts)
}

// noAnswer reports whether the connection failed, so that a new one may do.
func noAnswer(err error) bool {
	var network net.Error
	return errors.As(err, &network) || isEOF(err)
}

// fail answers the senders of the batch, and of everything that is queued behind it:
// what was sent later must not be appended before what is sent again.
func (c *committer) fail(batch []submission, err error) {
	batch = append(batch, c.flush()...)
	c.room.hub.failures.add(len(batch), c.room.name, err)
	c.room.hub.counts.unavailable.Add(int64(len(batch)))
	for _, s := range batch {
		s.done(protocol.Receipt{}, protocol.ErrUnavailable)
	}
}

// flush empties the queue.
func (c *committer) flush() []submission {
	c.room.mu.Lock()
	defer c.room.mu.Unlock()
	queue := c.queue
	c.queue = nil
	return queue
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
	hub *Hub

	mu      sync.Mutex // guards the fields below
	count   int
	room    string // of the last one
	err     error  // as above
	changes uint64 // of Redis's availability, at the first one
}

// add notes messages that could not be appended.
func (f *failures) add(n int, room string, err error) {
	_, changes := f.hub.users.available()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count == 0 {
		f.changes = changes
		time.AfterFunc(failuresAfter, f.log)
	}
	f.count += n
	f.room, f.err = room, err
}

// log logs what was noted, unless it belongs to an outage.
func (f *failures) log() {
	n, name, err, before := f.take()
	up, changes := f.hub.users.available()
	if up && changes == before && f.hub.ctx.Err() == nil {
		f.hub.log.Error("messages could not be put into logs", "count", n, "last room", name, "error", err)
	}
}

func (f *failures) take() (n int, room string, err error, changes uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, room, err, changes = f.count, f.room, f.err, f.changes
	f.count, f.room, f.err = 0, "", nil
	return n, room, err, changes
}
