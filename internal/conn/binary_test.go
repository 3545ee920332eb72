package conn

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// mirror sends each message back, binary ones as binary.
type mirror struct{ echo }

func (m *mirror) Binary(data []byte) { m.conn.Send(Binary(data)) }

func TestBinaryMessagesWhereTheHandlerTakesThem(t *testing.T) {
	t.Parallel()
	s := &site{Server: NewServer(Config{NoPings: true, ReadLimit: 1 << 20})}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = s.Accept(w, r, func(c *Conn) Handler { return &mirror{echo{c, make(chan [2]any, 1)}} })
	}))
	t.Cleanup(func() {
		web.Close()
		s.Close()
	})
	s.url = strings.TrimPrefix(web.URL, "http://")
	c := s.raw(t)
	large := bytes.Repeat([]byte{0xff, 0, 0xfe}, 30_000)
	for _, step := range []struct {
		name string
		in   [][]byte
		head byte
		want []byte
	}{
		{"bytes that are not UTF-8", [][]byte{masked(0x82, "\xff\x00\xfe")}, finBinary, []byte("\xff\x00\xfe")},
		{"an empty message", [][]byte{masked(0x82, "")}, finBinary, nil},
		{"fragments", [][]byte{masked(0x02, "\xff"), masked(0x80, "\xfe")}, finBinary, []byte("\xff\xfe")},
		{"text", [][]byte{masked(0x01, "a"), masked(0x80, "b")}, finText, []byte("ab")},
		{"a large message", [][]byte{masked(0x82, string(large))}, finBinary, large},
	} {
		for _, b := range step.in {
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		head, payload, err := c.frame()
		if err != nil || head != step.head || !bytes.Equal(payload, step.want) {
			t.Fatalf("%s: got %#x and %d bytes, %v", step.name, head, len(payload), err)
		}
	}
	// A message can't begin within another one.
	if _, err := c.Write(append(masked(0x02, "a"), masked(0x82, "b")...)); err != nil {
		t.Fatal(err)
	}
	c.closes(1002)
}

func TestPayloadIsWhatAFrameWasMadeOf(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 100_000} {
		payload := bytes.Repeat([]byte{'x'}, n)
		if got := Binary(payload).Payload(); !bytes.Equal(got, payload) {
			t.Errorf("the payload of %d bytes has %d", n, len(got))
		}
		if got := Text(payload).Payload(); !bytes.Equal(got, payload) {
			t.Errorf("the payload of %d characters has %d", n, len(got))
		}
	}
}
