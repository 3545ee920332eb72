#!/usr/bin/env bash
# github.com/alicebob/miniredis/v2: ZADD with INCR ignores GT and LT.
#
# Expected (https://redis.io/docs/latest/commands/zadd/: with INCR the reply is nil "if the operation was aborted"): nil
# for an increment that GT or LT forbids, and the old score stays, as in Redis 7.0.15, Redis 8.0.6 and Valkey 9.1.2.
# Seen: GT lets the score shrink and LT lets it grow. NX is heeded, and so are GT and LT without INCR.
# Consequence: a counter that may only grow goes back in tests, and a caller that reads nil as "refused" never sees one.
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
ZADD	z	5	a
ZADD	z	GT	INCR	-1	a
ZSCORE	z	a
ZADD	z	LT	INCR	1	a
ZSCORE	z	a
ZADD	z	NX	INCR	1	a
ZADD	z	GT	CH	1	a
`
EOG
cat >want <<'EOW'
ZADD z 5 a → 1
ZADD z GT INCR -1 a → 4
ZSCORE z a → 4
ZADD z LT INCR 1 a → 5
ZSCORE z a → 5
ZADD z NX INCR 1 a → redis: nil
ZADD z GT CH 1 a → 0
EOW
go mod tidy >/dev/null 2>&1
echo "miniredis $version; seen:"
go run . | tee got
diff want got
