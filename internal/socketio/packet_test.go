package socketio

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// parsed maps texts to what Parse returns for them; "" for an error.
var parsed = map[string]string{
	`0`:                                      `0 / id=- 0 "" [] `,
	`0{"token":"123"}`:                       `0 / id=- 0 "" [] {"token":"123"}`,
	`0/custom`:                               `0 /custom id=- 0 "" [] `,
	`0/custom,`:                              `0 /custom id=- 0 "" [] `,
	`0/custom,{"a":1}`:                       `0 /custom id=- 0 "" [] {"a":1}`,
	`1`:                                      `1 / id=- 0 "" [] `,
	`1/admin,`:                               `1 /admin id=- 0 "" [] `,
	`2["foo"]`:                               `2 / id=- 0 "foo" [] `,
	`2["foo",1,"2",{"3":[true]}]`:            `2 / id=- 0 "foo" [1 "2" {"3":[true]}] `,
	` 2["foo"]`:                              ``,
	`2 [ "foo" , 1 ] `:                       `2 / id=- 0 "foo" [1] `,
	`2/a,12["foo"]`:                          `2 /a id=12 0 "foo" [] `,
	`2007["foo"]`:                            `2 / id=7 0 "foo" [] `,
	`2123456789012345["foo"]`:                `2 / id=123456789012345 0 "foo" [] `,
	`21234567890123456["foo"]`:               ``,
	`2[3,"a"]`:                               `2 / id=- 0 "3" ["a"] `,
	`2["\ud83d"]`:                            `2 / id=- 0 "�" [] `,
	`2["",1]`:                                `2 / id=- 0 "" [1] `,
	`313[]`:                                  `3 / id=13 0 "" [] `,
	`313["ok",{"a":1,"a":2}]`:                `3 / id=13 0 "" ["ok" {"a":1,"a":2}] `,
	`51-["a",{"_placeholder":true,"num":0}]`: `5 / id=- 1 "a" [{"_placeholder":true,"num":0}] `,
	`52-/x,7["a",{"b":[{"num":1,"_placeholder":true}]}]`: `5 /x id=7 2 "a" [{"b":[{"num":1,"_placeholder":true}]}] `,
	`61-8[{"_placeholder":true,"num":0}]`:                `6 / id=8 1 "" [{"_placeholder":true,"num":0}] `,
	`51-["a",{"_placeholder":false,"num":9}]`:            `5 / id=- 1 "a" [{"_placeholder":false,"num":9}] `,
	`51-["a",{"_placeholder":"true","num":9}]`:           `5 / id=- 1 "a" [{"_placeholder":"true","num":9}] `,

	``: ``, `7["a"]`: ``, `abc`: ``, `9`: ``, "\x1e": ``,
	`0[]`: ``, `0"a"`: ``, `0null`: ``, `0{`: ``, `0{}{}`: ``, "0/a\x1eb,": ``,
	`1{}`: ``, `1[]`: ``, `4{"message":"a"}`: `4 / id=- 0 "" [] {"message":"a"}`, `4`: ``,
	`2`: ``, `2{}`: ``, `2[]`: ``, `2[{}]`: ``, `2[null]`: ``, `2["a"`: ``, `2["a"]]`: ``, `2["a"],`: ``, `2["a",]`: ``, `2"a"`: ``,
	`2abc["a"]`: ``, `2-1["a"]`: ``, `2["a"]x`: ``,
	`3[]`: ``, `31`: ``, `31{}`: ``, `3["a"]`: ``,
	`5["a"]`: ``, `50-["a"]`: ``, `5-["a"]`: ``, `5a-["a"]`: ``, `5+1-["a"]`: ``, `51["a"]`: ``, `511-["a"]`: ``, `510000-["a"]`: ``, `51e0-["a"]`: ``,
	`51-["a",{"_placeholder":true,"num":1}]`:           ``,
	`51-["a",{"_placeholder":true,"num":-1}]`:          ``,
	`51-["a",{"_placeholder":true,"num":0.5}]`:         ``,
	`51-["a",{"_placeholder":true,"num":"0"}]`:         ``,
	`51-["a",{"_placeholder":true}]`:                   ``,
	`51-["a",[[{"x":{"num":7,"_placeholder":true}}]]]`: ``,
	`2["connect"]`: ``, `2["connect_error"]`: ``, `2["disconnect"]`: ``, `2["disconnecting",1]`: ``,
	`2["newListener"]`: ``, `2["removeListener"]`: ``, `2["__proto__"]`: ``, `2["\u0063onnect"]`: ``, `51-["disconnect"]`: ``,
	`2` + strings.Repeat("1", 1000) + `["a"]`:                                ``,
	`0/` + strings.Repeat("n", 1000):                                         ``,
	`2["a"` + strings.Repeat(",1", 1001) + `]`:                               ``,
	`2["a",` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `]`: ``,
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range parsed {
		p, err := Parse([]byte(text), Limits{})
		got := ""
		if err == nil {
			id := "-"
			if p.HasID {
				id = fmt.Sprint(p.ID)
			}
			got = fmt.Sprintf("%c %s id=%s %d %q %s %s", p.Type, p.Namespace, id, p.Attachments, p.Name, p.Args, string(p.Data))
		}
		if got != want {
			t.Errorf("%.60q:\nwant %s\ngot  %s", text, want, got)
		}
	}
}

