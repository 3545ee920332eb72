#!/usr/bin/env bash
# github.com/yuin/gopher-lua: tostring writes numbers with other digits than Lua 5.1.
#
# Expected (Lua 5.1, luaconf.h: LUAI_NUMFFORMAT is "%.14g"; the same in Redis's interpreter): 0.1+0.2 is "0.3", 2^53 is
# "9.007199254741e+15", 1e15 is "1e+15", 1/0 is "inf". Concatenation does the same.
# Seen: all digits are written: "0.30000000000000004", "9007199254740992", "1000000000000000", and "+Inf".
# Consequence: a script that builds a key or an id from a large number, such as a time in microseconds, works in an embedded server
# with this interpreter and loses digits in Redis: format such numbers with string.format("%.0f", n).
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
	for _, e := range []string{`0.1+0.2`, `2^53`, `1e15`, `1/0`, `1764424800123456 .. ""`, `string.format("%.0f", 2^53)`} {
		if err := L.DoString("return tostring(" + e + ")"); err != nil {
			panic(err)
		}
		fmt.Println(e, "=", L.Get(-1))
		L.Pop(1)
	}
}
EOG
cat >want <<'EOW'
0.1+0.2 = 0.30000000000000004
2^53 = 9007199254740992
1e15 = 1000000000000000
1/0 = +Inf
1764424800123456 .. "" = 1764424800123456
string.format("%.0f", 2^53) = 9007199254740992
EOW
go mod tidy >/dev/null 2>&1
echo "gopher-lua $version; expected: 0.3, 9.007199254741e+15, 1e+15, inf; seen:"
go run . | tee got
diff want got
