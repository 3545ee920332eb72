package conn

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/chattest"
)

func TestFramesThatRFC6455Forbids(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{ReadLimit: 1000, FrameTime: 300 * time.Millisecond})
	long := strings.Repeat("x", 600)
	for _, c := range []struct {
		name  string
		bytes []byte
		code  int
	}{
		{"a frame of 2^63 bytes", append([]byte{0x81, 0xff}, bytes.Repeat([]byte{0xff}, 12)...), 1009},
		{"a frame of 2^40 bytes", append([]byte{0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0}, 1, 2, 3, 4), 1009},
		{"a message over the limit in fragments", append(masked(0x01, long), masked(0x80, long)...), 1009},
		{"a ping of 126 bytes", masked(0x89, strings.Repeat("x", 126)), 1002},
		{"a fragmented ping", masked(0x09, "x"), 1002},
		{"reserved bits", masked(0xc1, "x"), 1002},
		{"an unknown opcode", masked(0x83, "x"), 1002},
		{"an unknown control opcode", masked(0x8b, "x"), 1002},
		{"unmasked", []byte{0x81, 1, 'x'}, 1002},
		{"a continuation without a message", masked(0x80, "x"), 1002},
		{"a message within a message", append(masked(0x01, "x"), masked(0x81, "y")...), 1002},
		{"binary", masked(0x82, "x"), 1003},
		{"not UTF-8", masked(0x81, "a\xff"), 1007},
		{"UTF-8 that ends within a character", masked(0x81, "\xe2\x82"), 1007},
		{"a surrogate", masked(0x81, "\xed\xa0\x80"), 1007},
		{"a close of one byte", masked(0x88, "x"), 1002},
		{"a close with a reserved code", masked(0x88, "\x03\xed"), 1002},
		{"a close whose reason is not UTF-8", masked(0x88, "\x03\xe8\xff"), 1007},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := s.raw(t)
			if _, err := r.Write(c.bytes); err != nil {
				t.Fatal(err)
			}
			r.closes(c.code)
		})
	}
}

func TestFramesThatRFC6455Allows(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{ReadLimit: 100_000})
	euro := "€"
	for name, c := range map[string]struct{ send, want string }{
		"one frame":       {string(masked(0x81, "hello")), "hello"},
		"empty":           {string(masked(0x81, "")), ""},
		"of 125 bytes":    {string(masked(0x81, strings.Repeat("x", 125))), strings.Repeat("x", 125)},
		"of 126 bytes":    {string(masked(0x81, strings.Repeat("x", 126))), strings.Repeat("x", 126)},
		"of 65,536 bytes": {string(masked(0x81, strings.Repeat("x", 65536))), strings.Repeat("x", 65536)},
		"fragments, split within a character, with a ping between": {
			string(masked(0x01, euro[:1])) + string(masked(0x89, "p")) + string(masked(0x00, euro[1:2])) + string(masked(0x00, "")) + string(masked(0x80, euro[2:])), euro},
	} {
		for _, step := range []int{1, 7, 1 << 20} {
			if step == 1 && len(c.send) > 1000 {
				continue
			}
			r := s.raw(t)
			for b := []byte(c.send); len(b) > 0; b = b[min(step, len(b)):] {
				if _, err := r.Write(b[:min(step, len(b))]); err != nil {
					t.Fatal(err)
				}
			}
			for {
				head, payload, err := r.frame()
				if err != nil {
					t.Fatalf("%s by %d: %v", name, step, err)
				}
				if head == finPong {
					continue
				}
				if head != finText || string(payload) != c.want {
					t.Errorf("%s by %d: got %x %.40q", name, step, head, payload)
				}
				break
			}
			if _, err := r.Write(masked(0x88, "\x0f\xa0bye")); err != nil {
				t.Fatal(err)
			}
			r.closes(4000)
			if got := <-s.closed; got != [2]any{4000, "bye"} {
				t.Errorf("the handler got %v at the close", got)
			}
		}
	}
}

// The deadline of a message counts from its start. Neither fragments nor control frames
// extend it.
func TestAMessageWithoutAnEndIsCutOff(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{FrameTime: 200 * time.Millisecond})
	for name, again := range map[string][]byte{
		"empty fragments": masked(0x00, ""),
		"pings":           masked(0x89, ""),
		"silence":         nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := s.raw(t)
			_, _ = r.Write(masked(0x01, "begun"))
			began := time.Now()
			go func() { _, _ = io.Copy(io.Discard, r.in) }() // ends with the connection
			chattest.Eventually(t, "the end", func() bool {
				if again != nil {
					_ = r.SetWriteDeadline(time.Now().Add(time.Second))
				}
				_, err := r.Write(append(again[:len(again):len(again)], masked(0x8a, "")...))
				return err != nil
			})
			if took := time.Since(began); took < 150*time.Millisecond {
				t.Errorf("the connection ended after %s, before the deadline", took)
			}
		})
	}
	// An incomplete header.
	r := s.raw(t)
	_, _ = r.Write([]byte{0x81})
	_ = r.SetReadDeadline(time.Now().Add(chattest.Patience))
	if _, err := io.ReadAll(r.in); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("incomplete header: %v", err)
	}
}

func TestAPingFloodGetsFewAnswers(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	r := s.raw(t)
	_, _ = r.Write(bytes.Repeat(masked(0x89, "x"), 5000))
	_, _ = r.Write(masked(0x81, "end"))
	pongs := 0
	for {
		head, _, err := r.frame()
		if err != nil {
			t.Fatal(err)
		}
		if head == finText {
			break
		}
		pongs++
	}
	if pongs == 0 || pongs > 3*maxPongs {
		t.Errorf("got %d pongs", pongs)
	}
}
