package room

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// refused is an answer of Redis.
type refused string

// Error is the answer (error).
func (r refused) Error() string { return string(r) }

// RedisError marks it as one (redis.Error).
func (refused) RedisError() {}

// A call that Redis refused is not repeated, as the answer would be the same. If no answer
// came, a new connection may bring one.
func TestWhichFailuresAreTriedAgain(t *testing.T) {
	t.Parallel()
	for err, again := range map[error]bool{
		io.EOF:                      true,
		io.ErrUnexpectedEOF:         true,
		fmt.Errorf("x: %w", io.EOF): true,
		context.DeadlineExceeded:    true,
		&net.OpError{Op: "read", Err: syscall.ECONNRESET}:                true,
		&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}:              true,
		&net.OpError{Op: "write", Err: net.ErrClosed}:                    true, // by go-redis, when another server becomes the primary
		refused("READONLY You can't write against a read only replica."): false,
		refused("MOVED 1 127.0.0.1:1"):                                   false, // after all redirections
		refused("ASK 1 127.0.0.1:1"):                                     false,
		refused("TRYAGAIN Multiple keys request"):                        false,
		refused("CLUSTERDOWN The cluster is down"):                       false,
		refused("LOADING Redis is loading"):                              false,
		refused("BUSY Redis is busy"):                                    false,
		refused("MISCONF Redis is configured"):                           false,
		refused("OOM command not allowed"):                               false,
		refused("NOPERM this user has no"):                               false,
		refused("WRONGPASS invalid"):                                     false,
		refused("NOREPLICAS Not enough good"):                            false,
		errors.New("too few of redis's replicas confirm"):                false, // the entry is in the log, and the call has waited long enough
		redis.ErrPoolTimeout:                                             false,
	} {
		if noAnswer(err) != again {
			t.Errorf("%v: tried again: %v", err, !again)
		}
	}
}
