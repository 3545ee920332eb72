//go:build unix

package faults

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"
)

// operator does to Redis what a person could do. It fails its test where that does not
// succeed.
type operator struct {
	*redis.Client
	t *testing.T
}

// ask sends a command and returns the reply.
func (o operator) ask(command ...any) any {
	o.t.Helper()
	v, err := o.Do(o.t.Context(), command...).Result()
	if err != nil {
		o.t.Fatalf("%v: %v", command, err)
	}
	return v
}

// try sends a command, and only logs an error, as while Redis is away.
func (o operator) try(command ...any) {
	if err := o.Do(o.t.Context(), command...).Err(); err != nil {
		o.t.Logf("%v: %v", command[0], err)
	}
}

// truncate cuts the end off the append-only file, as a power failure does with what was
// not synced, and returns the number of bytes cut. It cuts between two transactions:
// within one, Redis 7.0 leaves the first part of it in the file although it
// does not carry it out, and does so at its next start but one, where the lost
// entries appear again between newer ones.
func (o operator) truncate(dir string, n int) int {
	o.t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) != 1 {
		o.t.Fatalf("the append-only files are %q: %v", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		o.t.Fatal(err)
	}
	exec := []byte("*1\r\n$4\r\nEXEC\r\n")
	end := bytes.LastIndex(data[:max(0, len(data)-n)], exec)
	if end < 0 {
		o.t.Fatalf("the append-only file of %d bytes is too short to lose %d", len(data), n)
	}
	end += len(exec)
	if err := os.Truncate(files[0], int64(end)); err != nil {
		o.t.Fatal(err)
	}
	return len(data) - end
}
