package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"example.com/chat/internal/client"
	"example.com/chat/internal/protocol"
)

// A token file keeps the token of one user for any number of calls, also concurrent
// ones. It is replaced, never written in place, so readers get a complete token. Its
// lock is held only while a token is made or replaced: the first of many calls makes
// the user, and the others wait to be the same one.

// maxToken bounds the part of a token file that is read.
const maxToken = 16 << 10

// replaced bounds the retries of a call that waited for the lock of a token file which
// was replaced meanwhile.
const replaced = 100

// heldFile is a token file whose lock is held.
type heldFile struct {
	path  string
	file  *os.File
	token string // "" if there is none yet
}

// holdTokenFile creates the file if necessary, waits for its lock, and reads it. Its
// errors name the file.
func holdTokenFile(ctx context.Context, path string) (*heldFile, error) {
	for range replaced {
		// Opening a pipe would wait for its other end.
		if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
			return nil, fmt.Errorf("%s is not a regular file: name one for --token-file", path)
		}
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := lockFile(ctx, f); err != nil {
			return nil, err
		}
		h := &heldFile{path: path, file: f}
		mine, err := f.Stat()
		if err == nil {
			var now os.FileInfo
			if now, err = os.Stat(path); err == nil && os.SameFile(mine, now) {
				h.token, err = readToken(f)
				if err != nil {
					h.release()
					return nil, err
				}
				return h, nil
			}
		}
		h.release()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s is replaced all the time", path)
}

func (h *heldFile) release() { _ = h.file.Close() } // which releases the lock

// write replaces the file by one with the token, readable by its owner alone.
func (h *heldFile) write(token string) error {
	path, err := filepath.EvalSymlinks(h.path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".chat-token-*") // readable by the owner alone
	if err != nil {
		return err
	}
	_, err = f.WriteString(token + "\n")
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// readToken returns the token in a file; "" if the file is empty.
func readToken(f *os.File) (string, error) {
	b, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(b))
	if len(b) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s holds no token", f.Name())
	}
	return token, nil
}

// peekToken reads a token file without its lock.
func peekToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return readToken(f)
}

// open connects with the flags, and keeps the token if they name a file.
func (c *clientFlags) open(ctx context.Context, opts client.Options, stderr io.Writer) (*client.Session, error) {
	if c.tokenFile == "" {
		return client.Open(ctx, opts)
	}
	for first := true; ; first = false {
		session, used, err := c.openKept(ctx, opts, stderr)
		var refused *protocol.Error
		if first && errors.As(err, &refused) && refused.Code == protocol.CodeNameTaken {
			// Another call may have found before this one that the token is not valid any
			// more, and be the new user of this name.
			if now, failed := peekToken(c.tokenFile); failed == nil && now != "" && now != used {
				continue
			}
		}
		return session, err
	}
}

// openKept connects with the token of the file, and writes the token of the welcome to
// it. used is the token that was in the file.
func (c *clientFlags) openKept(ctx context.Context, opts client.Options, stderr io.Writer) (s *client.Session, used string, err error) {
	held, err := holdTokenFile(ctx, c.tokenFile)
	if errors.Is(err, fs.ErrPermission) || isReadOnly(err) {
		// The token was given, not made here: it is only read.
		if used, err = peekToken(c.tokenFile); err == nil && used == "" {
			err = fmt.Errorf("%s is empty, and can't be written", c.tokenFile)
		}
	}
	if err != nil {
		return nil, "", tokenFileError(err)
	}
	if held != nil {
		defer held.release()
		used = held.token
		if info, err := held.file.Stat(); err == nil && info.Mode().Perm()&0o077 != 0 && used != "" {
			fmt.Fprintf(stderr, "chat: others can read %s: make it readable for its owner alone (chmod 600)\n", clean(c.tokenFile))
		}
		if used != "" {
			held.release() // no token has to be made
		}
	}
	setToken(&opts, used)
	if opts.Auth != "" {
		// It is the application's, which may renew it.
		opts.AuthFrom = func(context.Context) (string, error) { return peekToken(c.tokenFile) }
		s, err = client.Open(ctx, opts)
		return s, used, err
	}
	keep := func(h *heldFile, token string) {
		if err := h.write(token); err != nil {
			fmt.Fprintf(stderr, "chat: the token can't be kept: %s\n", clean(err.Error()))
		}
	}
	last := used
	opts.OnToken = func(token string) {
		switch {
		case token == last:
		case last == "":
			keep(held, token)
		default:
			if h, err := holdTokenFile(ctx, c.tokenFile); err == nil {
				keep(h, token)
				h.release()
			}
		}
		last = token
	}
	s, err = client.Open(ctx, opts)
	return s, used, err
}

// tokenFileError describes a failure with a token file in one line.
func tokenFileError(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("--token-file %s: %w", path.Path, path.Err)
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("--token-file: %w", err)
}
