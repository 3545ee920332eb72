package redistest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheReadmeHasTheRulesOfTheUser checks that the pages for users and operators have
// the rules under which the tests run.
func TestTheReadmeHasTheRulesOfTheUser(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"README.md", "docs/operations.md"} {
		text, err := os.ReadFile("../../../" + page)
		if err != nil {
			t.Fatal(err)
		}
		if line := "ACL SETUSER chat on >PASSWORD " + Rules + "\n"; !strings.Contains(string(text), line) {
			t.Errorf("%s does not have the line %q", page, line)
		}
	}
}

// ACL SETUSER alone is forgotten at a restart; ACL SAVE and the configuration file
// keep the user, as the README says.
func TestTheUserOutlivesARestartAsTheReadmeSays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, config := filepath.Join(dir, "users.acl"), filepath.Join(dir, "redis.conf")
	for name, text := range map[string]string{file: "", config: "user " + User + " on >" + Password + " " + Rules + "\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		how  string
		args []string
		set  func(s *Server)
		kept bool
	}{
		{"nothing else", nil, func(s *Server) { SetUser(s) }, false},
		{"ACL SAVE", []string{"--aclfile", file}, func(s *Server) { SetUser(s); s.Do("ACL", "SAVE") }, true},
		{"the configuration file", []string{"--include", config}, func(*Server) {}, true},
	} {
		s := Start(t, c.args...)
		c.set(s)
		s.Kill()
		s.Restart()
		names, _ := s.Do("ACL", "USERS").([]any)
		if kept := len(names) == 2; kept != c.kept {
			t.Errorf("with %s the user is kept: %v, want %v", c.how, kept, c.kept)
		}
	}
}
