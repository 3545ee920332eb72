package protocol

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestIDsAreReadInOneForm(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"1764000000000-17", "0-1", "1-0", "999999999999999-999999999999999"} {
		if id, err := ParseID(s); err != nil || id.String() != s {
			t.Errorf("%q became %q, %v", s, id, err)
		}
	}
	for _, s := range []string{"", "-", "1", "1-", "-1", "1-1-1", "01-1", "1-01", "+1-1", "1--1", " 1-1", "1-1 ", "1-1\n", "1e3-1", "0x1-1",
		"1-1000000000000000", "٣-1", "1-" + strings.Repeat("9", 30)} {
		if id, err := ParseID(s); err == nil {
			t.Errorf("%q was taken for %v", s, id)
		}
	}
	if (ID{}).String() != "" || !(ID{}).IsZero() {
		t.Error("the zero id is not empty")
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("1764000000000-17")
	f.Add("1-")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseID(s); err == nil && !id.IsZero() && id.String() != s {
			t.Errorf("%q became %q", s, id)
		}
	})
}

func TestRoomNames(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"lobby": "lobby", "LoBBy-9_.x": "lobby-9_.x", "-": "-", "a": "a", strings.Repeat("a", 64): strings.Repeat("a", 64)} {
		if got, err := Room(s); err != nil || got != want {
			t.Errorf("%q became %q, %v", s, got, err)
		}
	}
	// The Kelvin sign folds to k elsewhere: not here.
	for _, s := range []string{"", ".", ".a", "a b", "a:b", "a{b}", "a*", "a\n", "../a", "ä", "\u212a", "a\x00", strings.Repeat("a", 65)} {
		if got, err := Room(s); err == nil || err.Code != CodeBadRoom {
			t.Errorf("%q became %q, %v", s, got, err)
		}
	}
}

func TestUserNames(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"Ann": "Ann", "  Ann \t": "Ann", "Ann B. O-C_9": "Ann B. O-C_9", "e\u0301": "é", "李小龙": "李小龙", "عمر": "عمر",
		"हिन्दी": "हिन्दी", strings.Repeat("é", 32): strings.Repeat("é", 32), strings.Repeat("e\u0301", 32): strings.Repeat("é", 32), "٣": "٣",
	} {
		if got, err := Name(s); err != nil || got != want {
			t.Errorf("%q became %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"", " ", "\u00a0", "a  b", "a\tb", "a\nb", "a\u00a0b", "a\u202eb", "a\u200bb", "a\u200db", "a\ufe0fb", "\u3164", "a\u034fb",
		"\u0301a", "a \u0301", "😀", "<b>", "a|b", "a\x00b", "a/b", strings.Repeat("a", 33), strings.Repeat("a", 5000), "a\xff"} {
		if got, err := Name(s); err == nil || err.Code != CodeBadName {
			t.Errorf("%q became %q, %v", s, got, err)
		}
	}
	for _, same := range [][2]string{{"Ann", "aNN"}, {"Straße", "STRASSE"}, {"Ａｎｎ", "ann"}, {"\u212a", "k"}, {"é", "E\u0301"}, {"ﬁx", "FIX"}, {"Σας", "ΣΑΣ"}} {
		if FoldName(same[0]) != FoldName(same[1]) {
			t.Errorf("%q and %q are not the same", same[0], same[1])
		}
	}
	if FoldName("Ann") == FoldName("Anne") {
		t.Error("two names are the same")
	}
	for range 100 {
		if name, err := Name(GuestName()); err != nil || !strings.HasPrefix(name, "guest-") {
			t.Fatalf("%q %v", name, err)
		}
	}
}

// A name that a directory holds is shown as well as it can be.
func TestDisplayNames(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"Ann": "Ann", " Ann\t": "Ann", "O'Brien": "OʼBrien", "D’Arcy": "DʼArcy", "Müller, Hans (Sales)": "Müller Hans Sales", "ann@example.org": "ann example.org",
		"Ann\nBob": "Ann Bob", "A\u200bnn": "Ann", "\u202eAnn": "Ann", "Ann 🙂": "Ann", "🙂🙂": "", "": "", "\u0301Ann": "Ann", "a \u0301b": "a b", "a\u200b\u0301": "á",
		"李小龙/Bruce": "李小龙 Bruce", "<b>x</b>": "b x b", "-": "-", "Ann\ufffd": "Ann", "a\xffb": "a b", "\x00\x1b[31m": "31m",
		strings.Repeat("x", 40): strings.Repeat("x", 32), strings.Repeat("x", 31) + " y": strings.Repeat("x", 31), strings.Repeat("é ", 5000): strings.TrimSpace(strings.Repeat("é ", 16)),
		strings.Repeat("x", 31) + "q\u0301\u0302": strings.Repeat("x", 31), "q" + strings.Repeat("\u0301", 99): "q" + strings.Repeat("\u0301", 30),
	} {
		got := DisplayName(s)
		if got != want {
			t.Errorf("%.60q is shown as %q, want %q", s, got, want)
		}
		if name, err := Name(got); got != "" && (err != nil || name != got) {
			t.Errorf("%.60q is shown as %q, which is outside the rules: %v", s, got, err)
		}
	}
}

