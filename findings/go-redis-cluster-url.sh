#!/usr/bin/env bash
# github.com/redis/go-redis/v9: ParseClusterURL ignores a database in the path and takes a comma for a part of a host's name.
#
# Expected: a Redis Cluster has database 0 alone, so redis://a:1/5 is refused as redis://a:1?db=5 is; and
# redis://a:1,b:2, the form that several other clients take, is refused or gives two addresses.
# Seen: /5 is dropped without a word while ?db=5 is refused; the comma gives the one address "[a:1,b]:2".
# Consequence: check both before the URL reaches the library.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
version=v9.23.0
cat >go.mod <<EOM
module finding
go 1.24
require github.com/redis/go-redis/v9 $version
EOM
cat >main.go <<'EOG'
package main

import (
	"fmt"

	"github.com/redis/go-redis/v9"
)

func main() {
	for _, u := range []string{"redis://a:1/5?addr=b:2", "redis://a:1?db=5", "redis://a:1,b:2"} {
		o, err := redis.ParseClusterURL(u)
		if err != nil {
			fmt.Println(u, "→", err)
			continue
		}
		fmt.Printf("%s → %q\n", u, o.Addrs)
	}
}
EOG
cat >want <<'EOW'
redis://a:1/5?addr=b:2 → ["a:1" "b:2"]
redis://a:1?db=5 → redis: unexpected option: db
redis://a:1,b:2 → ["[a:1,b]:2"]
EOW
go mod tidy >/dev/null 2>&1
echo "go-redis $version; expected: both databases refused; seen:"
go run . | tee got
diff want got
