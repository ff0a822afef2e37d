#!/usr/bin/env bash
# Starts the services that connectors are tested with, private ones on loopback, runs a command
# with them, and stops and removes them:
#
#   scripts/services.sh run CMD...
#
# WEIR_SERVICES="redis kafka" takes these only. Each service is a script in scripts/services:
#
#   NAME.sh install       install what it needs, with pinned versions; quick if it is there
#   NAME.sh start DIR     start the server with its data and logs in DIR, wait until it answers,
#                         and leave there: env, lines of "export WEIR_TEST_...=", and pid
#   NAME.sh stop DIR      stop it; DIR is removed afterwards
#
# CMD sees the variables. A service that cannot be had is an error. Packages are installed by
# their package managers; Debian's need root.
set -euo pipefail
cd "$(dirname "$0")/.."

die() {
	echo "scripts/services.sh: $*" >&2
	exit 1
}

[ "${1:-}" = run ] && [ $# -ge 2 ] || {
	sed -n '2,16s/^# \{0,1\}//p' "$0" >&2
	exit 2
}
shift

names=${WEIR_SERVICES:-$(cd scripts/services && ls *.sh | sed 's/\.sh$//')}
root=$(mktemp -d)
finish() {
	for name in $names; do
		if [ -d "$root/$name" ]; then scripts/services/"$name".sh stop "$root/$name" >&2 || true; fi
	done
	rm -rf "$root"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

for name in $names; do
	[ -x "scripts/services/$name.sh" ] || die "there is no service $name"
	scripts/services/"$name".sh install >&2 || die "$name could not be installed"
done
pids=()
for name in $names; do
	mkdir "$root/$name"
	scripts/services/"$name".sh start "$root/$name" >"$root/$name/start.log" 2>&1 &
	pids+=($!)
done
i=0
for name in $names; do
	wait "${pids[$i]}" || {
		cat "$root/$name"/*.log >&2
		die "$name did not start"
	}
	i=$((i + 1))
	# shellcheck disable=SC1091
	. "$root/$name/env"
done
"$@"
