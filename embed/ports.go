package embed

import (
	"errors"
	"net"
	"os"
)

// plain removes from a network error what the message around it already says.
func plain(err error) error {
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
