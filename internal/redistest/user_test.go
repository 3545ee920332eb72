package redistest

import (
	"os"
	"strings"
	"testing"
)

// The tests run under the rules that readers are told to set.
func TestTheReadmeHasTheRulesOfTheUser(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if line := "ACL SETUSER chat on >PASSWORD " + Rules + "\n"; !strings.Contains(string(text), line) {
		t.Errorf("the README does not have the line %q", line)
	}
}
