#!/usr/bin/env bash
# github.com/alicebob/miniredis/v2: a sorted set takes scores that are not a number, and keeps the sign of zero.
#
# Expected (https://redis.io/docs/latest/commands/zincrby/, and what Redis 7.0.15, Redis 8.0.6 and Valkey 9.1.2 do): "value is not
# a valid float" for nan, "resulting score is not a number (NaN)" for inf + -inf, an error for INCRBYFLOAT of a value "inf", and 0 for a score of -0.
# Seen: all four are taken, as nan, -nan, inf and -0.
# Consequence: arithmetic that a real server refuses passes tests, and the order of members that have such a score is undefined.
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
ZADD	z	nan	a
ZADD	z	inf	b
ZINCRBY	z	-inf	b
ZADD	z	-0	c
ZSCORE	z	c
SET	f	inf
INCRBYFLOAT	f	1
`
EOG
cat >want <<'EOW'
ZADD z nan a → 1
ZADD z inf b → 1
ZINCRBY z -inf b → -nan
ZADD z -0 c → 1
ZSCORE z c → -0
SET f inf → OK
INCRBYFLOAT f 1 → inf
EOW
go mod tidy >/dev/null 2>&1
echo "miniredis $version; seen:"
go run . | tee got
diff want got