func FuzzDisplayName(f *testing.F) {
	f.Add("Müller, Hans\u0301")
	f.Fuzz(func(t *testing.T, s string) {
		got := DisplayName(s)
		if name, err := Name(got); got != "" && (err != nil || name != got) {
			t.Errorf("%q is shown as %q, which is outside the rules: %v", s, got, err)
		}
	})
}

func TestTextsAndKeys(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]Code{
		"a": "", "a\n\tb": "", "😀x\u202e": "", strings.Repeat("é", 5): "",
		"": CodeBadField, "a\x00": CodeBadField, "a\r": CodeBadField, "\x1b[0m": CodeBadField, "a\u0085": CodeBadField, "a\x7f": CodeBadField, "\xff": CodeBadField,
		strings.Repeat("é", 6): CodeTooLong,
	} {
		if err := Text(s, 10); (err == nil) != (want == "") || err != nil && err.Code != want {
			t.Errorf("%q: %v, want %q", s, err, want)
		}
	}
	for s, good := range map[string]bool{"a": true, "a b\n\x00": true, strings.Repeat("é", 64): true, "": false, strings.Repeat("a", 65): false, strings.Repeat("a", 1<<20): false} {
		if err := Key(s); (err == nil) != good {
			t.Errorf("%.70q: %v", s, err)
		}
	}
}

func TestCommandsAreDecoded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		frame string
		want  Command
	}{
		{`{"type":"hello"}`, Command{Type: Hello}},
		{`{"type":"hello","name":"x","token":"t","auth":"a"}`, Command{Type: Hello, Name: "x", HasName: true, Token: "t", Auth: "a"}},
		{`{"type":"hello","name":null,"room":5}`, Command{Type: Hello}},
		{`{"type":"join","room":"Lobby","after":"5-3"}`, Command{Type: Join, Room: "lobby", After: At(ID{5, 3})}},
		{`{"type":"join","room":"lobby","after":""}`, Command{Type: Join, Room: "lobby"}},
		{`{"room":"r","key":"k","text":"\u00e9","type":"send","Text":1}`, Command{Type: Send, Room: "r", Key: "k", Text: "é"}},
		{`{"type":"history","room":"r"}`, Command{Type: History, Room: "r", Limit: 50}},
		{`{"type":"history","room":"r","limit":2e1,"before":"1-1"}`, Command{Type: History, Room: "r", Limit: 20, Before: At(ID{1, 1})}},
		{`{"type":"moderate","action":"mute","user":"u","seconds":5,"reason":"x"}`,
			Command{Type: Moderate, Action: Mute, User: "u", Seconds: 5, Reason: "x"}},
		{` {"type" : "ping" , "ref" : -5 } `, Command{Type: Ping, Ref: []byte("-5")}},
		{`{"type":"ping","ref":"a\"b"}`, Command{Type: Ping, Ref: []byte(`"a\"b"`)}},
		{`{"type":"ping","text":5,"room":[],"limit":{}}`, Command{Type: Ping}},
	} {
		got, err := DecodeFrame([]byte(c.frame))
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(c.want)
		if err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: %s %v, want %s", c.frame, a, err, b)
		}
	}
	if c, err := DecodeCommand("join", []byte(`{"room":"x"}`)); err != nil || c.Type != Join || c.Room != "x" {
		t.Errorf("%+v %v", c, err)
	}
}

