#!/usr/bin/env bash
# @zeit/cosmosdb-server of npm: documents in memory, without transactional batches, ranges that
# split and a change feed. See scripts/services.sh.
#
#   WEIR_TEST_COSMOS           http://host:port, with any key
#   WEIR_TEST_COSMOS_CONTROL   a program: CONTROL stop | kill | start; it starts empty
set -euo pipefail
. "$(dirname "$0")/../common.bash"
home=$(cd "$(dirname "$0")/cosmos" && pwd)

case "$1" in
install)
	command -v node >/dev/null && command -v npm >/dev/null || die "node or npm is missing; install them and try again"
	want=$(sha256sum <"$home/package-lock.json")
	[ "$(cat "$home/node_modules/.weir" 2>/dev/null)" = "$want" ] && exit
	(cd "$home" && npm ci --silent --no-audit --no-fund >&2) || die "npm ci failed"
	echo "$want" >"$home/node_modules/.weir"
	;;
start)
	dir=$2
	port=$(free_port)
	control "$dir" "node $home/node_modules/@zeit/cosmosdb-server/lib/cli.js --no-ssl --host 127.0.0.1 -p $port"
	"$dir/control" start
	await "python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:$port/\")'"
	{
		echo "export WEIR_TEST_COSMOS=http://127.0.0.1:$port"
		echo "export WEIR_TEST_COSMOS_CONTROL=$dir/control"
	} >"$dir/env"
	;;
stop) "$2/control" kill ;;
*) exit 2 ;;
esac
