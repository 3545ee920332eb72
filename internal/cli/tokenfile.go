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

// A token file keeps one user's token for any number of calls, at the same time too. It
// is replaced, never written in place, so who reads it finds a whole token. The lock on
// it is held only where a token is made or replaced: then the first of many calls makes
// the user, and the others wait to be the same one.

// maxToken bounds what is read of a token file.
const maxToken = 16 << 10

// replaced bounds how often a call that waited for a token file finds that it has been
// replaced meanwhile.
const replaced = 100

// heldFile is a token file whose lock is held.
type heldFile struct {
	path  string
	file  *os.File
	token string // "" where there is none yet
}

// holdTokenFile makes the file if need be, waits for its lock, and reads it. Its errors
// name the file.
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

func (h *heldFile) release() { _ = h.file.Close() } // which gives the lock back

// write replaces the file by one that holds the token, for its owner alone.
func (h *heldFile) write(token string) error {
	path, err := filepath.EvalSymlinks(h.path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".chat-token-*") // for its owner alone
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

// readToken reads the token in a file; "" where the file is empty.
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

// open connects as the flags say, and keeps the token where they name a file.
func (c *clientFlags) open(ctx context.Context, opts client.Options, stderr io.Writer) (*client.Session, error) {
	if c.tokenFile == "" {
		return client.Open(ctx, opts)
	}
	for first := true; ; first = false {
		session, used, err := c.openKept(ctx, opts, stderr)
		var refused *protocol.Error
		if first && errors.As(err, &refused) && refused.Code == protocol.CodeNameTaken {
			// Another call may have found before this one that the token holds no more,
			// and be the new user of this name.
			if now, failed := peekToken(c.tokenFile); failed == nil && now != "" && now != used {
				continue
			}
		}
		return session, err
	}
}

// openKept connects with the token of the file, and puts the token of the welcome into
// it. used is the token that it found there.
func (c *clientFlags) openKept(ctx context.Context, opts client.Options, stderr io.Writer) (s *client.Session, used string, err error) {
	held, err := holdTokenFile(ctx, c.tokenFile)
	if errors.Is(err, fs.ErrPermission) || isReadOnly(err) {
		// One that is given, and not kept here: it is only read.
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
			held.release() // there is nothing to make
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

// tokenFileError puts a failure to use a token file into one line.
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
