# What people and the automation call. "make test" is the whole check of a change;
# the others are parts of it or measurements.

# The linter is pinned and run from the module cache: nothing to install.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Packages whose goroutines are worth the race detector. Stages and decoders have none: they run
# under those of job.
RACE = ./internal/job ./internal/connect/... ./internal/hub/... \
	./internal/service ./internal/web ./cmd/weir

# Packages with tests against services, which the tag services builds.
SERVICES = $$(grep -rl --include=*_test.go '^//go:build services' internal/connect | xargs -n1 dirname | sort -u | sed 's,^,./,' | tr '\n' ' ')

# How long each fuzz target runs.
FUZZTIME = 10s

.PHONY: test lint race servers peers services power crash fuzz bench bench-duckdb bench-hub bench-jetstream weir

weir:
	go build -o bin/weir ./cmd/weir

# Vet and all tests: units, the conformance cases in every way (the shared ones too,
# where they lie beside the checkout), the command line's scripts, the README's blocks,
# and the tests of the code base itself. No part of it needs a network peer.
test:
	go vet ./...
	go test ./...

lint:
	@bad=$$(gofmt -l cmd internal); if [ -n "$$bad" ]; then echo "gofmt would change:"; echo "$$bad"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...

race:
	go test -race $(RACE)

# The tests that need database servers: a private PostgreSQL and MariaDB, which the script
# starts on loopback and removes. It installs Debian's packages if they are missing.
servers:
	scripts/servers.sh run sh -c "go test -count=1 -tags servers -run 'Postgres|MariaDB|Servers' ./internal/connect/sql && \
		go test -count=1 -run 'TestScripts/story_access$$' ./cmd/weir && \
		go test -count=1 -run 'TestKill$$' ./internal/crashtest -kills 12 -events 60000"

# Clients that others wrote against the real program: the official SDKs of Event Hubs, and
# clients of AMQP, Kafka, MQTT and Fluentd's forward protocol. The script installs them.
peers:
	scripts/peers.sh run go test -count=1 -tags peers ./internal/peertest

# The connectors against the services themselves: Kafka, Azurite, Redis, mosquitto ... The
# scripts in scripts/services install and start private ones on loopback, and remove them.
services:
	scripts/services.sh run sh -c "go test -count=1 -tags services -run Service $(SERVICES) && \
		go test -count=1 -tags services -run ServiceOutage ./internal/crashtest"

# The program on a file system that loses power: Linux with FUSE, as root.
power:
	go test -count=1 -tags lossy -run 'TestPower|TestHubPower' ./internal/crashtest -kills 20 -events 60000

# The long form of what docs/reliability.md promises; some ten minutes.
crash:
	scripts/servers.sh run go test -count=1 -v -timeout 1h -run 'TestKill$$' ./internal/crashtest -kills 200 -events 1000000 -patience 5m
	go test -count=1 -v -timeout 1h -run 'TestHubKill$$' ./internal/crashtest -hubkills 200 -patience 5m
	go test -count=1 -v -timeout 1h -tags lossy -run 'TestPower|TestHubPower' ./internal/crashtest -kills 200 -hubkills 200 -events 1000000 -patience 5m

# Each fuzz target for a short time. A finding lands in testdata/fuzz of its package:
# commit it with the fix.
fuzz:
	@set -e; for pkg in $$(grep -rl --include='*_test.go' '^func Fuzz' internal cmd | xargs -n1 dirname | sort -u); do \
		for target in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$pkg/*_test.go | sed 's/^func //'); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) ./$$pkg; \
		done; \
	done

bench: weir
	bin/weir bench

# The hub: its log beside an embedded NATS JetStream, in one run; then the program with clients
# that others wrote. Some five minutes, on a machine that does nothing else.
bench-hub: bench-jetstream weir
	scripts/peers.sh run go run ./bench/hub

bench-jetstream:
	cd bench/jetstream && go run .

# The same queries in DuckDB, single-threaded, beside ours. Needs node and npm.
bench-duckdb: weir
	cd bench/duckdb && npm ci --silent
	bin/weir bench --duckdb bench/duckdb
