# What people and CI run: "make check" before each commit, "make ci" for everything. CONTRIBUTING.md says how long each
# target takes, and which programs it needs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c

# go tool runs a tool that tools/go.mod pins.
tool := go tool -modfile=tools/go.mod

# Suites that start the real thing have targets of their own.
packages  = $(shell go list ./... | grep -v -e /test/browser -e /test/faults -e /test/badnet -e /test/sim)
unit      = $(shell go list ./... | grep -v -e /test/ -e /internal/node$$ -e /internal/redisbroker$$)

# seeds of "make sim", split over two processes as each uses one processor.
seeds ?= 1200

.PHONY: help check format vet lint unit vuln web generate modules test long race fuzz faults badnet sim defences browser pace bench curves compare run smoke ci

help: ## this list
	@grep -hE '^[a-z]+:' $(MAKEFILE_LIST) | sed -E 's/:[^#]*(## )?/\t/' | expand -t 12

check: format vet lint unit ## before each commit: under a minute once everything is built

format: ## gofmt and go mod tidy
	@unformatted=$$(find . -name '*.go' -not -path '*/node_modules/*' -exec gofmt -l {} +); [ -z "$$unformatted" ] || { echo "not formatted: $$unformatted"; exit 1; }
	go mod tidy -diff

vet: ## go vet, also for other systems
	go vet ./...
	GOOS=windows go vet . ./internal/... ./bench/... ./embed ./web/... ./test/badnet ./test/faults ./test/sim ./test/socketio/...
	GOOS=darwin go vet ./...

lint: ## linters, and the arrows between packages (.golangci.yml)
	$(tool) golangci-lint run ./...

unit: ## tests that start no real node
	go test $(unit)

vuln: ## known vulnerabilities in what the program calls
	$(tool) govulncheck ./...

modules: test/socketio/testdata/node_modules web/node_modules ## what npm installs for the tests

web: web/node_modules ## types and style of the pages' scripts
	cd web && npx tsc -p jsconfig.json && npx eslint .

generate: ## web/dist, after a change to a module or style sheet of the pages
	go generate ./web

test: ## all tests at their usual length
	go test ./...

long: modules ## all packages but the suites below at full length
	CHAT_LONG=1 go test -timeout 20m $(packages)

race: ## tests at their usual length, with the race detector
	go test -race -shuffle=on -timeout 30m $(filter-out %/docs %/web,$(packages)) ./test/sim ./test/faults ./test/badnet

fuzz: ## some seconds of fuzzing what nodes publish to each other, and the embedded broker's native scripts
	go test ./internal/redisbroker -run - -fuzz FuzzDecodeLine -fuzztime 30000x
	go test ./internal/redisbroker -run - -fuzz FuzzEncodeLine -fuzztime 20000x
	go test ./embed -run - -fuzz FuzzNativeScripts -fuzztime 2000x -fuzzminimizetime 10x

faults: ## breaks a chat of real processes and a real Redis in some thirty ways
	CHAT_LONG=1 go test ./test/faults -count=1 -v -timeout 60m | grep -v '^=== '

badnet: ## bad networks, by root on Linux
	CHAT_LONG=1 go test ./test/badnet -count=1 -v | grep -v '^=== '

sim: ## worlds in virtual time: make sim seeds=2000
	dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; half=$$(( $(seeds) / 2 )); \
	go test -c -o "$$dir/test" ./test/sim; cd test/sim; \
	CHAT_SEED=1 CHAT_COUNT=$$half "$$dir/test" -test.run='^TestWhateverBreaks$$' -test.timeout=60m & first=$$!; \
	CHAT_SEED=$$((half + 1)) CHAT_COUNT=$$half "$$dir/test" -test.run='^TestWhateverBreaks$$' -test.timeout=60m & second=$$!; \
	failed=; wait $$first || failed=1; wait $$second || failed=1; [ -z "$$failed" ]; \
	"$$dir/test" -test.skip='^(TestWhateverBreaks|TestWithoutADefence.*)$$' -test.timeout=20m

defences: ## each defence is needed: without it a test fails
	CHAT_LONG=1 go test ./test/sim -timeout 30m -count=1 -run '^TestWithoutADefence'

browser: modules ## the pages in Chromium and Firefox
	go test ./test/browser -timeout 20m

pace: ## how fast the pages are
	CHAT_MEASURE=1 go test ./test/browser -count=1 -v -timeout 15m -run '^Test(TenThousand|Typing|AWarm)'

bench: ## what a delivery costs on both transports
	CHAT_MEASURE=1 go test ./test/program -run '^TestADelivery' -count=1 -v

curves: ## how costs grow with rooms, members and clients
	CHAT_MEASURE=1 go test ./bench/curves -count=1 -v -timeout 30m

compare: ## chat beside Centrifugo and Socket.IO; writes BENCHMARKS.md
	go run ./bench/compare

run: ## three nodes and an embedded broker on http://localhost:8080
	go run . --nodes 3

smoke: ## the built program passes a message between three nodes
	.ci/smoke

test/socketio/testdata/node_modules web/node_modules: %/node_modules: %/package-lock.json
	@# npm ci empties what is there, so a folder that is shared by a link stays as it is.
	if [ -L $@ ]; then touch -h $@; else npm ci --prefix $* --no-audit --no-fund; touch $@; fi

ci: ## all of it, as CI does: about 27 minutes on two processors
	.ci/run
