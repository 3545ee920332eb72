package room

import (
	"sync"

	"example.com/chat/internal/protocol"
)

// Codec numbers the ways in which transports write an event.
type Codec uint8

// The codecs there are.
const (
	// CodecWebSocket writes an event as one WebSocket frame.
	CodecWebSocket Codec = iota
	// CodecSocketIO writes it as one Socket.IO event on the namespace "/".
	CodecSocketIO
	codecs
)

// Broadcast is an event on its way to any number of connections. It is encoded
// once for each codec, by the first connection that needs it.
type Broadcast struct {
	protocol.Event
	encoded [codecs]struct {
		once  sync.Once
		frame any
	}
}

// NewBroadcast makes one.
func NewBroadcast(e protocol.Event) *Broadcast { return &Broadcast{Event: e} }

// Encoded returns what encode made of the event for the codec, calling it at
// most once in the life of the Broadcast.
func (b *Broadcast) Encoded(c Codec, encode func(protocol.Event) any) any {
	e := &b.encoded[c]
	e.once.Do(func() { e.frame = encode(b.Event) })
	return e.frame
}
