package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"example.com/chat/internal/chattest"
)

// axe is the accessibility checker, from npm; no page contains it. If it is not installed
// the test is skipped, or fails under CI=true.
func axe(t *testing.T) string {
	t.Helper()
	chromium(t)
	script, err := os.ReadFile(filepath.Join("..", "..", "web", "node_modules", "axe-core", "axe.min.js"))
	chattest.Need(t, err, "axe-core is not installed: run npm ci in web")
	return string(script)
}

// found is a finding of axe: the rule, the element, and how to fix it.
const found = `axe.run({resultTypes: ["violations"]}).then(({violations}) => violations.flatMap(({id, help, nodes}) =>
	nodes.map((node) => id + ": " + help + "\n\t" + node.html.slice(0, 200) + "\n\t" + node.failureSummary.replaceAll("\n", " "))))`

func TestAxeFindsNothing(t *testing.T) {
	t.Parallel()
	script := axe(t)
	for _, dark := range []bool{false, true} {
		for _, l := range []look{{1440, 900, dark, leftToRight}, {390, 844, dark, rightToLeft}} {
			for _, sc := range append(append([]scene{}, scenes...), further...) {
				t.Run(fmt.Sprintf("%s-%d-%s", sc.name, l.width, shade(dark)), func(t *testing.T) {
					t.Parallel()
					p := play(t, sc, l)
					p.do(runs(script))
					for _, one := range ask[[]string](p, found) {
						t.Error(one)
					}
					p.sound()
				})
			}
		}
	}
}
