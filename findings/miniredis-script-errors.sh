#!/usr/bin/env bash
# github.com/alicebob/miniredis/v2: an error of a command inside a script loses its code.
#
# Expected (https://redis.io/docs/latest/develop/programmability/lua-api/#redis.call: "the raised error is returned to the
# client"), as Redis 7.0.15, Redis 8.0.6 and Valkey 9.1.2 do: EVAL of a failing redis.call answers WRONGTYPE …, and error({err = "MY code"})
# answers MY code; the message that Lua's own pcall catches begins with WRONGTYPE; redis.pcall's err does too.
# Seen: both come as "ERR Error compiling script (new function): …", although the script was compiled and ran, and pcall's message begins with ":1: ". redis.pcall is right.
# Consequence: a client that decides by the code (WRONGTYPE, OOM, a code of its own) takes every failure for a fault of the script.
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
SET	text	x
EVAL	return redis.pcall('HGET', 'text', 'f').err	0
EVAL	local ok, e = pcall(redis.call, 'HGET', 'text', 'f') return tostring(e)	0
EVAL	return redis.call('HGET', 'text', 'f')	0
`
EOG
cat >want <<'EOW'
SET text x → OK
EVAL return redis.pcall('HGET', 'text', 'f').err 0 → WRONGTYPE Operation against a key holding the wrong kind of value
EVAL local ok, e = pcall(redis.call, 'HGET', 'text', 'f') return tostring(e) 0 → :1: WRONGTYPE Operation against a key holding the wrong kind of value
EVAL return redis.call('HGET', 'text', 'f') 0 → ERR Error compiling script (new function): :1: WRONGTYPE Operation against a key holding the wrong kind of value stack traceback:  [G]: in function 'call'  :1: in main chunk  [G]: ?
EOW
go mod tidy >/dev/null 2>&1
echo "miniredis $version; seen:"
go run . | tee got
diff want got
