//go:build !linux

package swarm

import "errors"

func newEpoll(*Swarm) (engine, error) { return nil, errors.ErrUnsupported }
