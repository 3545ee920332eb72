#!/usr/bin/env bash
# github.com/alicebob/miniredis/v2: cjson in scripts treats empty tables, nulls and large numbers in its own way.
#
# Expected, as the cjson of Redis 7.0.15 does it: an empty table is encoded as {}; null in an array is cjson.null, so that the
# array keeps its three places; numbers are written with 14 digits ({"a":1.7640000000001e+15}).
# Seen: an empty table is [], even one decoded from {}; a null vanishes from an array, so that what follows moves up; all digits are kept.
# Consequence: a script tested here alone can turn {} into [] or keep digits that Redis drops: let scripts pass JSON through as text.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
version=v2.40.0
cat >go.mod <<EOM
module finding
go 1.24
require (
	github.com/alicebob/miniredis/v2 $version
	github.com/redis/go-redis/v9 v9.23.0
)
EOM
cat >main.go <<'EOG'
package main

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

func main() {
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Protocol: 2, DisableIdentity: true})
	for _, line := range strings.Split(strings.TrimSpace(commands), "\n") {
		var args []any
		for _, word := range strings.Split(line, "\t") {
			args = append(args, word)
		}
		answer, err := client.Do(context.Background(), args...).Result()
		if err != nil {
			answer = err
		}
		fmt.Println(strings.ReplaceAll(line, "\t", " "), "→", answer)
	}
}
EOG
cat >commands.go <<'EOG'
package main

const commands = `
EVAL	return cjson.encode({})	0
EVAL	return cjson.encode(cjson.decode("{}"))	0
EVAL	return cjson.decode("[1,null,2]")	0
EVAL	return #cjson.decode("[1,null,2]")	0
EVAL	return cjson.encode({a=1764000000000123})	0
`
EOG
cat >want <<'EOW'
EVAL return cjson.encode({}) 0 → []
EVAL return cjson.encode(cjson.decode("{}")) 0 → []
EVAL return cjson.decode("[1,null,2]") 0 → [1 2]
EVAL return #cjson.decode("[1,null,2]") 0 → 2
EVAL return cjson.encode({a=1764000000000123}) 0 → {"a":1764000000000123}
EOW
go mod tidy >/dev/null 2>&1
echo "miniredis $version; seen:"
go run . | tee got
diff want got
