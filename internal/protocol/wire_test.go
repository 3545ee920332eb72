package protocol

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// clientCommands holds one struct of each command, with all of its fields set.
var clientCommands = []ClientCommand{
	HelloCommand{Name: "Ann", Token: "t", Auth: "a", Join: map[string]string{"lobby": "5-1", "other": ""}},
	JoinCommand{Room: "lobby", After: "5-1"},
	LeaveCommand{Room: "lobby"},
	SendCommand{Room: "lobby", Text: "hello", Key: "k"},
	EditCommand{Room: "lobby", Target: "5-1", Text: "hello", Key: "k"},
	DeleteCommand{Room: "lobby", Target: "5-1", Key: "k"},
	ReactCommand{Room: "lobby", Target: "5-1", Emoji: "👍", On: true, Key: "k"},
	HistoryCommand{Room: "lobby", Before: "5-1", Limit: 20},
	TypingCommand{Room: "lobby"},
	RoomsCommand{After: "x"},
	MembersCommand{Room: "lobby"},
	RenameCommand{Name: "Ann"},
	ModerateCommand{Action: Mute, Room: "lobby", User: "u", Seconds: 5, Reason: "noise"},
	PingCommand{},
}

// eventStructs holds the zero struct of each event by its name.
var eventStructs = map[string]any{
	WelcomeName: WelcomeEvent{}, JoinedName: JoinedEvent{}, LeftName: LeftEvent{}, SentName: SentEvent{}, MessageName: MessageEvent{},
	History: HistoryEvent{}, Typing: TypingEvent{}, PresenceName: PresenceEvent{}, RenamedName: RenamedEvent{}, Rooms: RoomsEvent{},
	Members: MembersEvent{}, NodesName: NodesEvent{}, StatusName: StatusEvent{}, ResetName: ResetEvent{}, ModeratedName: ModeratedEvent{},
	PongName: PongEvent{}, ErrorName: ErrorEvent{},
}

// jsonFields returns the JSON names of a struct's fields in their order, each with
// whether it is optional.
func jsonFields(v any) (names []string, optional map[string]bool) {
	optional = make(map[string]bool)
	typ := reflect.TypeOf(v)
	for i := range typ.NumField() {
		name, options, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
		optional[name] = options != ""
	}
	return names, optional
}

// TestCommandsAreReadAsTheyAreWritten checks for each command that the fields which the
// decoder reads are those of its struct, that the optional ones can be left out, and
// that the required ones can't.
func TestCommandsAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	if len(clientCommands) != len(fields) {
		t.Errorf("%d structs for %d commands", len(clientCommands), len(fields))
	}
	for _, c := range clientCommands {
		names, optional := jsonFields(c)
		var read []string
		for _, f := range fields[c.Type()] {
			read = append(read, f.name)
		}
		sorted := slices.Sorted(slices.Values(names))
		if slices.Sort(read); !slices.Equal(sorted, read) {
			t.Errorf("%s is written with %v and read with %v", c.Type(), sorted, read)
		}
		frame, err := EncodeCommand(c, "r1")
		if err != nil {
			t.Fatal(err)
		}
		got, bad := DecodeFrame(frame)
		if room, key := c.Subject(); bad != nil || got.Type != c.Type() || string(got.Ref) != `"r1"` || got.Room != room || got.Key != key {
			t.Errorf("%s became %+v: %v", frame, got, bad)
		}
		for _, name := range names {
			var object map[string]jsontext.Value
			if err := json.Unmarshal(frame, &object); err != nil {
				t.Fatal(err)
			}
			delete(object, name)
			without, err := json.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			// The length of a text is the node's to judge, and so is a mute's user.
			_, bad := DecodeFrame(without)
			if name != "text" && name != "user" && (bad == nil) != optional[name] {
				t.Errorf("%s: %v", without, bad)
			}
		}
	}
}

// TestAReactionIsTakenBack checks that "on" is written where it is false.
func TestAReactionIsTakenBack(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{true, false} {
		frame, err := EncodeCommand(ReactCommand{Room: "lobby", Target: "5-1", Emoji: "👍", On: on, Key: "k"}, "")
		if err != nil {
			t.Fatal(err)
		}
		if c, bad := DecodeFrame(frame); bad != nil || c.On != on {
			t.Errorf("%s became %+v, %v", frame, c, bad)
		}
	}
	if frame, err := EncodeCommand(PingCommand{}, ""); err != nil || string(frame) != `{"type":"ping"}` {
		t.Errorf("%s, %v", frame, err)
	}
}

// TestEventsAreReadAsTheyAreWritten decodes every golden event into its struct, which
// must know all of its fields, and encodes it again.
func TestEventsAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, e := range goldenEvents() {
		zero, known := eventStructs[e.Name]
		if !known {
			t.Errorf("%s has no struct", e.Name)
			continue
		}
		into := reflect.New(reflect.TypeOf(zero))
		if err := json.Unmarshal(e.Body, into.Interface(), json.RejectUnknownMembers(true)); err != nil {
			t.Errorf("%s: %v", e.Body, err)
		}
		again, err := json.Marshal(into.Elem().Interface())
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]jsontext.Value
		if err := json.Unmarshal(e.Body, &fields); err != nil {
			t.Fatal(err)
		}
		for name := range fields {
			seen[e.Name+" "+name] = true
		}
		// A reaction's false and 0 are written by Draft.Entry alone.
		body := bytes.Replace(bytes.Replace(e.Body, []byte(`"count":0,"key"`), []byte(`"key"`), 1), []byte(`"on":false,`), nil, 1)
		if !bytes.Equal(body, again) {
			t.Errorf("%s became %s", body, again)
		}
	}
	for name, v := range eventStructs {
		names, _ := jsonFields(v)
		for _, field := range names {
			if !seen[name+" "+field] {
				t.Errorf("no golden event %s has the field %s", name, field)
			}
		}
	}
}
