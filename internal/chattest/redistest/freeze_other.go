//go:build !unix

package redistest

// Freeze skips the test, as a process can't be frozen on this system.
func (s *Server) Freeze() {
	s.t.Helper()
	s.t.Skip("a process can't be frozen on this system")
}

// Thaw ends Freeze.
func (s *Server) Thaw() {}
