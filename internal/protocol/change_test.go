package protocol

import (
	"strings"
	"testing"
)

func TestAnEmojiIsOneAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"👍", "👍🏽", "❤️", "❤", "🇩🇪", "1️⃣", "👩‍👩‍👧‍👦", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🏳️‍🌈", "☺️", "🧑🏿‍🚀", "⭐", "🫠"} {
		if !Emoji(s) {
			t.Errorf("%q was refused", s)
		}
	}
	for _, s := range []string{"", "a", "1", "#", "👍👍", "👍 ", "👍a", "\u200d", "👍\u200d", "\u202e", "\ufe0f", "🇩", "👍\u0301", "<b>", "\x00",
		"👍\xff", "🏴\U000e0067", strings.Repeat("👍\u200d", 100) + "👍"} {
		if Emoji(s) {
			t.Errorf("%q was taken for an emoji", s)
		}
	}
}

func TestEditsDeletionsAndReactionsAreDecoded(t *testing.T) {
	t.Parallel()
	for frame, want := range map[string]Command{
		`{"type":"edit","room":"lobby","key":"k","target":"5-1","text":"x"}`:              {Type: Edit, Room: "lobby", Key: "k", Target: ID{5, 1}, Text: "x"},
		`{"type":"delete","room":"lobby","key":"k","target":"5-1","text":7}`:              {Type: Delete, Room: "lobby", Key: "k", Target: ID{5, 1}},
		`{"type":"react","room":"lobby","key":"k","target":"5-1","emoji":"👍","on":true}`:  {Type: React, Room: "lobby", Key: "k", Target: ID{5, 1}, Emoji: "👍", On: true},
		`{"type":"react","room":"lobby","key":"k","target":"5-1","emoji":"👍","on":false}`: {Type: React, Room: "lobby", Key: "k", Target: ID{5, 1}, Emoji: "👍"},
	} {
		c, err := DecodeFrame([]byte(frame))
		if err != nil || c.Type != want.Type || c.Target != want.Target || c.Text != want.Text || c.Emoji != want.Emoji || c.On != want.On || c.Key != want.Key {
			t.Errorf("%s became %+v, %v", frame, c, err)
		}
	}
	for _, rest := range []string{
		`"type":"edit","text":"x"`, `"type":"delete","target":""`, `"type":"delete","target":"x"`, `"type":"delete","target":5`,
		`"type":"react","target":"5-1","emoji":"👍"`, `"type":"react","target":"5-1","emoji":"👍","on":1`, `"type":"react","target":"5-1","emoji":"ab","on":true`,
		`"type":"react","target":"5-1","on":true`,
	} {
		if c, err := DecodeFrame([]byte(`{"room":"lobby","key":"k",` + rest + `}`)); err == nil || err.Code != CodeBadField || c.Key != "k" {
			t.Errorf("%s became %+v, %v", rest, c, err)
		}
	}
}

// A text, a name or a key can't make a message look like a deletion, and what changes a
// message is decoded whatever it holds.
func TestAnEntrysKindCantBeForged(t *testing.T) {
	t.Parallel()
	evil := `},"kind":"delete","target":"5-1","text":"`
	e := Message(User{ID: "u", Name: evil}, evil, evil+"},", "n").Entry(ID{6, 2}, "lobby", 0)
	if m, ok := e.Modification(); ok || !e.IsMessage() || e.Kind != "" || !e.Target.IsZero() || e.Key != evil || e.Author != "u" {
		t.Errorf("%+v is a modification: %+v", e, m)
	}
	for _, kind := range []string{Edit, Delete, React} {
		d := Command{Type: kind, Target: ID{5, 1}, Text: evil, Emoji: "👍", Key: evil}.Change(User{ID: "u", Name: evil}, "n", false)
		e := d.Entry(ID{6, 2}, "lobby", 5)
		m, ok := e.Modification()
		if !ok || m.Kind != kind || m.Target != (ID{5, 1}) || m.User != "u" || kind == React && (m.Count != 5 || m.Emoji != "👍") {
			t.Errorf("%s is %+v", e.Raw, m)
		}
	}
}

// An edit replaces the text of the message and nothing that looks like it.
func TestAnEditReplacesTheTextAlone(t *testing.T) {
	t.Parallel()
	evil := `"},"text":"x","text":`
	e := Message(User{ID: "u", Name: evil}, evil, "old "+evil, evil).Entry(ID{6, 2}, "lobby", 0)
	shown := Standing{Entry: e, Edited: 7, Text: AppendString(nil, "new "+evil)}.Stands()
	want := Message(User{ID: "u", Name: evil}, evil, "new "+evil, evil).Entry(ID{6, 2}, "lobby", 0)
	if got := string(shown.Raw); got != string(want.Raw[:len(want.Raw)-1])+`,"edited":7}` || shown.Key != evil {
		t.Errorf("it shows %s", got)
	}
	// In whatever order the fields stand.
	s := Standing{Entry: Entry{ID: e.ID, Raw: []byte(`{"user":{"text":"a"},"text": "b","x":["text"]}`)}, Edited: 7, Text: []byte(`"c"`)}
	if got := string(s.Stands().Raw); got != `{"user":{"text":"a"},"text": "c","x":["text"],"edited":7}` {
		t.Errorf("it shows %s", got)
	}
}

// Emoji that look the same are one: variation selectors split no reactions.
func TestVariationSelectorsSplitNoReactions(t *testing.T) {
	for want, all := range map[string][]string{
		"❤\ufe0f":         {"❤", "❤\ufe0f"},
		"👍":               {"👍", "👍\ufe0f"},
		"👍🏽":              {"👍🏽"},
		"✌🏽":              {"✌🏽"},
		"1\ufe0f\u20e3":   {"1\ufe0f\u20e3"},
		"❤\ufe0f\u200d🔥":  {"❤\u200d🔥", "❤\ufe0f\u200d🔥"},
		"🤷🏽\u200d♂\ufe0f": {"🤷🏽\u200d♂", "🤷🏽\u200d♂\ufe0f"},
		"🧑🏻\u200d❤\u200d💋\u200d🧑🏼": {"🧑🏻\u200d❤\u200d💋\u200d🧑🏼"}, // 35 bytes with its selector
		"🇩🇪": {"🇩🇪"},
	} {
		for _, emoji := range all {
			c, err := DecodeFrame([]byte(`{"type":"react","room":"lobby","key":"k","target":"5-1","emoji":"` + emoji + `","on":true}`))
			if err != nil || c.Emoji != want {
				t.Errorf("%+q became %+q (%v), not %+q", emoji, c.Emoji, err, want)
			}
		}
	}
}

func FuzzEmoji(f *testing.F) {
	f.Add("👩‍👩‍👧‍👦")
	f.Add("1️⃣")
	f.Fuzz(func(t *testing.T, s string) {
		if Emoji(s) && (len(s) > maxEmojiBytes || strings.ContainsAny(s, "<>&\"'\\ \n\u202e")) {
			t.Errorf("%q was taken for an emoji", s)
		}
		if !Emoji(s) {
			return
		}
		once := FoldEmoji(s)
		if !Emoji(once) || FoldEmoji(once) != once {
			t.Errorf("%+q is folded to %+q, and that to %+q", s, once, FoldEmoji(once))
		}
	})
}
