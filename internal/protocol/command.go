package protocol

import (
	"bytes"
	"errors"
	"math"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The commands of the protocol.
const (
	Hello    = "hello"
	Join     = "join"
	Leave    = "leave"
	Send     = "send"
	Edit     = "edit"
	Delete   = "delete"
	React    = "react"
	History  = "history"
	Typing   = "typing"
	Rooms    = "rooms"
	Members  = "members"
	Rename   = "rename"
	Moderate = "moderate"
	Ping     = "ping"
)

// Command is a decoded and checked command. Fields that its type does not have are
// zero; the others follow the protocol's rules, except for the length of Text, which
// depends on the node's limits.
type Command struct {
	// Type is one of the command constants.
	Type string
	// Ref is the client's ref as it was written (a JSON string or integer), for the
	// reply to repeat; nil if there is none.
	Ref jsontext.Value
	// Via is set by the transport, to route the reply; it is never the client's.
	Via any
	// Room is folded to lower case; empty if the command may be without a room and is.
	Room string
	// After and Before are cursors; Given is false without one.
	After, Before Cursor
	// Page is the cursor of a page of rooms; "" for the first page.
	Page string
	// Limit is 1–200; 50 if the client gave none.
	Limit int
	// Name is unchecked; HasName reports whether the client gave one.
	Name    string
	HasName bool
	// Token and Auth are those of hello.
	Token, Auth string
	// Joins are the rooms that a hello joins, in their order in the JSON.
	Joins []Joining
	// Text and Key are those of send and edit; delete and react have a Key too.
	Text, Key string
	// Target is the id of the message that edit, delete and react change.
	Target ID
	// Emoji and On are those of react.
	Emoji string
	On    bool
	// Action, User, Seconds and Reason are those of moderate.
	Action, User, Reason string
	Seconds              int64
}

// Joining is one room that a hello joins.
type Joining struct {
	// Room is folded to lower case; unchanged where Bad is set.
	Room string
	// After is the cursor, as in a join.
	After Cursor
	// Bad is the error of an invalid room or cursor; nil for none.
	Bad *Error
}

// Says reports whether a command appends an entry to a room's log.
func Says(command string) bool {
	return command == Send || command == Edit || command == Delete || command == React
}

// wire holds the raw fields of a frame. Each is decoded only if the command has it, so
// other fields are ignored whatever their JSON type.
type wire struct {
	Type    jsontext.Value `json:"type"`
	Ref     jsontext.Value `json:"ref"`
	Room    jsontext.Value `json:"room"`
	After   jsontext.Value `json:"after"`
	Before  jsontext.Value `json:"before"`
	Limit   jsontext.Value `json:"limit"`
	Name    jsontext.Value `json:"name"`
	Token   jsontext.Value `json:"token"`
	Auth    jsontext.Value `json:"auth"`
	Join    jsontext.Value `json:"join"`
	Text    jsontext.Value `json:"text"`
	Key     jsontext.Value `json:"key"`
	Target  jsontext.Value `json:"target"`
	Emoji   jsontext.Value `json:"emoji"`
	On      jsontext.Value `json:"on"`
	Action  jsontext.Value `json:"action"`
	User    jsontext.Value `json:"user"`
	Seconds jsontext.Value `json:"seconds"`
	Reason  jsontext.Value `json:"reason"`
}

// DecodeFrame decodes one WebSocket frame: a JSON object with its name in "type".
// With an error, the returned command has only Type, Ref, Room and Key, as far as they
// can be read (see NameOf), for the error to repeat.
func DecodeFrame(data []byte) (Command, *Error) {
	var w wire
	if err := decodeObject(data, &w); err != nil {
		return NameOf("", data), err
	}
	name, err := w.str(w.Type, "type")
	if err != nil || name == "" {
		return w.named(""), Errorf(CodeUnknownType, "a command needs a \"type\", a string")
	}
	return w.command(name)
}

// DecodeCommand is DecodeFrame for a transport that carries the command's name
// elsewhere, like Socket.IO's event name.
func DecodeCommand(name string, data []byte) (Command, *Error) {
	var w wire
	if err := decodeObject(data, &w); err != nil {
		return NameOf(name, data), err
	}
	return w.command(name)
}

// decodeObject is strict where JSON parsers differ: names are case-sensitive and unique,
// and the input is UTF-8 (RFC 8259, and I-JSON, RFC 7493). But a lone surrogate, which
// programs produce that cut a text in two, is read as U+FFFD; the rules of each field
// decide whether it may contain that.
func decodeObject(data []byte, w *wire) *Error {
	if jsontext.Value(data).Kind() != '{' {
		return Errorf(CodeBadJSON, "send one JSON object a frame")
	}
	err := json.Unmarshal(data, w, lenient)
	if err == nil && utf8.Valid(data) {
		return nil
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) && errors.Is(syntax.Err, jsontext.ErrDuplicateName) {
		return Errorf(CodeBadJSON, "the frame holds the same field twice")
	}
	return Errorf(CodeBadJSON, "the frame is not a JSON object in UTF-8")
}

// field is one field of a command: its name, and what reads it into a Command whose
// Type is known.
type field struct {
	name string
	read func(w *wire, c *Command) *Error
}

// fields maps each command to its fields, in the order in which they are checked: the
// ones that say what the command is about come first.
var fields = map[string][]field{
	Hello:    {{"name", optionalName}, {"token", token}, {"auth", auth}, {"join", joins}},
	Join:     {{"room", room}, {"after", after}},
	Leave:    {{"room", room}},
	Send:     {{"room", room}, {"key", key}, {"text", text}},
	Edit:     {{"room", room}, {"key", key}, {"target", target}, {"text", text}},
	Delete:   {{"room", room}, {"key", key}, {"target", target}},
	React:    {{"room", room}, {"key", key}, {"target", target}, {"emoji", emoji}, {"on", on}},
	History:  {{"room", room}, {"before", before}, {"limit", limit}},
	Typing:   {{"room", room}},
	Rooms:    {{"after", page}},
	Members:  {{"room", room}},
	Rename:   {{"name", requiredName}},
	Moderate: {{"action", action}, {"room", optionalRoom}, {"user", user}, {"seconds", seconds}, {"reason", reason}},
	Ping:     {},
}

func (w *wire) command(name string) (Command, *Error) {
	list, ok := fields[name]
	if !ok {
		return w.named(""), Errorf(CodeUnknownType, "no such command: see the protocol's page for those there are")
	}
	c := Command{Type: name, Ref: w.ref()}
	if c.Ref == nil && present(w.Ref) {
		return w.named(name), Errorf(CodeBadField, "ref must be a string or an integer of 64 characters at most")
	}
	for _, f := range list {
		if err := f.read(w, &c); err != nil {
			return w.named(name), err
		}
	}
	return c, nil
}

func present(v jsontext.Value) bool { return v != nil && v.Kind() != 'n' }

// str reads an optional string field; "" when it is missing or null.
func (w *wire) str(v jsontext.Value, name string) (string, *Error) {
	if !present(v) {
		return "", nil
	}
	var s string
	if v.Kind() != '"' || json.Unmarshal(v, &s, lenient) != nil {
		return "", Errorf(CodeBadField, "%s must be a string", name)
	}
	return s, nil
}

// integer reads an optional whole number; ok is false if it is missing.
func (w *wire) integer(v jsontext.Value, name string) (n int64, ok bool, err *Error) {
	if !present(v) {
		return 0, false, nil
	}
	var f float64
	if v.Kind() != '0' || len(v) > 64 || json.Unmarshal(v, &f) != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false, Errorf(CodeBadField, "%s must be a whole number", name)
	}
	return int64(f), true, nil
}

