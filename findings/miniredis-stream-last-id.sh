#!/usr/bin/env bash
# github.com/alicebob/miniredis/v2: after the newest entry of a stream is deleted, its id can be given again.
#
# Expected, as Redis does it (https://redis.io/docs/latest/commands/xadd/: ids only grow, and XINFO STREAM keeps
# last-generated-id over an XDEL): the second XADD of 1-2 is refused with "The ID specified in XADD is equal or smaller
# than the target stream top item".
# Seen: XINFO still names 1-2 as the last generated id, and yet 1-2 is given a second time.
# Consequence: a reader whose cursor is 1-2 misses the new entry. Whoever makes ids must not rely on the stream's own memory.
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
XADD	s	1-2	a	b
XDEL	s	1-2
XINFO	STREAM	s
XADD	s	1-2	c	d
XRANGE	s	-	+
`
EOG
cat >want <<'EOW'
XADD s 1-1 a b → 1-1
XADD s 1-2 a b → 1-2
XDEL s 1-2 → 1
XINFO STREAM s → [length 1 last-generated-id 1-2]
XADD s 1-2 c d → 1-2
XRANGE s - + → [[1-1 [a b]] [1-2 [c d]]]
EOW
go mod tidy >/dev/null 2>&1
echo "miniredis $version; seen:"
go run . | tee got
diff want got
