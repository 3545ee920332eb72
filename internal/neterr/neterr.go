// Package neterr shortens errors of the network for messages to people.
package neterr

import (
	"errors"
	"net"
	"os"
)

// Cause returns the system's own reason for a network error, as "permission denied",
// without the operation, the address and the system call that net and os put before it.
// It returns other errors as they are.
func Cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		err = sys.Err
	}
	return err
}
