package socketio

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// Type is the type of a packet: its first character.
type Type byte

// The types of packets.
const (
	Connect      Type = '0'
	Disconnect   Type = '1'
	EventType    Type = '2'
	AckType      Type = '3'
	ConnectError Type = '4'
	BinaryEvent  Type = '5'
	BinaryAck    Type = '6'
)

// binary reports whether attachments follow the packet.
func (t Type) binary() bool { return t == BinaryEvent || t == BinaryAck }

// Packet is a parsed packet. Its attachments follow separately.
type Packet struct {
	Type      Type
	Namespace string // "/" if the packet names none
	// ID is the id of the acknowledgement, if HasID is true.
	ID    uint64
	HasID bool
	// Attachments is the number of attachments that follow.
	Attachments int
	// Name is the name of an event.
	Name string
	// Args are the arguments of an event or an acknowledgement, each as raw JSON in
	// which placeholders stand for attachments.
	Args []jsontext.Value
	// Data is the object of a Connect or a ConnectError, if there is one.
	Data jsontext.Value
}

// Limits limit packets; zero fields get their defaults.
type Limits struct {
	// Attachments is the most attachments of an event; default 10, and none if it is
	// negative.
	Attachments int
	// AckDigits is the longest id of an acknowledgement; default 15, which JavaScript's
	// numbers hold exactly. More than 18 are never accepted.
	AckDigits int
	// Args is the most arguments of an event; default 1,000.
	Args int
	// Namespace is the longest name of a namespace, in bytes; default 256.
	Namespace int
}

const mostDigits = 18 // that fit into 64 bits

func (l *Limits) fill() {
	fill(&l.Attachments, 10)
	fill(&l.AckDigits, 15)
	fill(&l.Args, 1000)
	fill(&l.Namespace, 256)
	l.AckDigits = min(l.AckDigits, mostDigits)
}

// errPacket is the error of every invalid packet: the client gets no details, as the
// connection is closed.
var errPacket = errors.New("not a packet")

// reserved are the names that events must not have, because they have a meaning for
// clients or the official server. The last has none: only an attack uses it.
var reserved = []string{
	"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener", "__proto__",
}

// Parse parses a packet's text, which must be UTF-8. The parts of the packet are parts
// of data. An invalid packet, or one over the limits, is an error.
func Parse(data []byte, limits Limits) (Packet, error) {
	limits.fill()
	return parse(data, &limits)
}

func parse(data []byte, limits *Limits) (Packet, error) {
	if len(data) == 0 {
		return Packet{}, errPacket
	}
	p := Packet{Type: Type(data[0]), Namespace: "/"}
	rest := data[1:]
	if p.Type.binary() {
		count, after, ok := bytes.Cut(rest, []byte{'-'})
		n, digits := number(count, 3)
		if !ok || digits == 0 || digits < len(count) || n < 1 || n > uint64(max(0, limits.Attachments)) {
			return Packet{}, errPacket
		}
		p.Attachments, rest = int(n), after
	}
	if len(rest) > 0 && rest[0] == '/' {
		name, after, _ := bytes.Cut(rest, []byte{','})
		if len(name) > limits.Namespace || bytes.ContainsFunc(name, unicode.IsControl) {
			return Packet{}, errPacket
		}
		if len(name) > 1 {
			p.Namespace = string(name)
		}
		rest = after
	}
	if len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9' {
		id, digits := number(rest, limits.AckDigits)
		if digits == 0 {
			return Packet{}, errPacket
		}
		p.ID, p.HasID, rest = id, true, rest[digits:]
	}
	if err := p.payload(rest, limits); err != nil {
		return Packet{}, errPacket
	}
	return p, nil
}

// number reads the digits at the start of b. It returns their number: 0 if there are
// none, or more than most.
func number(b []byte, most int) (n uint64, digits int) {
	for digits < len(b) && b[digits] >= '0' && b[digits] <= '9' {
		if digits == most {
			return 0, 0
		}
		n = n*10 + uint64(b[digits]-'0')
		digits++
	}
	return n, digits
}

