#!/usr/bin/env bash
# github.com/alicebob/miniredis/v2: with RESP3 some replies keep the shape of RESP2.
#
# Expected (https://redis.io/docs/latest/develop/reference/protocol-spec/ and the commands' pages, as Redis 7.0.15, Redis 8.0.6
# and Valkey 9.1.2 answer after HELLO 3): ZRANGE … WITHSCORES and ZPOPMIN z 2 answer pairs, an array in the array for each member;
# XREAD answers a map by stream; HRANDFIELD … WITHVALUES answers pairs.
# Seen: ZRANGE and ZPOPMIN are flat, XREAD is an array of arrays, and HRANDFIELD is a map.
# Consequence: a client that reads replies generically (Do, scripts' callers, proxies) works here and fails on a server, or the other way round.
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
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Protocol: 3, DisableIdentity: true})
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
ZADD	z	1	a	2	b
ZRANGE	z	0	-1	WITHSCORES
ZPOPMIN	z	2
XADD	s	1-1	f	v
XREAD	STREAMS	s	0
HSET	h	f	v
HRANDFIELD	h	1	WITHVALUES
`
EOG
cat >want <<'EOW'
ZADD z 1 a 2 b → 2
ZRANGE z 0 -1 WITHSCORES → [a 1 b 2]
ZPOPMIN z 2 → [a 1 b 2]
XADD s 1-1 f v → 1-1
XREAD STREAMS s 0 → [[s [[1-1 [f v]]]]]
HSET h f v → 1
HRANDFIELD h 1 WITHVALUES → map[f:v]
EOW
go mod tidy >/dev/null 2>&1
echo "miniredis $version; seen:"
go run . | tee got
diff want got
