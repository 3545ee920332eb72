//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd

package engineio

// ended is unknown on this system.
func ended(uintptr) bool { return false }