// payload parses the JSON of a packet.
func (p *Packet) payload(data []byte, limits *Limits) error {
	switch p.Type {
	case Disconnect:
		if len(data) > 0 {
			return errPacket
		}
		return nil
	case Connect, ConnectError:
		if len(data) == 0 && p.Type == Connect {
			return nil
		}
		values, err := split(data, 1, false)
		if err != nil || values[0].Kind() != '{' {
			return errPacket
		}
		p.Data = values[0]
		return nil
	case EventType, BinaryEvent, AckType, BinaryAck:
	default:
		return errPacket
	}
	args, err := split(data, limits.Args+1, true)
	if err != nil {
		return err
	}
	if p.Type.binary() {
		if err := checkPlaceholders(data, p.Attachments); err != nil {
			return err
		}
	}
	if p.Type == AckType || p.Type == BinaryAck {
		p.Args = args
		if !p.HasID {
			return errPacket
		}
		return nil
	}
	if len(args) == 0 {
		return errPacket
	}
	p.Name, p.Args = eventName(args[0]), args[1:]
	if p.Name == "" && args[0].Kind() != '"' || slices.Contains(reserved, p.Name) {
		return errPacket
	}
	return nil
}

// eventName returns an event's name: a string, or a number in its raw form, which the
// official parser accepts too.
func eventName(v jsontext.Value) string {
	switch v.Kind() {
	case '0':
		return string(v)
	case '"':
		name, err := jsontext.AppendUnquote(nil, v)
		if err != nil && len(name) == 0 {
			return "�" // a lone surrogate: no handler has such a name
		}
		return string(name)
	}
	return ""
}

// lenient accepts the JSON that JavaScript accepts.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// split returns the elements of a JSON array, or a single value; most bounds their
// number. The values are parts of data.
func split(data []byte, most int, array bool) ([]jsontext.Value, error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(data), lenient...)
	if array {
		if t, err := d.ReadToken(); err != nil || t.Kind() != '[' {
			return nil, errPacket
		}
	}
	var values []jsontext.Value
	for d.PeekKind() != ']' {
		v, err := d.ReadValue()
		if err != nil || len(values) == most {
			return nil, errPacket
		}
		end := int(d.InputOffset())
		values = append(values, jsontext.Value(data[end-len(v):end:end]))
		if !array {
			break
		}
	}
	if array {
		if _, err := d.ReadToken(); err != nil {
			return nil, errPacket
		}
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) || len(values) == 0 && !array {
		return nil, errPacket
	}
	return values, nil
}

// The members of a placeholder.
const (
	memberOther = iota
	memberMark  // "_placeholder"
	memberNum   // "num"
)

// placeholder is an object that may be a placeholder, while it is read.
type placeholder struct {
	member int // the current one
	marked bool
	num    int // -1 until it is read
}

// checkPlaceholders reports whether all placeholders are for one of n attachments.
func checkPlaceholders(data []byte, n int) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(data), lenient...)
	var objects []placeholder
	for {
		t, err := d.ReadToken()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		kind, length := d.StackIndex(d.StackDepth())
		switch t.Kind() {
		case '{':
			objects = append(objects, placeholder{num: -1})
			continue
		case '}':
			last := objects[len(objects)-1]
			objects = objects[:len(objects)-1]
			if last.marked && (last.num < 0 || last.num >= n) {
				return errPacket
			}
			continue
		}
		if kind == '{' && t.Kind() != ']' && t.Kind() != '[' {
			objects[len(objects)-1].read(t, length%2 == 1)
		}
	}
}

// read handles a name, or a value that is no object and no array.
func (p *placeholder) read(t jsontext.Token, name bool) {
	switch {
	case name && t.String() == "_placeholder":
		p.member = memberMark
	case name && t.String() == "num":
		p.member = memberNum
	case name:
		p.member = memberOther
	case p.member == memberMark:
		p.marked = t.Kind() == 't'
	case p.member == memberNum:
		n, err := strconv.Atoi(t.String())
		if err != nil || t.Kind() != '0' {
			n = -1
		}
		p.num = n
	}
}

// Attachment returns the number of the attachment that an argument is, if it is one and
// nothing else.
func Attachment(arg jsontext.Value) (n int, ok bool) {
	if arg.Kind() != '{' {
		return 0, false
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(arg), lenient...)
	_, _ = d.ReadToken() // the brace
	p := placeholder{num: -1}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return 0, false
		}
		p.read(name, true)
		if k := d.PeekKind(); k == '{' || k == '[' {
			if d.SkipValue() != nil {
				return 0, false
			}
			continue
		}
		value, err := d.ReadToken()
		if err != nil {
			return 0, false
		}
		p.read(value, false)
	}
	return p.num, p.marked && p.num >= 0
}
