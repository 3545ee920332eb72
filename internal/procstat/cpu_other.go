//go:build !linux

package procstat

import (
	"errors"
	"time"
)

// CPU returns errors.ErrUnsupported: it is implemented for Linux only.
func CPU(int) (time.Duration, error) { return 0, errors.ErrUnsupported }
