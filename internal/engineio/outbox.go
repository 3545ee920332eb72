package engineio

import "example.com/chat/internal/conn"

// outbox sends a session's messages: to its WebSocket, or while it polls, to a queue from
// which polls fetch them. The session's mutex guards it.
type outbox struct {
	cfg    *Config
	socket *conn.Conn // the session's WebSocket; nil while it polls

	queue   []*Message    // for the next poll
	waiting int           // bytes in queue
	answers int           // those of them that are answers
	drained chan struct{} // closed when the queue is within its limit; nil unless a goroutine waits for that
}

// send sends messages. It returns false, and sends nothing, if too much is waiting for the
// next poll.
func (o *outbox) send(messages []*Message) bool {
	if o.socket != nil {
		for _, m := range messages {
			o.socket.Send(m.frame)
		}
		return true
	}
	if size := polledSize(messages); o.waiting > 0 && o.waiting+size > o.cfg.OutboxLimit+o.answers {
		return false
	}
	o.push(messages)
	return true
}

// answer sends messages that answer the client. They do not count towards the limit.
func (o *outbox) answer(messages []*Message) {
	if o.socket == nil {
		o.answers += polledSize(messages)
	}
	o.push(messages)
}

// push sends messages without a limit.
func (o *outbox) push(messages []*Message) {
	if o.socket != nil {
		for _, m := range messages {
			o.socket.Answer(m.frame)
		}
		return
	}
	o.waiting += polledSize(messages)
	o.queue = append(o.queue, messages...)
}

// polledSize returns the bytes of messages in the answer to a poll.
func polledSize(messages []*Message) int {
	size := 0
	for _, m := range messages {
		size += len(m.polled())
	}
	return size
}

// upgrade moves the queue to the WebSocket, which gets all later messages too.
func (o *outbox) upgrade(socket *conn.Conn) {
	rest := o.takeAll()
	o.socket = socket
	o.push(rest)
}

// takeAll empties the queue, and returns what was in it.
func (o *outbox) takeAll() []*Message {
	all := o.queue
	o.queue, o.waiting, o.answers = nil, 0, 0
	o.notifyDrained()
	return all
}

// maxPolled bounds the answer to one poll, except for a single longer message: on a
// slow link the client knows nothing until an answer is complete.
const maxPolled = 32 << 10

// takePart removes and returns as much of the queue as one answer holds.
func (o *outbox) takePart() []*Message {
	n, size := 0, 0
	for n < len(o.queue) && (n == 0 || size+len(o.queue[n].polled()) < maxPolled) {
		size += len(o.queue[n].polled()) + 1
		n++
	}
	if n == len(o.queue) {
		return o.takeAll()
	}
	part := o.queue[:n:n]
	o.queue = o.queue[n:]
	o.waiting -= polledSize(part)
	o.answers = min(o.answers, o.waiting)
	if o.waiting <= o.cfg.OutboxLimit {
		o.notifyDrained()
	}
	return part
}

// putBack queues messages again, before all others. They count as answers.
func (o *outbox) putBack(messages []*Message) {
	size := polledSize(messages)
	o.waiting += size
	o.answers += size
	o.queue = append(append(make([]*Message, 0, len(messages)+len(o.queue)), messages...), o.queue...)
}

// expectRoom returns a channel that is closed when the queue is within its limit; nil if it
// is within limit bytes now.
func (o *outbox) expectRoom(limit int) <-chan struct{} {
	if o.socket != nil || o.waiting <= limit {
		return nil
	}
	o.drained = make(chan struct{})
	return o.drained
}

// notifyDrained wakes the goroutine that waits for room in the queue.
func (o *outbox) notifyDrained() {
	if o.drained != nil {
		close(o.drained)
		o.drained = nil
	}
}

// pending returns how many bytes wait for the client.
func (o *outbox) pending() int {
	if o.socket != nil {
		return o.socket.Pending()
	}
	return o.waiting
}

// unsent returns pending plus, on a WebSocket, the bytes that the kernel has not sent.
func (o *outbox) unsent() int {
	if o.socket != nil {
		return o.socket.Unsent()
	}
	return o.waiting
}
