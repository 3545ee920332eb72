package embed

import (
	"bufio"
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Bounds on what a client may say before it has given the password. Words are
// bounded as Redis does (networking.c, "unauthenticated multibulk length").
const (
	strangerWords    = 10
	strangerWord     = 16 << 10
	strangerCommands = 100
	strangerPatience = 10 * time.Second
)

// errProtocol is what a client did who doesn't speak as Redis's clients do.
var errProtocol = errors.New("protocol error")

// admit passes on what a client says until it has given the password; an error
// means that it never will. What is not a command, such as an empty one or a
// word of 2^60 bytes, makes miniredis panic, which would end the whole process,
// and that before it asks for a password. So nothing of a stranger's reaches it
// as it came: commands are read here, within bounds, and written anew. What
// isn't a way to get in is turned into a PING, to which miniredis answers
// NOAUTH in its turn. Who has the password is trusted: it could run scripts.
func admit(to io.Writer, from *bufio.Reader, password string) error {
	for range strangerCommands {
		words, err := readCommand(from)
		if err != nil {
			return err
		}
		if len(words) == 0 { // Redis takes no notice of it either
			continue
		}
		switch strings.ToUpper(words[0]) {
		case "AUTH", "HELLO", "QUIT":
		default:
			words = []string{"PING"}
		}
		if _, err := to.Write(command(words)); err != nil {
			return err
		}
		if knows(words, password) {
			return nil
		}
	}
	return errProtocol
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

// command is a command as clients send it: an array of bulk strings.
func command(words []string) []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, word := range words {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(word), word)
	}
	return b
}

// readCommand reads a stranger's command. It keeps no more than a word's bound
// beyond what has really come.
func readCommand(r *bufio.Reader) ([]string, error) {
	n, err := readLength(r, '*', strangerWords)
	if err != nil {
		return nil, err
	}
	words := make([]string, n)
	for i := range words {
		size, err := readLength(r, '$', strangerWord)
		if err != nil {
			return nil, err
		}
		word := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(r, word); err != nil {
			return nil, err
		}
		if string(word[size:]) != "\r\n" {
			return nil, errProtocol
		}
		words[i] = string(word[:size])
	}
	return words, nil
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
