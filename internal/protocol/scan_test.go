package protocol

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// A text with half an emoji in it was refused by an error that named neither its
// ref nor its key: the client sent it again for ever, and everything behind it
// waited. An error names what it is about as far as that can be read.
func TestAnErrorNamesWhatItIsAbout(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		frame string
		code  Code
		named string // ref room key
	}{
		{`{"type":"send","ref":"r","room":"Lobby","key":"k","text":5}`, CodeBadField, `"r" lobby k`},
		{`{"text":[{"room":"x"}],"type":"send","ref":-7,"room":"lobby","key":"k"}`, CodeBadField, `-7 lobby k`},
		{`{"type":"send","room":5,"key":"k","ref":1}`, CodeBadField, `1  k`},
		{`{"type":"send","room":"a b","key":"k","ref":1}`, CodeBadRoom, `1 a b k`},
		{`{"type":"send","room":"` + strings.Repeat("a", 300) + `","key":"k"}`, CodeBadRoom, `  k`},
		{`{"type":"send","room":"r","key":"` + strings.Repeat("k", 65) + `"}`, CodeBadField, ` r ` + strings.Repeat("k", 65)},
		{`{"type":"send","room":"r","key":"k","ref":{}}`, CodeBadField, ` r k`},
		{`{"type":"send","room":"r","key":"k\ud83d","ref":1,"text":"x"}`, CodeBadField, "1 r k\ufffd"},
		{`{"type":"join","room":"r\ud83d","ref":1}`, CodeBadRoom, "1 r\ufffd "},
		{`{"type":"dance","room":"r","key":"k","ref":1}`, CodeUnknownType, `1 r k`},
		{`{"room":"r","key":"k","ref":1}`, CodeUnknownType, `1 r k`},
		// What is no JSON is read as far as it goes.
		{`{"type":"send","ref":1,"room":"r","key":"k","text":"cut o`, CodeBadJSON, `1 r k`},
		{`{"type":"send","text":"a` + "\n" + `b","ref":1,"room":"r","key":"k"}`, CodeBadJSON, `1 r k`},
		{`{"type":"send","text":"\x41 \" }","ref":1,"room":"r","key":"k"}`, CodeBadJSON, `1 r k`},
		{`{"type":"send","text":yes,"ref" : 1 , "room":"r" ,"key":"k" , }`, CodeBadJSON, `1 r k`},
		{`{"type":"send","x":{"a":[1,"]"]},"ref":1,"room":"r","key":"k"} {}`, CodeBadJSON, `1 r k`},
		{`{"type":"send","ref":1,"room":"r","key":"a","key":"b"}`, CodeBadJSON, `1 r `},
		{`{"type":"send","ref":1,"room":"r","key":"k","text":"a","text":"b"}`, CodeBadJSON, `1 r k`},
		{"{\"type\":\"send\",\"ref\":1,\"room\":\"r\",\"key\":\"k\",\"text\":\"\xff\"}", CodeBadJSON, `1 r k`},
		{`not JSON`, CodeBadJSON, `  `},
		{`["room","r"]`, CodeBadJSON, `  `},
	} {
		got, err := DecodeFrame([]byte(c.frame))
		named := string(got.Ref) + " " + got.Room + " " + got.Key
		if err == nil || err.Code != c.code || named != c.named || got.Text != "" {
			t.Errorf("%.90s: %q, %v, want %q", c.frame, named, err, c.named)
		}
	}
}

// Half a surrogate pair becomes U+FFFD in a text, as String.toWellFormed does.
func TestTextsAreMadeWellFormed(t *testing.T) {
	t.Parallel()
	for frame, want := range map[string]string{
		`"a \ud83d"`: "a \ufffd", `"\ude42b"`: "\ufffdb", `"\ud83d\ude42"`: "🙂", `"\ud83d\u0041"`: "\ufffdA", `"\ud83d\ud83d\ude42"`: "\ufffd🙂",
	} {
		for _, command := range []string{`"type":"send"`, `"type":"edit","target":"5-1"`} {
			c, err := DecodeFrame([]byte(`{` + command + `,"room":"r","key":"k","text":` + frame + `,"other":"\udfff"}`))
			if err != nil || c.Text != want || Text(c.Text, 100) != nil {
				t.Errorf("%s became %q, %v", frame, c.Text, err)
			}
		}
	}
}

// So does half a surrogate pair in a ref: the answer stays one that strict readers take.
func TestARefIsMadeWellFormed(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]string{`"r\ud83d"`: "\"r\ufffd\"", `"\ude42\"b"`: "\"\ufffd\\\"b\"", `"\ud83d\ude42"`: `"\ud83d\ude42"`} {
		c, err := DecodeFrame([]byte(`{"type":"ping","ref":` + ref + `}`))
		if err != nil || string(c.Ref) != want || !c.Ref.IsValid() {
			t.Errorf("%s became %s, %v", ref, c.Ref, err)
		}
	}
	if _, err := DecodeFrame([]byte(`{"type":"ping","ref":"` + strings.Repeat(`\ud83d`, MaxRefLen+1) + `"}`)); err == nil {
		t.Error("a ref that is too long is taken")
	}
}

func FuzzNameOf(f *testing.F) {
	f.Add([]byte(`{"type":"send","ref":1,"room":"r","key":"k","text":"\ud83d`))
	f.Add([]byte(`{"ke\u0079":"k","type":"ping"}`))
	f.Add([]byte(`{"a":[{"b":"]"}],"key":"k"`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got := NameOf("", data)
		if !utf8.ValidString(got.Room) || !utf8.ValidString(got.Key) || len(got.Room) > maxNamed || len(got.Key) > maxNamed {
			t.Errorf("%q became %+v", data, got)
		}
		if got.Ref != nil && !json.Valid(Pong().WithRef(got.Ref).AppendFrame(nil)) {
			t.Errorf("%q: the ref %q breaks the answer", data, got.Ref)
		}
		// Of what a strict reader takes, this one reads the same.
		if c, err := DecodeFrame(data); err == nil && (string(c.Ref) != string(got.Ref) || c.Room != "" && c.Room != got.Room || c.Key != "" && c.Key != got.Key) {
			t.Errorf("%q became %+v, and is %+v", data, got, c)
		}
	})
}
