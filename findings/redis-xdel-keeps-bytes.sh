#!/usr/bin/env bash
# Redis: the fields of a stream's entry that XDEL deleted are still in DUMP, RDB files and so in each new replica's copy.
#
# Expected (https://redis.io/docs/latest/commands/xdel/ says of memory alone that it is not reclaimed at once): no command returns
# the words of a deleted entry any more, DUMP included.
# Seen: XRANGE does not, DUMP and the file that SAVE writes do, until all entries of the same node of the stream (100 by default)
# are deleted or trimmed. XADD with a later id does not change that.
# Consequence: where words must be gone from backups as well, encrypt each entry or keep the words beside the stream.
# Needs Debian bookworm on amd64 (apt-get download).
set -euo pipefail
dir=$(mktemp -d); cd "$dir"
trap '[ -z "${pid:-}" ] || kill "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
version=5:7.0.15-1~deb12u10
apt-get download -q "redis-tools=$version" liblzf1=3.6-3 libjemalloc2=5.3.0-1 >/dev/null 2>&1
for package in *.deb; do dpkg-deb -x "$package" root; done
export LD_LIBRARY_PATH="$dir/root/usr/lib/x86_64-linux-gnu"
cp root/usr/bin/redis-check-rdb redis-server # one program, known by its name
./redis-server --port 0 --unixsocket "$dir/socket" --dir "$dir" --save "" >log 2>&1 &
pid=$!
cli() { root/usr/bin/redis-cli -s "$dir/socket" "$@"; }
for _ in $(seq 100); do [ -S socket ] && break; sleep 0.1; done
has() { if grep -q deletedwords "$1"; then echo yes; else echo no; fi; }
cli XADD s 1-1 m deletedwords >/dev/null
cli XADD s 1-2 m other >/dev/null
cli XDEL s 1-1 >/dev/null
cli XRANGE s - + >range
cli DUMP s >dump
cli SAVE >/dev/null
{
	echo "XRANGE: $(has range)  DUMP: $(has dump)  RDB: $(has dump.rdb)"
	for i in $(seq 3 250); do echo "XADD s 1-$i m other"; done | cli >/dev/null
	cli XTRIM s MAXLEN = 100 >/dev/null
	cli DUMP s >dump
	echo "DUMP after its node of the stream was trimmed away: $(has dump)"
} >got
cat >want <<'EOW'
XRANGE: no  DUMP: yes  RDB: yes
DUMP after its node of the stream was trimmed away: no
EOW
echo "$(./redis-server --version | cut -d' ' -f1-3); does it hold the deleted words? expected: no, everywhere; seen:"
cat got
diff want got
