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

// A text, a name or a key can't make a message look like a deletion.
func TestAnEntrysKindCantBeForged(t *testing.T) {
	t.Parallel()
	evil := `},"kind":"delete","target":"5-1","text":"`
	raw := AppendEntry(nil, ID{6, 2}, "lobby", Message(User{ID: "u", Name: evil}, evil, evil+"},", "n"), 0)
	if kind, target := (Entry{Raw: raw}).Change(); kind != "" || !target.IsZero() {
		t.Errorf("%s is a %q of %v", raw, kind, target)
	}
	for _, kind := range []string{Edit, Delete, React} {
		d := Command{Type: kind, Target: ID{5, 1}, Text: evil, Emoji: "👍", Key: evil}.Change(User{ID: "u", Name: evil}, "n", false)
		raw := AppendEntry(nil, ID{6, 2}, "lobby", d, 5)
		if got, target := (Entry{Raw: raw}).Change(); got != kind || target != (ID{5, 1}) {
			t.Errorf("%s is a %q of %v", raw, got, target)
		}
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