func TestLimitsOfPackets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text   string
		limits Limits
	}{
		{`51-["a"]`, Limits{Attachments: -1}},
		{`53-["a"]`, Limits{Attachments: 2}},
		{`2123["a"]`, Limits{AckDigits: 2}},
		{`2["a",1,2]`, Limits{Args: 1}},
		{`0/abc`, Limits{Namespace: 3}},
	} {
		if _, err := Parse([]byte(c.text), c.limits); err == nil {
			t.Errorf("%s with %+v: accepted", c.text, c.limits)
		}
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	text := func(e *Encoded, err error) string {
		t.Helper()
		if err != nil {
			return err.Error()
		}
		return string(e.Text())
	}
	if got := text(EncodeEvent("/", "a", 1, "2", map[string]any{"3": []bool{true}})); got != `2["a",1,"2",{"3":[true]}]` {
		t.Error(got)
	}
	if got := text(EncodeEvent("/n", "a", []byte{1}, map[string][]byte{"x": {2}})); got !=
		`52-/n,["a",{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":1}}]` {
		t.Error(got)
	}
	if got := text(EncodeRaw("/", `a"b`, []jsontext.Value{jsontext.Value(`{"x": 1}`)}, nil), nil); got != `2["a\"b",{"x": 1}]` {
		t.Error(got)
	}
	if _, err := EncodeEvent("/", "connect"); err == nil {
		t.Error("a reserved name was accepted")
	}
	if _, err := EncodeEvent("/", "a", func() {}); err == nil {
		t.Error("a function was accepted as JSON")
	}
}

func TestAttachment(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]int{
		`{"_placeholder":true,"num":0}`:                 0,
		` {"num":3,"_placeholder":true} `:               3,
		`{"x":[{}],"num":3,"y":{},"_placeholder":true}`: 3,
		`{"_placeholder":false,"num":3}`:                -1,
		`{"_placeholder":true}`:                         -1,
		`[{"_placeholder":true,"num":0}]`:               -1,
		`1`:                                             -1,
		`{"_placeholder":`:                              -1,
	} {
		if n, ok := Attachment(jsontext.Value(arg)); ok != (want >= 0) || ok && n != want {
			t.Errorf("%s: got %d %v", arg, n, ok)
		}
	}
}

// FuzzParse parses any bytes. There must be no panic, and a packet must stay the same when it
// is encoded and parsed again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		`0/custom,{"token":"abc"}`, `1/x,`, `2/a,12["foo",1,{"b":[2]}]`, `313["ok"]`, `4{"message":"no"}`,
		`52-/x,7["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, `61-8[{"_placeholder":true,"num":0}]`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(data, Limits{})
		if err != nil {
			return
		}
		text := p.appendText(nil)
		again, err := Parse(text, Limits{})
		if err != nil {
			t.Fatalf("%q was encoded as %q, which is not a packet", data, text)
		}

		if fmt.Sprintf("%+v", p) != fmt.Sprintf("%+v", again) {
			t.Fatalf("%q was encoded and parsed as %+v, not %+v", data, again, p)
		}
		for _, arg := range p.Args {
			if n, ok := Attachment(arg); p.Attachments > 0 && ok && n >= p.Attachments {
				t.Fatalf("%q has a placeholder out of range", data)
			}
		}
	})
}
