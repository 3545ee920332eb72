//go:build unix

package faults

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"testing"
)

// value is one reply of Redis: its bytes, and the elements of an array of strings.
type value struct {
	raw   []byte
	parts [][]byte
}

// readValue reads one value of RESP2 (redis.io, "RESP protocol description").
func readValue(in *bufio.Reader) (value, error) {
	var v value
	err := v.read(in, 0)
	return v, err
}

// maxDepth bounds arrays within arrays.
const maxDepth = 16

func (v *value) read(in *bufio.Reader, depth int) error {
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	v.raw = append(v.raw, line...)
	n := 0
	if line[0] == '$' || line[0] == '*' {
		if n, err = strconv.Atoi(string(bytes.TrimSpace(line[1:]))); err != nil {
			return fmt.Errorf("the length %q: %w", line, err)
		}
	}
	switch line[0] {
	case '+', '-', ':':
	case '$':
		if n < 0 {
			return nil
		}
		start := len(v.raw)
		v.raw = append(v.raw, make([]byte, n+2)...)
		if _, err := io.ReadFull(in, v.raw[start:]); err != nil {
			return err
		}
		if depth == 1 {
			v.parts = append(v.parts, v.raw[start:start+n])
		}
	case '*':
		if depth > maxDepth {
			return fmt.Errorf("arrays too deep")
		}
		for range n {
			if err := v.read(in, depth+1); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("%q begins no value of RESP2", line)
	}
	return nil
}

// published returns the channel and the payload of a published message; ok is false for
// every other value.
func (v *value) published() (channel, payload []byte, ok bool) {
	if len(v.parts) != 3 || string(v.parts[0]) != "message" {
		return nil, nil, false
	}
	return v.parts[1], v.parts[2], true
}

func TestValuesAreReadAsTheyCome(t *testing.T) {
	t.Parallel()
	stream := "+OK\r\n:12\r\n$-1\r\n*-1\r\n$4\r\na\r\nb\r\n*2\r\n*1\r\n$1\r\nx\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$3\r\n{}\n\r\n-ERR no\r\n"
	in := bufio.NewReader(bytes.NewBufferString(stream))
	var out []byte
	messages := 0
	for {
		v, err := readValue(in)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v.raw...)
		if channel, payload, ok := v.published(); ok {
			messages++
			if string(channel) != "ch" || string(payload) != "{}\n" {
				t.Errorf("published %q %q", channel, payload)
			}
		}
	}
	if string(out) != stream || messages != 1 {
		t.Errorf("%d published messages in %q", messages, out)
	}
}
