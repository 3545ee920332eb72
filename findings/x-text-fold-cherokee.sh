#!/usr/bin/env bash
# golang.org/x/text/cases: Fold exchanges the two cases of Cherokee instead of unifying them.
#
# Expected: two strings that differ in case alone fold to one string, and folding a folded string changes nothing
# (Unicode Standard 3.13, D145: toCasefold(toCasefold(X)) = toCasefold(X)). CaseFolding.txt maps the small Cherokee
# letters U+AB70..U+ABBF to the capital ones and leaves these as they are.
# Seen: the capital letter folds to the small one and the small one to the capital, so they never compare as equal.
# Consequence: names compared by Fold can differ in case alone. Fold again only for letters that are not Cherokee.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
version=v0.44.0
cat >go.mod <<EOM
module finding
go 1.24
require golang.org/x/text $version
EOM
cat >main.go <<'EOG'
package main

import (
	"fmt"

	"golang.org/x/text/cases"
)

func main() {
	fold := cases.Fold().String
	for _, s := range []string{"\u13a0", "\uab70", "A", "a"} {
		fmt.Printf("%U folds to %U, that to %U\n", []rune(s), []rune(fold(s)), []rune(fold(fold(s))))
	}
	fmt.Println("equal:", fold("\u13a0") == fold("\uab70"))
}
EOG
cat >want <<'EOW'
[U+13A0] folds to [U+AB70], that to [U+13A0]
[U+AB70] folds to [U+13A0], that to [U+AB70]
[U+0041] folds to [U+0061], that to [U+0061]
[U+0061] folds to [U+0061], that to [U+0061]
equal: false
EOW
go mod tidy >/dev/null 2>&1
echo "golang.org/x/text $version; expected: [U+13A0] folds to itself, [U+AB70] to [U+13A0], equal: true; seen:"
go run . | tee got
diff want got
