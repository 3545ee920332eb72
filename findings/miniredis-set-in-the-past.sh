#!/usr/bin/env bash
# github.com/alicebob/miniredis/v2: after a SET whose end lies in the past the key's next value has a negative time to live.
#
# Expected (https://redis.io/docs/latest/commands/set/, and what Redis 7.0.15, Redis 8.0.6 and Valkey 9.1.2 do): SET with a PXAT
# or EXAT in the past leaves no key, and a plain SET later makes a key without an end: TTL -1, and EXPIRE NX sets one.
# Seen: the old end stays in the table. The new value is there, TTL gives a large negative number, and EXPIRE NX refuses.
# Consequence: "only if it has no end yet" fails for a key that has none, and TTL is neither -1 nor -2.
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
SET	a	old	PXAT	1
EXISTS	a
SET	a	new
GET	a
EXPIRE	a	100	NX
EVAL	local ttl = redis.call('TTL', 'a') return {ttl < -2 and 'below -2' or ttl}	0
`
EOG
cat >want <<'EOW'
SET a old PXAT 1 → OK
EXISTS a → 0
SET a new → OK
GET a → new
EXPIRE a 100 NX → 0
EVAL local ttl = redis.call('TTL', 'a') return {ttl < -2 and 'below -2' or ttl} 0 → [below -2]
EOW
go mod tidy >/dev/null 2>&1
echo "miniredis $version; seen:"
go run . | tee got
diff want got