// ref returns the raw ref, or nil if it is not valid. Half a surrogate pair in it becomes
// U+FFFD, as in texts: a strict reader would refuse the whole reply.
func (w *wire) ref() jsontext.Value {
	if !present(w.Ref) {
		return nil
	}
	switch w.Ref.Kind() {
	case '"':
		s, err := w.str(w.Ref, "ref")
		if err != nil || len([]rune(s)) > MaxRefLen {
			return nil
		}
		if w.Ref.IsValid() {
			return w.Ref
		}
		if quoted, err := jsontext.AppendQuote(nil, s); err == nil {
			return quoted
		}
	case '0':
		if len(w.Ref) <= MaxRefLen {
			for i, c := range w.Ref {
				if (c < '0' || c > '9') && (i != 0 || c != '-') {
					return nil
				}
			}
			return w.Ref
		}
	}
	return nil
}

func room(w *wire, c *Command) *Error {
	s, err := w.str(w.Room, "room")
	if err != nil {
		return err
	}
	c.Room, err = Room(s)
	return err
}

func optionalRoom(w *wire, c *Command) *Error {
	if !present(w.Room) {
		return nil
	}
	return room(w, c)
}

// cursor reads the id of an entry, or "0-0" for the beginning of the log. The empty
// string is no cursor.
func cursor(w *wire, v jsontext.Value, name string) (Cursor, *Error) {
	s, err := w.str(v, name)
	if err != nil || s == "" {
		return Cursor{}, err
	}
	c, bad := ParseCursor(s)
	if bad != nil {
		return Cursor{}, Errorf(CodeBadField, "%s must be the id of an entry, as \"1764000000000-17\"", name)
	}
	return c, nil
}

