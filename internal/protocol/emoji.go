package protocol

import "unicode"

// maxEmojiBytes bounds one emoji: the longest family of the Unicode charts has
// 25 bytes, a flag of tags 28.
const maxEmojiBytes = 32

// pictures are the code points that begin an emoji (UTS #51, Emoji), but for
// flags' letters and what needs a keycap; whole blocks where most of them do.
var pictures = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0xa9, 0xa9, 1}, {0xae, 0xae, 1}, {0x203c, 0x203c, 1}, {0x2049, 0x2049, 1}, {0x2122, 0x2122, 1}, {0x2139, 0x2139, 1},
		{0x2194, 0x2199, 1}, {0x21a9, 0x21aa, 1}, {0x231a, 0x231b, 1}, {0x2328, 0x2328, 1}, {0x23cf, 0x23cf, 1},
		{0x23e9, 0x23f3, 1}, {0x23f8, 0x23fa, 1}, {0x24c2, 0x24c2, 1}, {0x25aa, 0x25ab, 1}, {0x25b6, 0x25b6, 1},
		{0x25c0, 0x25c0, 1}, {0x25fb, 0x25fe, 1}, {0x2600, 0x27bf, 1}, {0x2934, 0x2935, 1}, {0x2b05, 0x2b07, 1},
		{0x2b1b, 0x2b1c, 1}, {0x2b50, 0x2b50, 1}, {0x2b55, 0x2b55, 1}, {0x3030, 0x3030, 1}, {0x303d, 0x303d, 1},
		{0x3297, 0x3297, 1}, {0x3299, 0x3299, 1},
	},
	R32:         []unicode.Range32{{0x1f000, 0x1f1e5, 1}, {0x1f200, 0x1faff, 1}},
	LatinOffset: 2,
}

// Emoji reports whether s is one emoji, by the grammar of UTS #51 (ED-17 and its
// regular expression): so that nothing else can stand where reactions are drawn.
func Emoji(s string) bool {
	if s == "" || len(s) > maxEmojiBytes {
		return false
	}
	rest := []rune(s)
	for {
		n := emojiElement(rest)
		if n == 0 {
			return false
		}
		rest = rest[n:]
		if len(rest) == 0 {
			return true
		}
		if rest[0] != '\u200d' { // ZERO WIDTH JOINER
			return false
		}
		rest = rest[1:]
	}
}

// emojiElement is how many runes the first element of a joined emoji has; 0 where
// there is none.
func emojiElement(s []rune) int {
	at := func(i int) rune {
		if i < len(s) {
			return s[i]
		}
		return 0
	}
	isFlag := func(r rune) bool { return 0x1f1e6 <= r && r <= 0x1f1ff }
	switch r := at(0); {
	case isFlag(r) && isFlag(at(1)):
		return 2
	case r == '#' || r == '*' || '0' <= r && r <= '9':
		if at(1) == 0xfe0f && at(2) == 0x20e3 { // COMBINING ENCLOSING KEYCAP
			return 3
		}
		return 0
	case !unicode.Is(pictures, r):
		return 0
	}
	switch r := at(1); {
	case 0x1f3fb <= r && r <= 0x1f3ff: // a skin's tone
		return 2
	case r == 0xfe0f: // VARIATION SELECTOR-16
		return 2
	case 0xe0020 <= r && r <= 0xe007e: // tags, as of Scotland's flag
		n := 1
		for 0xe0020 <= at(n) && at(n) <= 0xe007e {
			n++
		}
		if at(n) != 0xe007f {
			return 0
		}
		return n + 1
	}
	return 1
}
