//go:build unix

package redistest

import "syscall"

// Freeze stops the server without closing anything, and Thaw ends that.
func (s *Server) Freeze() { s.run.Signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (s *Server) Thaw() { s.run.Signal(syscall.SIGCONT) }
