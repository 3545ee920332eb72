#!/usr/bin/env bash
# github.com/yuin/gopher-lua: tonumber does not read all that the language itself reads as a number.
#
# Expected (Lua 5.1 manual, 2.2.1 and 5.1): tonumber follows the lexer's rules, and so does the conversion of a string
# in arithmetic: "1e3" is 1000 in all three places; "-0x10" is -16.
# Seen: tonumber("1e3") is nil, tonumber("1.5e3") is 1500, "1e3"+0 is 1000, the literal 1e3 is 1000, tonumber("-0x10") is nil.
# Consequence: a script that Redis runs can fail in an embedded server with this interpreter once a number is
# written with an exponent, which is how Redis itself writes large scores.
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
	for _, e := range []string{`tonumber("1e3")`, `tonumber("1.5e3")`, `"1e3"+0`, `1e3`, `tonumber("0x10")`, `tonumber("-0x10")`} {
		if err := L.DoString("return " + e); err != nil {
			panic(err)
		}
		fmt.Println(e, "=", L.Get(-1))
		L.Pop(1)
	}
}
EOG
cat >want <<'EOW'
tonumber("1e3") = nil
tonumber("1.5e3") = 1500
"1e3"+0 = 1000
1e3 = 1000
tonumber("0x10") = 16
tonumber("-0x10") = nil
EOW
go mod tidy >/dev/null 2>&1
echo "gopher-lua $version; expected: tonumber(\"1e3\") = 1000, tonumber(\"-0x10\") = -16; seen:"
go run . | tee got
diff want got
