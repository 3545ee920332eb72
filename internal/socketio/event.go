package socketio

import "github.com/go-json-experiment/json/jsontext"

// Event is an event from a client.
type Event struct {
	// Name is the event's name.
	Name string
	// Args are its arguments, each as raw JSON in which placeholders stand for
	// attachments; see Attachment.
	Args []jsontext.Value
	// Attachments are the binary parts.
	Attachments [][]byte

	socket *Socket
	id     uint64
	wants  bool
}

// Ack returns the acknowledgement of the event; ok is false if the client does not wait
// for one.
func (e *Event) Ack() (a Ack, ok bool) { return Ack{e.socket, e.id}, e.wants }

// Ack acknowledges one event, at any time and from any goroutine, but at most once,
// which is not checked.
type Ack struct {
	socket *Socket
	id     uint64
}

// Send acknowledges with arguments that become JSON; a []byte becomes an attachment. It
// does not count towards the limit of slow clients.
func (a Ack) Send(args ...any) error {
	e, err := marshal(head{AckType, a.socket.namespace, a.id, true}, args)
	if err == nil {
		a.socket.Answer(e)
	}
	return err
}

// SendRaw acknowledges with arguments that are JSON already, as in EncodeRaw.
func (a Ack) SendRaw(args []jsontext.Value, attachments [][]byte) {
	a.socket.Answer(build(head{AckType, a.socket.namespace, a.id, true}, args, attachments))
}
