#!/usr/bin/env bash
# github.com/alicebob/miniredis/v2: a counter in a hash wraps around, one in a string does not; leading zeros count.
#
# Expected, as Redis 7.0.15 answers: "increment or decrement would overflow" for both additions, and "hash value is not an
# integer" for 007, since Redis takes only the canonical form of a number.
# Seen: INCRBY is refused, HINCRBY wraps to the smallest integer, and 007 counts on to 8.
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
HSET	h	n	1
HINCRBY	h	n	9223372036854775807
SET	k	9223372036854775807
INCRBY	k	1
HSET	h	z	007
HINCRBY	h	z	1
`
EOG
cat >want <<'EOW'
HSET h n 1 → 1
HINCRBY h n 9223372036854775807 → -9223372036854775808
SET k 9223372036854775807 → OK
INCRBY k 1 → ERR increment or decrement would overflow
HSET h z 007 → 1
HINCRBY h z 1 → 8
EOW
go mod tidy >/dev/null 2>&1
echo "miniredis $version; seen:"
go run . | tee got
diff want got
