#!/usr/bin/env bash
# github.com/spf13/pflag: integer flags with a leading zero are octal, durations and floats with one are decimal.
#
# Expected: --n=010 is 10, as --f=010 and the seconds of --d=010s are, or it is refused.
# Seen: --n=010 is 8, without a word; --n=1_000 is 1000.
# Consequence: numbers that other programs pad with zeros change their value.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
version=v1.1.0
cat >go.mod <<EOM
module finding
go 1.24
require github.com/spf13/pflag $version
EOM
cat >main.go <<'EOG'
package main

import (
	"fmt"

	"github.com/spf13/pflag"
)

func main() {
	flags := pflag.NewFlagSet("finding", pflag.ContinueOnError)
	n, f, d := flags.Int("n", 0, ""), flags.Float64("f", 0, ""), flags.Duration("d", 0, "")
	fmt.Println(flags.Parse([]string{"--n=010", "--f=010", "--d=010s"}), *n, *f, *d)
	fmt.Println(flags.Parse([]string{"--n=1_000"}), *n)
}
EOG
cat >want <<'EOW'
<nil> 8 10 10s
<nil> 1000
EOW
go mod tidy >/dev/null 2>&1
echo "pflag $version; expected: 10 10 10s; seen:"
go run . | tee got
diff want got
