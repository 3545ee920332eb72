package engineio

import (
	"bytes"
	"testing"
)

// FuzzPayload splits any bytes into packets and parses them. There must be no panic, and a
// parsed packet must be encoded to the same bytes, or binary in its canonical form.
func FuzzPayload(f *testing.F) {
	f.Add([]byte("4hello\x1ebAQIDBA==\x1e2\x1e3probe"))
	f.Add([]byte("\x1e\x1eb=\x1e4\xff"))
	f.Add([]byte("bAQID\x1e1\x1e6"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := payload{data}
		count, seen := p.packets(), 0
		for more := true; more; seen++ {
			var raw []byte
			raw, more = p.next()
			k, rest, err := parsePolled(raw)
			if err != nil {
				continue
			}
			m := textPacket(k, rest)
			if k == kindBinary {
				m = Binary(rest)
			} else if !bytes.Equal(m.polled(), raw) {
				t.Fatalf("%q was encoded as %q", raw, m.polled())
			}
			k2, again, err := parsePolled(m.polled())
			if err != nil || k2 != k || !bytes.Equal(again, rest) {
				t.Fatalf("%q was encoded and parsed as %c %q, %v", raw, k2, again, err)
			}
		}
		if seen != count {
			t.Fatalf("packets counted %d, next returned %d", count, seen)
		}
	})
}
