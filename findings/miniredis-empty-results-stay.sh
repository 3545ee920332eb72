#!/usr/bin/env bash
# github.com/alicebob/miniredis/v2: a command that stores an empty result leaves an empty key behind.
#
# Expected (https://redis.io/docs/latest/develop/data-types/#automatic-creation-and-removal-of-keys, and what Redis 7.0.15,
# Redis 8.0.6 and Valkey 9.1.2 do): no key is ever empty. SUNIONSTORE, SDIFFSTORE, SINTERSTORE, ZUNIONSTORE and ZINTERSTORE with an
# empty result remove the destination, and SETRANGE with an empty value creates nothing.
# Seen: the destination exists with zero members, and SETRANGE creates a key.
# Consequence: EXISTS, TYPE, KEYS and NX conditions go the other way than on a real server.
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
SADD	set	a
SUNIONSTORE	set	none
EXISTS	set
SADD	other	a
SDIFFSTORE	other	other	other
TYPE	other
ZADD	z	1	a
ZUNIONSTORE	z	1	none
EXISTS	z
SET	text	x
SINTERSTORE	text	none
TYPE	text
SETRANGE	range	5	
EXISTS	range
KEYS	*
`
EOG
cat >want <<'EOW'
SADD set a → 1
SUNIONSTORE set none → 0
EXISTS set → 1
SADD other a → 1
SDIFFSTORE other other other → 0
TYPE other → set
ZADD z 1 a → 1
ZUNIONSTORE z 1 none → 0
EXISTS z → 1
SET text x → OK
SINTERSTORE text none → 0
TYPE text → set
SETRANGE range 5  → 5
EXISTS range → 1
KEYS * → [other range set text z]
EOW
go mod tidy >/dev/null 2>&1
echo "miniredis $version; seen:"
go run . | tee got
diff want got
