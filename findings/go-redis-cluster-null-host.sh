#!/usr/bin/env bash
# github.com/redis/go-redis/v9: a Redis Cluster that tells no hosts can't be used, and the error is "redis: nil".
#
# Expected (https://redis.io/docs/latest/commands/cluster-slots/: a null host means that the client keeps to the host that it asked):
# with cluster-preferred-endpoint-type unknown-endpoint, SET is answered.
# Seen: every command fails with "redis: nil", which is otherwise the answer for a key that is not there.
# Consequence: clusters behind NAT or a load balancer need Options.ClusterSlots, a function that puts the host in.
# Needs Go, and Debian bookworm on amd64 (apt-get download).
set -euo pipefail
dir=$(mktemp -d); cd "$dir"
trap '[ -z "${pid:-}" ] || kill "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
apt-get download -q redis-tools=5:7.0.15-1~deb12u10 liblzf1=3.6-3 libjemalloc2=5.3.0-1 >/dev/null 2>&1
for package in *.deb; do dpkg-deb -x "$package" root; done
version=v9.23.0
cat >go.mod <<EOM
module finding
go 1.24
require github.com/redis/go-redis/v9 $version
EOM
cat >main.go <<'EOG'
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/redis/go-redis/v9"
)

func main() {
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{os.Args[1]}, MaxRedirects: -1, DisableIdentity: true})
	fmt.Println("SET →", client.Set(context.Background(), "k", "v", 0).Err())
}
EOG
go mod tidy >/dev/null 2>&1
go build -o probe .
export LD_LIBRARY_PATH="$dir/root/usr/lib/x86_64-linux-gnu"
cp root/usr/bin/redis-check-rdb redis-server # one program, known by its name
port=$((20000 + RANDOM % 10000))
./redis-server --port "$port" --bind 127.0.0.1 --dir "$dir" --save "" --cluster-enabled yes \
	--cluster-preferred-endpoint-type unknown-endpoint >log 2>&1 &
pid=$!
cli() { root/usr/bin/redis-cli -p "$port" "$@"; }
for _ in $(seq 100); do cli PING >/dev/null 2>&1 && break; sleep 0.1; done
cli CLUSTER ADDSLOTSRANGE 0 16383 >/dev/null
for _ in $(seq 100); do cli CLUSTER INFO | grep -q cluster_state:ok && break; sleep 0.1; done
echo "redis-cli: $(cli SET k v)" >got
./probe "127.0.0.1:$port" >>got
cat >want <<'EOW'
redis-cli: OK
SET → redis: nil
EOW
echo "go-redis $version, Redis 7.0.15; expected: SET → <nil>; seen:"
cat got
diff want got
