package neterr

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
)

func TestCauseIsTheSystemsOwnReason(t *testing.T) {
	t.Parallel()
	call := os.NewSyscallError("bind", syscall.EACCES)
	listen := &net.OpError{Op: "listen", Net: "tcp", Err: call}
	other := errors.New("another error")
	for _, c := range []struct {
		err  error
		want error
	}{
		{listen, syscall.EACCES},
		{fmt.Errorf("start: %w", listen), syscall.EACCES},
		{call, syscall.EACCES},
		{&net.OpError{Op: "accept", Err: net.ErrClosed}, net.ErrClosed},
		{other, other},
		{nil, nil},
	} {
		if got := Cause(c.err); got != c.want {
			t.Errorf("the cause of %v is %v, want %v", c.err, got, c.want)
		}
	}
}
