package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/chat/internal/chattest/fakenode"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTokenFileIsMadeKeptAndReplaced(t *testing.T) {
	c := fakenode.New()
	c.Renew(true)
	n := c.Start(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	say := func(stderr string, args ...string) string {
		t.Helper()
		_, errs, err := send(t, "", append([]string{"lobby", "hi", "--url", n.URL, "--name", "bot"}, args...)...)
		if err != nil || errs != stderr {
			t.Errorf("%q: %v, printed %q", args, err, errs)
		}
		hello := n.Heard("hello")
		return hello[len(hello)-1].Token
	}
	if first := say("", "--token-file", path); first != "" {
		t.Errorf("the first call brought %q", first)
	}
	token := read(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 || token == "" {
		t.Errorf("the file: %v, %v, holds %q", info, err, token)
	}
	// A flag wins over CHAT_TOKEN.
	t.Setenv("CHAT_TOKEN", "another")
	if second := say("", "--token-file", path); second+"\n" != token || read(t, path) != token {
		t.Errorf("the second call brought %q, the file holds %q", second, token)
	}
	t.Setenv("CHAT_TOKEN", "")
	// A token that is no longer valid is replaced, also through a link.
	c.Forget()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	say("chat: the token does not hold here any more: this is a new user now\n", "--token-file", link)
	if now := read(t, path); now == token || now == "" {
		t.Errorf("the file holds %q", now)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("the link became %v, %v", info, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	say("chat: others can read "+path+": make it readable for its owner alone (chmod 600)\n", "--token-file", path)
}

// An application may write a JWT to the file, and renew it.
func TestAJWTInATokenFileIsNotTouched(t *testing.T) {
	c := fakenode.New()
	n := c.Start(t)
	part := base64.RawURLEncoding.EncodeToString
	jwt := part([]byte(`{"alg":"HS256"}`)) + "." + part([]byte(`{"exp":1}`)) + ".c2ln"
	path := filepath.Join(t.TempDir(), "jwt")
	if err := os.WriteFile(path, []byte(jwt+"\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	if _, errs, err := send(t, "", "lobby", "hi", "--url", n.URL, "--token-file", path); err != nil || errs != "" {
		t.Errorf("%v, printed %q", err, errs)
	}
	if hello := n.Heard("hello"); len(hello) != 1 || hello[0].Auth != jwt || hello[0].Token != "" || read(t, path) != jwt+"\n" {
		t.Errorf("hello: %+v", hello)
	}
}

func TestTokenFilesThatCantBeUsed(t *testing.T) {
	c := fakenode.New()
	n := c.Start(t)
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk")
	if err := os.WriteFile(junk, []byte("two words"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(dir, "long")
	if err := os.WriteFile(long, bytes.Repeat([]byte("x"), maxToken+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none", "token"): "no such file or directory",
		dir:                                 "is a directory",
		junk:                                "holds no token",
		long:                                "holds no token",
		os.DevNull:                          "is not a regular file", // a pipe, to which no program may ever write
	} {
		_, _, err := send(t, "", "lobby", "hi", "--url", n.URL, "--token-file", path)
		var misuse *UsageError
		if err == nil || !strings.HasPrefix(err.Error(), "--token-file") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || errors.As(err, &misuse) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, test := range []struct{ token, file string }{{"--token=a", "--token-file=b"}, {"", ""}} {
		args := []string{"lobby", "hi", "--url", n.URL}
		if test.token != "" {
			args = append(args, test.token, test.file)
		} else {
			t.Setenv("CHAT_TOKEN", "a")
			t.Setenv("CHAT_TOKEN_FILE", "b")
		}
		_, _, err := send(t, "", args...)
		var misuse *UsageError
		if !errors.As(err, &misuse) || !strings.Contains(err.Error(), "contradict each other") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// A call that waits for another one to make the token can be interrupted.
func TestTheWaitForATokenFileEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	held, err := holdTokenFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := Send(ctx, []string{"lobby", "hi", "--token-file", path}, nil, io.Discard, io.Discard); err == nil {
		t.Error("the call did not wait for the other one")
	}
	// A call that waited reads the file that replaced the one for which it waited.
	got := make(chan string)
	go func() { // ends below
		h, err := holdTokenFile(t.Context(), path)
		if err != nil {
			got <- err.Error()
			return
		}
		h.release()
		got <- h.token
	}()
	if err := held.write("made.by.another"); err != nil {
		t.Fatal(err)
	}
	held.release()
	if token := <-got; token != "made.by.another" {
		t.Errorf("read %q", token)
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	c := fakenode.New()
	n := c.Start(t)
	entry := func(seq int, at time.Time) string {
		return fmt.Sprintf(`{"id":"%d-%d","room":"lobby","key":"k","user":{"id":"u","name":"Other"},"text":"%d\nmore","time":%d}`, at.UnixMilli(), seq, seq, at.UnixMilli())
	}
	now := time.Now()
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.Local)
	old, older := midnight.Add(-time.Second), midnight.AddDate(-1, 0, 0)
	n.Faulty(func(cmd fakenode.Command) *fakenode.Fault {
		if cmd.Type != "join" {
			return nil
		}
		return &fakenode.Fault{Raw: fmt.Sprintf(`{"type":"joined","ref":%s,"room":"lobby","head":"%d-3","messages":[%s,%s,%s]}`,
			cmd.Ref, midnight.UnixMilli(), entry(1, older), entry(2, old), entry(3, midnight))}
	})
	var stdout, stderr bytes.Buffer
	if err := Tail(t.Context(), []string{"lobby", "--no-follow", "--url", n.URL}, nil, &stdout, &stderr); err != nil || stderr.Len() > 0 {
		t.Fatalf("%v, printed %q", err, stderr.String())
	}
	var want strings.Builder
	for i, at := range []time.Time{older, old, midnight} { // the last entry is of another day
		fmt.Fprintf(&want, "%s  Other  %d\n%21smore\n", at.Format("2006-01-02 15:04:05"), i+1, "")
	}
	if stdout.String() != want.String() {
		t.Errorf("printed %q, want %q", stdout.String(), want.String())
	}
}
