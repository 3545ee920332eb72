package socketio

import "github.com/go-json-experiment/json/jsontext"

// Event is what a client sent.
type Event struct {
	// Name is the event's.
	Name string
	// Args are its arguments, each as the JSON that it came as: placeholders
	// stand where attachments go, see Attachment.
	Args []jsontext.Value
	// Attachments are the binary parts.
	Attachments [][]byte

	socket *Socket
	id     uint64
	wants  bool
}

// Ack returns the means to acknowledge the event; ok is false where the client
// does not wait for that.
func (e *Event) Ack() (a Ack, ok bool) { return Ack{e.socket, e.id}, e.wants }

// Ack acknowledges one event, when and from where one likes, but at most once:
// that is not checked.
type Ack struct {
	socket *Socket
	id     uint64
}

// Send acknowledges with arguments that become JSON; what is a []byte becomes an
// attachment. It does not count as what a slow client has not taken.
func (a Ack) Send(args ...any) error {
	e, err := marshal(head{AckType, a.socket.namespace, a.id, true}, args)
	if err == nil {
		a.socket.Answer(e)
	}
	return err
}

// SendRaw acknowledges with arguments that are JSON already, as EncodeRaw takes
// them.
func (a Ack) SendRaw(args []jsontext.Value, attachments [][]byte) {
	a.socket.Answer(build(head{AckType, a.socket.namespace, a.id, true}, args, attachments))
}
