package protocol

import (
	"math/rand/v2"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Room checks a room's name and folds it to lower case: 1–64 characters of a–z, 0–9, "-",
// "_" and ".", not starting with ".". The result is safe as part of a Redis key.
func Room(s string) (string, *Error) {
	if s == "" {
		return "", Errorf(CodeBadRoom, "name a room: 1–64 characters of a–z, 0–9, \"-\", \"_\" and \".\"")
	}
	if len(s) > MaxRoomLen {
		return "", Errorf(CodeBadRoom, "the room's name is too long: 64 characters at most")
	}
	if s[0] == '.' {
		return "", Errorf(CodeBadRoom, "a room's name can't start with \".\"")
	}
	folded := []byte(s)
	for i, c := range folded {
		switch {
		case 'A' <= c && c <= 'Z':
			folded[i] = c + 'a' - 'A'
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return "", Errorf(CodeBadRoom, "a room's name holds only a–z, 0–9, \"-\", \"_\" and \".\"")
		}
	}
	return string(folded), nil
}

// maxNameBytes bounds a name before normalisation. NFC and trimming do not make a longer
// one valid.
const maxNameBytes = 1024

// Name checks a display name and returns its normal form: NFC, without white space at the
// ends.
func Name(s string) (string, *Error) {
	if len(s) > maxNameBytes {
		return "", Errorf(CodeBadName, "the name is too long: 32 characters at most")
	}
	s = strings.TrimSpace(norm.NFC.String(s))
	if s == "" {
		return "", Errorf(CodeBadName, "the name is empty: 1–32 letters, digits, \"_\", \"-\", \".\" and single spaces")
	}
	if utf8.RuneCountInString(s) > MaxNameLen {
		return "", Errorf(CodeBadName, "the name is too long: 32 characters at most")
	}
	var before rune
	for i, r := range s {
		switch {
		case invisible(r):
			return "", Errorf(CodeBadName, "the name holds an invisible character: leave it out")
		case unicode.IsMark(r):
			if i == 0 || before == ' ' {
				return "", Errorf(CodeBadName, "a mark in a name must stand on a letter")
			}
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '_', r == '-', r == '.':
		case r == ' ':
			if before == ' ' {
				return "", Errorf(CodeBadName, "the name holds two spaces in a row: one is enough")
			}
		default:
			return "", Errorf(CodeBadName, "a name holds only letters, digits, \"_\", \"-\", \".\" and single spaces")
		}
		before = r
	}
	return s, nil
}

// DisplayName converts a name, for example from a directory, to a similar one that Name
// accepts: an apostrophe becomes U+02BC, which looks the same and is a letter; any other
// refused character becomes a space; invisible ones are removed; the result is cut to 32
// characters. It returns "" if nothing is left.
func DisplayName(s string) string {
	var kept []rune
	for _, r := range norm.NFC.String(cutBytes(s, maxNameBytes)) {
		first := len(kept) == 0 || kept[len(kept)-1] == ' '
		switch {
		case invisible(r):
			continue
		case r == '\'' || r == '’':
			r = 'ʼ'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '_', r == '-', r == '.', unicode.IsMark(r) && !first:
		case first:
			continue // spaces and marks are dropped at the start and after a space
		default:
			r = ' '
		}
		kept = append(kept, r)
		if len(kept) > MaxNameLen {
			kept = cutCharacter(kept)
			break
		}
	}
	// Name accepts it now, unless so many marks follow one letter that NFC inserts an
	// invisible joiner between them.
	for ; len(kept) > 0; kept = kept[:len(kept)-1] {
		if name, err := Name(string(kept)); err == nil {
			return name
		}
	}
	return ""
}

// cutCharacter removes the last character: a letter and its marks, or only the last mark
// if there is no other character.
func cutCharacter(s []rune) []rune {
	for n := len(s) - 1; n > 0; n-- {
		if !unicode.IsMark(s[n]) {
			return s[:n]
		}
	}
	return s[:len(s)-1]
}

// cutBytes returns the longest prefix of s of at most n bytes that ends between
// characters.
func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// invisible reports whether r draws nothing although it may be a letter or mark
// (Unicode's default ignorable code points).
func invisible(r rune) bool {
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Cf)
}

// FoldName returns the form in which display names are compared: case-folded NFKC (UAX #15,
// and section 3.13 of the Unicode standard on caseless matching).
func FoldName(name string) string {
	// A Caser may have state, so it is not shared.
	s := cases.Fold().String(norm.NFKC.String(norm.NFD.String(name)))
	return strings.Map(foldCherokee, norm.NFKC.String(s))
}

// foldCherokee maps the small letters of Cherokee to the capital ones, as Unicode's
// CaseFolding.txt does. cases.Fold swaps the two (golang.org/x/text v0.44.0).
func foldCherokee(r rune) rune {
	if unicode.Is(unicode.Cherokee, r) {
		return unicode.ToUpper(r)
	}
	return r
}

// Text checks the text of a message: not empty, at most limit bytes, valid UTF-8, no
// control characters except newline and tab.
func Text(s string, limit int) *Error {
	if s == "" {
		return Errorf(CodeBadField, "text is empty: write something")
	}
	if len(s) > limit {
		return Errorf(CodeTooLong, "the text has %d bytes: %d at most", len(s), limit)
	}
	if !utf8.ValidString(s) {
		return Errorf(CodeBadField, "text is not UTF-8")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
		return Errorf(CodeBadField, "text holds control characters: only newline and tab are allowed")
	}
	return nil
}

// Key checks a client's key: 1–64 characters of any kind.
func Key(s string) *Error {
	if s == "" {
		return Errorf(CodeBadField, "key is missing: choose one for each thing you send")
	}
	if len(s) > MaxKeyLen*utf8.UTFMax || utf8.RuneCountInString(s) > MaxKeyLen {
		return Errorf(CodeBadField, "key is too long: 64 characters at most")
	}
	return nil
}

// guestAlphabet has no characters that are easily confused.
const guestAlphabet = "abcdefghjkmnpqrstuvwxyz23456789"

// GuestName returns a random name for a guest. It may be taken already; callers then try
// another.
func GuestName() string {
	b := make([]byte, 5)
	for i := range b {
		b[i] = guestAlphabet[rand.N(len(guestAlphabet))]
	}
	return "guest-" + string(b)
}