func after(w *wire, c *Command) (err *Error) {
	c.After, err = cursor(w, w.After, "after")
	return err
}

func page(w *wire, c *Command) (err *Error) {
	c.Page, err = w.str(w.After, "after")
	return err
}

func before(w *wire, c *Command) (err *Error) {
	c.Before, err = cursor(w, w.Before, "before")
	return err
}

func limit(w *wire, c *Command) *Error {
	n, ok, err := w.integer(w.Limit, "limit")
	switch {
	case err != nil:
		return err
	case !ok:
		n = NewestCount
	case n < 1 || n > MaxHistory:
		return Errorf(CodeBadField, "limit must be between 1 and 200")
	}
	c.Limit = int(n)
	return nil
}

func optionalName(w *wire, c *Command) (err *Error) {
	c.HasName = present(w.Name)
	c.Name, err = w.str(w.Name, "name")
	return err
}

func requiredName(w *wire, c *Command) *Error {
	if !present(w.Name) {
		return Errorf(CodeBadName, "rename needs a name")
	}
	return optionalName(w, c)
}

func token(w *wire, c *Command) (err *Error) {
	c.Token, err = w.str(w.Token, "token")
	return err
}

func auth(w *wire, c *Command) (err *Error) {
	c.Auth, err = w.str(w.Auth, "auth")
	return err
}

// joins reads the rooms that a hello joins, each with a cursor or "". An invalid room
// or cursor sets only its own Joining.Bad.
func joins(w *wire, c *Command) *Error {
	if !present(w.Join) {
		return nil
	}
	if w.Join.Kind() != '{' {
		return Errorf(CodeBadField, "join must be an object of rooms, each with the last id seen or \"\"")
	}
	object := jsontext.NewDecoder(bytes.NewReader(w.Join), lenient)
	_, err := object.ReadToken() // the brace
	for err == nil && object.PeekKind() == '"' {
		var one wire
		if one.Room, err = object.ReadValue(); err != nil {
			break
		}
		one.Room = one.Room.Clone() // ReadValue reuses its buffer
		if one.After, err = object.ReadValue(); err != nil {
			break
		}
		var j Command
		bad := room(&one, &j)
		if bad == nil {
			bad = after(&one, &j)
		}
		if bad != nil {
			j = one.named(Join)
		}
		c.Joins = append(c.Joins, Joining{Room: j.Room, After: j.After, Bad: bad})
	}
	if err != nil {
		return Errorf(CodeBadJSON, "join can't be read")
	}
	return nil
}

func text(w *wire, c *Command) (err *Error) {
	c.Text, err = w.str(w.Text, "text")
	return err
}

func key(w *wire, c *Command) *Error {
	s, err := w.str(w.Key, "key")
	if err != nil {
		return err
	}
	if err := Key(s); err != nil {
		return err
	}
	if !w.Key.IsValid() {
		return Errorf(CodeBadField, "key holds half a surrogate pair: choose another")
	}
	c.Key = s
	return nil
}

func target(w *wire, c *Command) *Error {
	to, err := cursor(w, w.Target, "target")
	if err == nil && to.ID.IsZero() {
		return Errorf(CodeBadField, "target is missing: name the message by its id")
	}
	c.Target = to.ID
	return err
}

func emoji(w *wire, c *Command) (err *Error) {
	c.Emoji, err = w.str(w.Emoji, "emoji")
	if err == nil && !Emoji(c.Emoji) {
		return Errorf(CodeBadField, "emoji must be one emoji of 32 bytes at most")
	}
	c.Emoji = FoldEmoji(c.Emoji)
	return err
}

func on(w *wire, c *Command) *Error {
	switch w.On.Kind() {
	case 't', 'f':
		c.On = w.On.Kind() == 't'
		return nil
	}
	return Errorf(CodeBadField, "on must be true or false")
}

func user(w *wire, c *Command) (err *Error) {
	c.User, err = w.str(w.User, "user")
	if err == nil && len(c.User) > MaxKeyLen {
		return Errorf(CodeBadField, "user must be the id of a user")
	}
	return err
}

func reason(w *wire, c *Command) (err *Error) {
	c.Reason, err = w.str(w.Reason, "reason")
	if err == nil && len([]rune(c.Reason)) > MaxReasonLen {
		return Errorf(CodeBadField, "reason is too long: 200 characters at most")
	}
	return err
}
