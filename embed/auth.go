package embed

import (
	"bufio"
	"bytes"
	"crypto/subtle"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// bounds are those on one command.
type bounds struct {
	words int // in a command
	word  int // bytes of one
}

// Bounds on what a client may say, first before it has given the password, as Redis has
// them (networking.c, "unauthenticated multibulk length"), and then (proto-max-bulk-len).
var (
	stranger = bounds{words: 10, word: 16 << 10}
	friend   = bounds{words: 1 << 20, word: 512 << 20}
)

const (
	strangerCommands = 100
	strangerPatience = 10 * time.Second
)

// errProtocol reports that a client does not speak Redis's protocol.
var errProtocol = errors.New("protocol error")

// admit carries out a command of a client that has not given the password. Of such a
// client miniredis gets only commands that are a way to get in, since some others make it
// panic before it asks for the password. In place of them it gets a PING, to which it
// answers NOAUTH. A client that has the password is trusted: it could run scripts.
func (c *connection) admit(words []string) {
	switch strings.ToUpper(words[0]) {
	case "AUTH", "HELLO", "QUIT":
	default:
		words = []string{"PING"}
	}
	c.execute(words)
	c.admitted = knows(words, c.broker.cfg.Password)
}

// knows tells whether a command gives the password: AUTH [user] password, or
// HELLO version AUTH user password.
func knows(words []string, password string) bool {
	given := ""
	switch strings.ToUpper(words[0]) {
	case "AUTH":
		if len(words) > 1 {
			given = words[len(words)-1]
		}
	case "HELLO":
		for i, word := range words {
			if strings.EqualFold(word, "AUTH") && i+2 < len(words) {
				given = words[i+2]
				break
			}
		}
	}
	return subtle.ConstantTimeCompare([]byte(given), []byte(password)) == 1
}

// readCommand reads a command, an array of bulk strings. It keeps no more than a word's
// bound beyond what has really come.
func readCommand(r *bufio.Reader, most bounds) ([]string, error) {
	n, err := readLength(r, '*', most.words)
	if err != nil {
		return nil, err
	}
	words := make([]string, 0, min(n, usualWords))
	for range n {
		size, err := readLength(r, '$', most.word)
		if err != nil {
			return nil, err
		}
		word, err := readWord(r, size)
		if err != nil {
			return nil, err
		}
		words = append(words, word)
	}
	return words, nil
}

// usualWords is how many words most commands have at most.
const usualWords = 64

// readWord reads a word of the given size, and the end of its line.
func readWord(r *bufio.Reader, size int) (string, error) {
	const end = "\r\n"
	if whole := size + len(end); whole <= r.Size() {
		b, err := r.Peek(whole)
		if err != nil {
			return "", err
		}
		word := string(b[:size])
		if string(b[size:]) != end {
			return "", errProtocol
		}
		_, err = r.Discard(whole)
		return word, err
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r, int64(size+len(end))); err != nil {
		return "", err
	}
	word, ok := bytes.CutSuffix(b.Bytes(), []byte(end))
	if !ok {
		return "", errProtocol
	}
	return string(word), nil
}

// readLength reads a line that announces how much follows, of the given kind.
func readLength(r *bufio.Reader, kind byte, most int) (int, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return 0, errProtocol
	}
	if err != nil {
		return 0, err
	}
	digits, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok || len(digits) < 2 || digits[0] != kind {
		return 0, errProtocol
	}
	n, err := strconv.Atoi(string(digits[1:]))
	if err != nil || n < 0 || n > most {
		return 0, errProtocol
	}
	return n, nil
}
