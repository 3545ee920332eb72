//go:build !unix

package demo

import (
	"errors"
	"os"
)

// canFreeze reports whether this system can freeze a process.
const canFreeze = false

func freeze(*os.Process) error { return errors.ErrUnsupported }

func wake(*os.Process) error { return errors.ErrUnsupported }
