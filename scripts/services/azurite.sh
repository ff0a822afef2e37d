#!/usr/bin/env bash
# Azurite, Azure's own emulator of its storage, from npm, with the versions and hashes of
# azurite/package-lock.json. See scripts/services.sh.
#
#   WEIR_TEST_AZURITE           a connection string
#   WEIR_TEST_AZURITE_CONTROL   a program: CONTROL stop | kill | start
#
#   scripts/services/azurite.sh lock   write the lock file anew, from package.json
set -euo pipefail
. "$(dirname "$0")/../common.bash"

from=$(cd "$(dirname "$0")" && pwd)/azurite
tools=$(cd "$(dirname "$0")/../.." && pwd)/.tools/services/azurite

# version tells whether Node is new enough for Azurite.
version() {
	command -v node >/dev/null && command -v npm >/dev/null &&
		node -e 'process.exit(process.versions.node.split(".")[0] >= 18 ? 0 : 1)'
}

case "$1" in
install)
	version || die "Azurite needs node 18 or later, and npm"
	want=$(sha256sum <"$from/package-lock.json")
	[ "$(cat "$tools/node_modules/.weir" 2>/dev/null)" = "$want" ] && exit 0
	echo "installing Azurite" >&2
	mkdir -p "$tools"
	cp "$from/package.json" "$from/package-lock.json" "$tools"
	(cd "$tools" && npm ci --silent --no-audit --no-fund --ignore-scripts >&2) || die "npm ci failed"
	echo "$want" >"$tools/node_modules/.weir"
	;;
lock)
	# The file does not say which registry it was: that is the machine's business.
	(cd "$from" && rm -f package-lock.json && npm install --silent --package-lock-only --omit-lockfile-registry-resolved)
	;;
start)
	dir=$2
	port=$(free_port)
	account=weirtest
	key=$(head -c 64 /dev/urandom | base64 -w0)
	control "$dir" "env AZURITE_ACCOUNTS=$account:$key node $tools/node_modules/azurite/dist/src/blob/main.js --blobHost 127.0.0.1 --blobPort $port --location $dir/data --skipApiVersionCheck --disableTelemetry --silent"
	"$dir/control" start
	await "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", $port), 1)'"
	{
		echo "export WEIR_TEST_AZURITE='DefaultEndpointsProtocol=http;AccountName=$account;AccountKey=$key;BlobEndpoint=http://127.0.0.1:$port/$account;'"
		echo "export WEIR_TEST_AZURITE_CONTROL=$dir/control"
	} >"$dir/env"
	;;
stop) "$2/control" kill ;;
*) exit 2 ;;
esac