func FuzzDecodeFrame(f *testing.F) {
	f.Add([]byte(`{"type":"send","room":"lobby","text":"x","key":"k","ref":1}`))
	f.Add([]byte(`{"type":"join","room":"a","after":"1-1"}`))
	f.Add([]byte(`{"type":"moderate","action":"ban","user":"u","seconds":1e400}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := DecodeFrame(data)
		if err != nil {
			if Codes[err.Code].Status == 0 || err.Message == "" {
				t.Errorf("an error outside of the table: %v", err)
			}
			return
		}
		if !utf8.ValidString(c.Text) || !utf8.ValidString(c.Key) || len(c.Room) > MaxRoomLen {
			t.Errorf("%q became %+v", data, c)
		}
		if c.Ref != nil && !json.Valid(Pong().WithRef(c.Ref).AppendFrame(nil)) {
			t.Errorf("%q: the ref breaks the answer", data)
		}
	})
}

// hard is text that breaks careless encoders.
const hard = "\"\\ \n\t</script>\u2028 é 😀 \u202e"

func TestEventsAreJSONWithTheirTypeFirst(t *testing.T) {
	t.Parallel()
	u := User{ID: "u", Name: hard}
	e := Message(u, hard, hard, "n").Entry(ID{5, 7}, "lobby", 0)
	for _, ev := range []Event{
		WelcomeEvent{User: u}.Event(), Joined("lobby", e.ID, true, []Entry{e, e}, true, []User{u, u}, 2, []BindingRule{{Action: Slow, Reason: hard, By: &u}}), Joined("lobby", ID{}, false, nil, false, nil, 0, nil),
		Histories("lobby", []Entry{e}, true), Left("lobby"), Sent("lobby", hard, e.ID, 5, false), e.Event(), TypingIn("lobby", u),
		Presence("lobby", []User{u}, nil, 1), Renamed(u), RoomPage{}.Event(), RoomPage{Rooms: []RoomCount{{Room: "r"}}, Next: "x"}.Event(), MemberList("lobby", nil, 0), NodeList(nil), Status(true),
		Reset("lobby", ID{}), ModeratedEvent{Action: Lock}.Event(), Pong(), ErrNotJoined.Event(),
	} {
		for _, ref := range []string{"", `"r"`, "5"} {
			with := ev
			if ref != "" {
				with = ev.WithRef([]byte(ref))
			}
			frame := with.AppendFrame(nil)
			var got map[string]any
			if err := json.Unmarshal(frame, &got); err != nil || got["type"] != ev.Name || !bytes.HasPrefix(frame, []byte(`{"type":"`)) {
				t.Errorf("%s: %v %s", ev.Name, err, frame)
			}
			if bytes.Contains(frame, []byte(":null")) {
				t.Errorf("%s holds a null: %s", ev.Name, frame)
			}
			if _, has := got["ref"]; has != (ref != "") {
				t.Errorf("%s: ref %q in %s", ev.Name, ref, frame)
			}
		}
	}
	var got struct {
		ID, Key, Text, Node, Room string
		User                      User
		Time                      int64
	}
	if err := json.Unmarshal(e.Raw, &got); err != nil || got.Text != hard || got.Key != hard || got.User != u || got.ID != "5-7" || got.Time != 5 || got.Room != "lobby" {
		t.Errorf("%v %+v", err, got)
	}
}

// Two names that differ in case alone are the same for every letter of every
// script, and folding a folded name changes nothing (Unicode 3.13, D145).
func TestEveryLetterFoldsLikeItsOtherCases(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !unicode.IsLetter(r) {
			continue
		}
		folded := FoldName(string(r))
		if again := FoldName(folded); again != folded {
			t.Errorf("%U folds to %+q, and that to %+q", r, folded, again)
		}
		if other := unicode.SimpleFold(r); FoldName(string(other)) != folded {
			t.Errorf("%U and %U are cases of one letter and fold to %+q and %+q", r, other, folded, FoldName(string(other)))
		}
	}
}
