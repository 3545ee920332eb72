package load

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"example.com/chat/internal/check"
	"example.com/chat/internal/protocol"
)

const (
	// retryAfter bounds the random wait before a refused command is repeated; after
	// quickRetries in a row it doubles with each further one, up to retryMost.
	retryAfter   = 200 * time.Millisecond
	retryMost    = 3 * time.Second
	quickRetries = 10
	// answerWithin is how long a user waits for an answer before it leaves the node.
	answerWithin = 20 * time.Second
	// pacePart is the part of a user's rate that is used for deletions, so that hardly
	// any is refused: a node closes connections that are refused too often.
	pacePart = 0.9
)

// outbox holds a user's messages until they are acknowledged. It is not safe for
// concurrent use.
type outbox struct {
	name     string     // makes keys that no other user has
	window   int        // bounds pending
	count    int        // keys made so far
	pending  []*message // unacknowledged, in the order in which they were first sent
	unwanted []*message // deletions to be sent
	pace     *rate.Limiter
}

// message is an unacknowledged message or change.
type message struct {
	room, key, text string
	kind, target    string // of a change
	emoji           string
	on              bool
	conn            int // the connection on which it was last written
	written         time.Time
	again           time.Time // when it is written again; zero while an answer may arrive
	tries           int       // refusals so far
}

// full reports whether no further message may be sent.
func (o *outbox) full() bool { return len(o.pending) >= max(1, o.window) }

// next returns a new message for a room, which is the n-th of the user.
func (o *outbox) next(room string) (m *message, n int) {
	o.count++
	return &message{room: room, key: fmt.Sprintf("%s-%d", o.name, o.count)}, o.count
}

// index returns the position of a pending message; -1 if there is none.
func (o *outbox) index(room, key string) int {
	return slices.IndexFunc(o.pending, func(m *message) bool { return m.key == key && m.room == room })
}

// acknowledge removes a message that is in the log.
func (o *outbox) acknowledge(room, key string) {
	if i := o.index(room, key); i >= 0 {
		o.pending = slices.Delete(o.pending, i, i+1)
	}
}

// refuse handles the refusal of a command, and reports whether it is about a message of
// the outbox. The message will be written again at the time that again returns for the
// number of its refusals so far. A change whose target was deleted, or takes no more
// changes, is removed.
func (o *outbox) refuse(r *protocol.Error, again func(tries int) time.Time) bool {
	i := o.index(r.Room, r.Key)
	if i < 0 {
		return false
	}
	m := o.pending[i]
	if m.kind != "" && (r.Code == protocol.CodeNotFound || r.Code == protocol.CodeForbidden) {
		o.pending = slices.Delete(o.pending, i, i+1)
		return true
	}
	m.again = again(m.tries)
	m.tries++
	return true
}

// remove schedules the deletion of a message of the user.
func (o *outbox) remove(room, id string) {
	o.count++ // not len(unwanted), which shrinks while deletions are sent
	o.unwanted = append(o.unwanted, &message{
		room: room, kind: protocol.Delete, target: id, key: fmt.Sprintf("%s-delete-%d", o.name, o.count),
	})
}

// nextRemoval returns the next deletion, which is pending then; nil if none may be sent
// at this moment. limit is the number of messages a second that the node accepts from
// one user, 0 for no limit.
func (o *outbox) nextRemoval(joined func(room string) bool, limit float64) *message {
	if len(o.unwanted) == 0 || o.full() {
		return nil
	}
	if o.pace == nil {
		o.pace = rate.NewLimiter(rate.Inf, 1)
		if limit > 0 {
			o.pace.SetLimit(rate.Limit(limit * pacePart))
		}
	}
	m := o.unwanted[0]
	if !joined(m.room) || !o.pace.Allow() {
		return nil
	}
	o.unwanted = o.unwanted[1:]
	o.pending = append(o.pending, m)
	return m
}

// removing returns the number of unacknowledged deletions.
func (o *outbox) removing() int {
	n := len(o.unwanted)
	for _, m := range o.pending {
		if m.kind == protocol.Delete {
			n++
		}
	}
	return n
}

// command returns the command that sends the message.
func (m *message) command() protocol.ClientCommand {
	switch m.kind {
	case protocol.Edit:
		return protocol.EditCommand{Room: m.room, Key: m.key, Target: m.target, Text: m.text}
	case protocol.Delete:
		return protocol.DeleteCommand{Room: m.room, Key: m.key, Target: m.target}
	case protocol.React:
		return protocol.ReactCommand{Room: m.room, Key: m.key, Target: m.target, Emoji: m.emoji, On: m.on}
	}
	return protocol.SendCommand{Room: m.room, Key: m.key, Text: m.text}
}

// record returns the record of the sending of the message.
func (m *message) record(user string) check.Record {
	r := check.Record{Op: check.OpSend, Room: m.room, User: user, Key: m.key, Text: m.text, Kind: m.kind, Target: m.target}
	if m.kind == protocol.React {
		r.Text = reactionText(m.emoji, m.on)
	}
	return r
}

// retrySpread returns the longest random wait after so many refusals.
func retrySpread(refusals int) time.Duration {
	return min(retryMost, retryAfter<<min(max(0, refusals-quickRetries+1), 16))
}
