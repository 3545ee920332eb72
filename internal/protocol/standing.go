package protocol

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Limits on the changes of one message.
const (
	// MaxEdits is how often one message may be edited.
	MaxEdits = 100
	// MaxReactionKinds is how many different emoji one message may have.
	MaxReactionKinds = 20
	// MaxReactions is how many reactions one message may have in all.
	MaxReactions = 5000
	// MaxRoomReactions is how many reactions the messages of a room may have in all.
	MaxRoomReactions = 200_000
	// MaxReactionUsers is how many users a reaction lists; its count counts all.
	MaxReactionUsers = 20
)

// Reaction is one emoji on a message.
type Reaction struct {
	Emoji string `json:"emoji"`
	// Count is how many users put it.
	Count int `json:"count"`
	// Users are their ids, MaxReactionUsers at most, in the order in which they reacted.
	Users []string `json:"users"`
}

// Standing is a message as it stands after its changes.
type Standing struct {
	// Entry is the message before its changes.
	Entry
	// Edited is the time of the last edit, in milliseconds since the epoch; 0 if there
	// was none.
	Edited int64
	// Text is the text of the last edit, a JSON string; unused without one.
	Text jsontext.Value
	// Reactions are in the order in which their emoji was first used.
	Reactions []Reaction
}

// Page is a part of a room's log as messages that stand.
type Page struct {
	// Head is the log's newest entry of any kind at the time of the read; zero if the
	// log is empty.
	Head Entry
	// List holds the messages, oldest first.
	List []Standing
	// More reports that the log holds older messages.
	More bool
}

// Modification is the change that an Edit, Delete or React entry makes.
type Modification struct {
	ID     ID
	Kind   string
	Target ID
	// Text is the new text of an edit, a JSON string.
	Text jsontext.Value
	// User, Emoji, On and Count are those of a reaction; Count is how many users
	// have put the emoji after it.
	User, Emoji string
	On          bool
	Count       int
}

// Modification decodes the change that the entry makes; ok is false if it is a message,
// of an unknown kind, or not valid.
func (e Entry) Modification() (m Modification, ok bool) {
	m.ID, m.Kind, m.Target, m.User = e.ID, e.Kind, e.Target, e.Author
	if e.IsMessage() {
		return m, false
	}
	var fields struct {
		Text  jsontext.Value `json:"text"`
		Emoji string         `json:"emoji"`
		On    bool           `json:"on"`
		Count int            `json:"count"`
	}
	if json.Unmarshal(e.Raw, &fields) != nil {
		return m, false
	}
	m.Text, m.Emoji, m.On, m.Count = fields.Text, fields.Emoji, fields.On, fields.Count
	return m, !m.Target.IsZero()
}

// Fold applies an edit or a reaction, whose target must be the message. Applying the
// newest change twice has no effect. Fold does not change slices that s had before.
func (s *Standing) Fold(m Modification) {
	switch m.Kind {
	case Edit:
		s.Edited, s.Text = m.ID.MS, m.Text
	case React:
		s.react(m)
	}
}

func (s *Standing) react(m Modification) {
	list := slices.Clone(s.Reactions)
	i := slices.IndexFunc(list, func(r Reaction) bool { return r.Emoji == m.Emoji })
	if i < 0 {
		if m.Count == 0 {
			return
		}
		i = len(list)
		list = append(list, Reaction{Emoji: m.Emoji})
	}
	r := &list[i]
	r.Count = m.Count
	r.Users = slices.DeleteFunc(slices.Clone(r.Users), func(id string) bool { return id == m.User && !m.On })
	if m.On && len(r.Users) < MaxReactionUsers && !slices.Contains(r.Users, m.User) {
		r.Users = append(r.Users, m.User)
	}
	if r.Count == 0 {
		list = slices.Delete(list, i, i+1)
	}
	s.Reactions = list
}

// Stands returns the message as the event "message" shows it now: with the text of its
// last edit, and with "edited" and "reactions" if it has them. If nothing changed the
// message, the returned entry shares its bytes.
func (s Standing) Stands() Entry {
	if s.Edited == 0 && len(s.Reactions) == 0 || !bytes.HasSuffix(s.Raw, []byte{'}'}) {
		return s.Entry
	}
	b := make([]byte, 0, len(s.Raw)+len(s.Text)+64+64*len(s.Reactions))
	b = append(b, s.withText()...)
	b = b[:len(b)-1]
	if s.Edited != 0 {
		b = append(b, `,"edited":`...)
		b = strconv.AppendInt(b, s.Edited, 10)
	}
	if len(s.Reactions) > 0 {
		b = append(b, `,"reactions":[`...)
		for i, r := range s.Reactions {
			if i > 0 {
				b = append(b, ',')
			}
			b = r.append(b)
		}
		b = append(b, ']')
	}
	e := s.Entry
	e.Raw = append(b, '}')
	return e
}

func (r Reaction) append(b []byte) []byte {
	b = append(b, `{"emoji":`...)
	b = AppendString(b, r.Emoji)
	b = append(b, `,"count":`...)
	b = strconv.AppendInt(b, int64(r.Count), 10)
	b = append(b, `,"users":[`...)
	for i, id := range r.Users {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendString(b, id)
	}
	return append(b, "]}"...)
}

// withText returns the entry's JSON with the text of the last edit.
func (s Standing) withText() []byte {
	if s.Edited == 0 {
		return s.Raw
	}
	from, to, ok := member(s.Raw, "text")
	if !ok {
		return s.Raw
	}
	return slices.Concat(s.Raw[:from], s.Text, s.Raw[to:])
}

// member finds the value of a member of a JSON object: object[from:to].
func member(object []byte, name string) (from, to int, ok bool) {
	d := jsontext.NewDecoder(bytes.NewReader(object))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return 0, 0, false
	}
	for {
		t, err := d.ReadToken()
		if err != nil || t.Kind() != '"' { // the end of the object
			return 0, 0, false
		}
		found := t.String() == name
		v, err := d.ReadValue()
		if err != nil {
			return 0, 0, false
		}
		if found {
			to = int(d.InputOffset())
			return to - len(v), to, true
		}
	}
}

// Stand folds a whole log, oldest entry first, into its messages as they stand.
func Stand(log []Entry) []Standing {
	var list []Standing
	for _, e := range log {
		m, changes := e.Modification()
		if !changes {
			list = append(list, Standing{Entry: e})
			continue
		}
		i := slices.IndexFunc(list, func(s Standing) bool { return s.ID == m.Target })
		switch {
		case i < 0:
		case m.Kind == Delete:
			list = slices.Delete(list, i, i+1)
		default:
			list[i].Fold(m)
		}
	}
	return list
}

// PageOf returns a page of a whole log: its newest n messages before an id, or of all
// if the id is zero. Logs in memory use it.
func PageOf(log []Entry, before ID, n int) Page {
	var p Page
	if len(log) > 0 {
		p.Head = log[len(log)-1]
	}
	p.List = slices.DeleteFunc(Stand(log), func(s Standing) bool { return !before.IsZero() && s.ID.Seq >= before.Seq })
	if over := len(p.List) - n; over > 0 {
		p.List, p.More = p.List[over:], true
	}
	return p
}
