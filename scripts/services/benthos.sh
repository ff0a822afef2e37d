#!/usr/bin/env bash
# Benthos, the core of Redpanda Connect, built from its Go module: no server, but a program at the
# other end of pipes. See scripts/services.sh.
#
#   WEIR_TEST_BENTHOS   the program
set -euo pipefail
. "$(dirname "$0")/../common.bash"
cd "$(dirname "$0")/../.."

from=$PWD/internal/connect/pipe/testdata/benthos
home=$PWD/.tools/services/benthos

case "$1" in
install)
	want=$(cat "$from/main.go" "$from/go.mod" "$from/go.sum" | sha256sum | cut -d' ' -f1)
	[ "$(cat "$home/.weir" 2>/dev/null)" = "$want" ] && exit
	echo "building Benthos" >&2
	mkdir -p "$home"
	(cd "$from" && go build -o "$home/benthos" .) || die "go build failed"
	echo "$want" >"$home/.weir"
	;;
start) echo "export WEIR_TEST_BENTHOS=$home/benthos" >"$2/env" ;;
stop) ;;
*) exit 2 ;;
esac
