#!/usr/bin/env bash
# github.com/alicebob/miniredis/v2: a count of 0 means "all" to XRANGE and "one" to ZPOPMIN.
#
# Expected, as Redis 7.0.15 answers: XRANGE with COUNT 0 or -1 returns nothing (a null), ZPOPMIN z 0 returns nothing and
# removes nothing.
# Seen: XRANGE returns the whole stream, ZPOPMIN removes a member.
# Consequence: a page size computed as 0 looks harmless in a test and is empty, or destructive, elsewhere.
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
XADD	s	1-1	a	b
XRANGE	s	-	+	COUNT	0
XRANGE	s	-	+	COUNT	-1
ZADD	z	1	a
ZPOPMIN	z	0
ZCARD	z
`
EOG
cat >want <<'EOW'
XADD s 1-1 a b → 1-1
XRANGE s - + COUNT 0 → [[1-1 [a b]]]
XRANGE s - + COUNT -1 → [[1-1 [a b]]]
ZADD z 1 a → 1
ZPOPMIN z 0 → [a 1]
ZCARD z → 0
EOW
go mod tidy >/dev/null 2>&1
echo "miniredis $version; seen:"
go run . | tee got
diff want got
