# Two commands do everything on a fresh machine: make demo, make test.
.DEFAULT_GOAL := help
.PHONY: help demo test peers check build bench bench-directory bench-oauth bench-relay bench-telegraf simulate wires mutate fuzz race cross clean

AGENT_SIDE = ./agent/... ./drivers/... ./energy/... ./store/... ./uplink/... ./identity/... ./cmd/perseus-agent/...
FUZZTIME  ?= 30s
SEEDS     ?= 8
SEED      ?= 1
YEARS     ?= 1
METERS    ?= 16
PERMISSIONS ?= 1000000
STORED    ?= 10000

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: ## the whole way on this machine, from a simulated meter to the bank (ARGS=--headless for no questions)
	go run ./cmd/perseus-sim demo $(ARGS)

test: peers ## every test, against real peers (installs them where it may); then no secret that they made may be in a log
	./scripts/with-postgres go run ./internal/secrets/suite -whole -timeout 20m ./...

peers: ## Mosquitto, PostgreSQL, Chromium and the scheme's Python tools for the tests
	@./scripts/peers

check: ## formatting, go vet, staticcheck, known vulnerabilities, the Windows and 32-bit builds
	@./scripts/check

build: ## the three programs into bin/
	go build -trimpath -ldflags "-s -w" -o bin/ ./cmd/...

race: ## the tests of the gateway's side under the race detector
	go test -race -timeout 20m $(AGENT_SIDE)

bench: ## the measures, side by side with their baselines in one run
	go run ./internal/bench

bench-directory: ## a directory of 100,000 members and 300,000 certificates on SQLite and PostgreSQL, beside bare cryptography and bare database (ARGS='-span 5s')
	./scripts/with-postgres go run ./internal/bench/directory $(ARGS)

bench-oauth: ## permissions: flows, refreshes and token checks a second beside a bare mutual-TLS handler; on PostgreSQL up to PERMISSIONS of them (a few minutes)
	./scripts/with-postgres go test ./relay/permission -count 1 -timeout 60m -v -run TestMeasures -args -measure 10s -permissions $(PERMISSIONS)

bench-relay: ## a year's readings served, half-hours ingested and tokens checked a second, as PostgreSQL fills to STORED meters of 400 days (a few minutes, 4 GB of disk)
	./scripts/with-postgres go test ./relay/consumption -count 1 -timeout 60m -v -run TestMeasures -args -measure 10s -meters $(STORED)

bench-telegraf: ## perseus-agent beside Telegraf: requests for the same fields; CPU and memory with 1,000 meters (fetches and builds Telegraf)
	cd internal/bench/telegraf && export GOFLAGS="$$GOFLAGS -mod=mod" && go test -count 1 -v . && go run . $(ARGS)

simulate: ## years of a whole site under faults, against the simulator's own truth (SEEDS=8 YEARS=1 SEED=1 METERS=16 MORE=-sparse)
	go test ./internal/simulation -cpu 1 -timeout 0 -count 1 -v -run TestSimulation -args -seeds $(SEEDS) -seed $(SEED) -years $(YEARS) -meters $(METERS) $(MORE)

wires: ## 10,000 reads over faulty wires in each mode, in real time, beside the plain libraries (about half an hour)
	go test ./drivers/modbus -count 1 -timeout 60m -v -run 'TestNoWrongValue|TestPlain' -args -reads 10000

mutate: ## change every comparison of the meter's mathematics, one at a time: a test must notice (about 30 minutes)
	go run ./internal/mutate ./energy ./energy/power ./energy/gas ./energy/virtual ./energy/unit ./energy/validate ./energy/substitute ./energy/hhfile

fuzz: ## every fuzz target for FUZZTIME each
	@./scripts/fuzz $(FUZZTIME)

cross: ## release builds for the gateways: Raspberry Pi (32 and 64 bit), PC, Windows
	@./scripts/cross

clean:
	rm -rf bin .demo .bench
