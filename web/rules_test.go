package web

import (
	"regexp"
	"strings"
	"testing"
)

// code returns a script without its comments.
func code(text string) string {
	return regexp.MustCompile(`(?s)/\*\*.*?\*/|(?m)(^|\s)//.*$`).ReplaceAllString(text, "")
}

// One module knows what the browser keeps: the others go on with the page's memory where
// it keeps nothing.
func TestOnlyTheStoreUsesTheBrowsersStorage(t *testing.T) {
	t.Parallel()
	each(t, ".js", func(name, text string) {
		if uses := regexp.MustCompile(`localStorage|sessionStorage|indexedDB|document\.cookie`).FindString(code(text)); uses != "" && name != "assets/store/store.js" {
			t.Errorf("%s uses %s", name, uses)
		}
	})
}

// A clock that somebody sets is not what durations are measured by. These modules date
// what outlives the page, or show a time.
func TestDurationsComeFromTheMonotonicClock(t *testing.T) {
	t.Parallel()
	dates := " auth bar chat closed drafts hello link notices outbox row sender times words "
	each(t, ".js", func(name, text string) {
		module := strings.TrimSuffix(name[strings.LastIndex(name, "/")+1:], ".js")
		if strings.Contains(code(text), "Date.now()") && !strings.Contains(dates, " "+module+" ") {
			t.Errorf("%s measures by Date.now()", name)
		}
	})
}
