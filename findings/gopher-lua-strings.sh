#!/usr/bin/env bash
# github.com/yuin/gopher-lua: string functions work on Unicode characters where Lua 5.1 works on bytes.
#
# Expected (Lua 5.1 in the C locale, as Redis runs it): upper and lower change ASCII letters alone, %.1s cuts after one
# byte, %5s pads by bytes, %u prints an unsigned number.
# Seen: upper("é") is "É", %.1s keeps both bytes of "é", %5s pads to five characters, %u prints Go's own error text.
# Consequence: a script that folds or cuts strings gives other results in an embedded server than in Redis.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
version=v1.1.2
cat >go.mod <<EOM
module finding
go 1.24
require github.com/yuin/gopher-lua $version
EOM
cat >main.go <<'EOG'
package main

import (
	"fmt"

	lua "github.com/yuin/gopher-lua"
)

func main() {
	L := lua.NewState()
	defer L.Close()
	for _, e := range []string{`string.upper("é")`, `#string.format("%.1s", "é")`, `#string.format("%5s", "é")`, `string.format("%u", 5)`} {
		if err := L.DoString("return " + e); err != nil {
			panic(err)
		}
		fmt.Println(e, "=", L.Get(-1))
		L.Pop(1)
	}
}
EOG
cat >want <<'EOW'
string.upper("é") = É
#string.format("%.1s", "é") = 2
#string.format("%5s", "é") = 6
string.format("%u", 5) = %!u(int64=5)
EOW
go mod tidy >/dev/null 2>&1
echo "gopher-lua $version; expected: é, 1, 5, 5; seen:"
go run . | tee got
diff want got
