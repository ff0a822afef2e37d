#!/usr/bin/env bash
# Installs the clients that others wrote, and runs a command with them:
#
#   scripts/peers.sh run CMD...     install what is missing, then run CMD
#   scripts/peers.sh lock           write the lock files anew, from package.json, requirements.in
#                                   and pom.xml
#
# CMD sees which Python has which client, and where Java finds its own:
#
#   WEIR_PEER_PYTHON        azure-eventhub of today, confluent-kafka, kafka-python, fluent-logger
#   WEIR_PEER_DEBIAN        Debian's Python with python3-azure and python3-qpid-proton
#   WEIR_PEER_JAVA          class path of azure-messaging-eventhubs and kafka-clients
#
# JavaScript's come with npm into internal/peertest/testdata/js/node_modules, Python's and Java's
# into .tools/peers, all with the versions and hashes of their lock files; git ignores these places.
# The others are Debian's packages, installed by apt-get if they are missing, which needs root.
# A client that cannot be had is an error.
set -euo pipefail
cd "$(dirname "$0")/.."

clients=$PWD/internal/peertest/testdata
venv=$PWD/.tools/peers/python
jars=$PWD/.tools/peers/java

die() {
	echo "scripts/peers.sh: $*" >&2
	exit 1
}

usage() {
	sed -n '2,18s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

need() {
	for tool in "$@"; do
		command -v "$tool" >/dev/null || die "$tool is missing; install it and try again"
	done
}

# stamp FILE... tells whether files have changed.
stamp() { cat "$@" | sha256sum | cut -d' ' -f1; }

javascript() {
	need node npm
	node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || a == 20 && b >= 19 ? 0 : 1)' ||
		die "node $(node --version) is too old; the clients need 20.19"
	local want
	want=$(stamp "$clients/js/package-lock.json")
	[ "$(cat "$clients/js/node_modules/.weir" 2>/dev/null)" = "$want" ] && return
	echo "installing the clients of package-lock.json" >&2
	(cd "$clients/js" && npm ci --silent --no-audit --no-fund) || die "npm ci failed"
	echo "$want" >"$clients/js/node_modules/.weir"
}

python() {
	need python3
	local want
	want=$(stamp "$clients/python/requirements.txt")
	[ "$(cat "$venv/.weir" 2>/dev/null)" = "$want" ] && return
	echo "installing the clients of requirements.txt" >&2
	rm -rf "$venv"
	python3 -m venv --without-pip "$venv" || die "python3 -m venv failed"
	python3 -m pip --python "$venv/bin/python" install -q --require-hashes --only-binary :all: -r "$clients/python/requirements.txt" >&2 ||
		die "pip install failed; it takes pip 22.3 or later"
	echo "$want" >"$venv/.weir"
}

# fetch puts the jars of pom.xml into a directory.
fetch() {
	mvn -q -B -f "$clients/java/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$1" >&2 || die "mvn failed"
}

java_clients() {
	need java javac mvn
	local want
	want=$(stamp "$clients/java/pom.xml" "$clients/java/jars.sha256" "$clients"/java/*.java)
	[ "$(cat "$jars/.weir" 2>/dev/null)" = "$want" ] && return
	echo "installing the clients of pom.xml" >&2
	rm -rf "$jars"
	mkdir -p "$jars/lib" "$jars/classes"
	fetch "$jars/lib"
	(cd "$jars/lib" && sha256sum *.jar | cmp -s - "$clients/java/jars.sha256") || die "the jars are not those of jars.sha256: $jars/lib"
	javac -proc:none -nowarn -d "$jars/classes" -cp "$jars/lib/*" "$clients"/java/*.java >&2 || die "javac failed"
	echo "$want" >"$jars/.weir"
}

# debian installs the packages of which a test fails: PACKAGE TEST...
debian() {
	local missing=() list=(
		kcat "command -v kcat"
		mosquitto-clients "command -v mosquitto_pub"
		ruby "command -v ruby"
		openjdk-17-jdk-headless "command -v javac"
		maven "command -v mvn"
		curl "command -v curl"
		python3-azure "/usr/bin/python3 -c 'import azure.eventhub'"
		python3-qpid-proton "/usr/bin/python3 -c 'import proton'"
	)
	for ((i = 0; i < ${#list[@]}; i += 2)); do
		sh -c "${list[i + 1]}" >/dev/null 2>&1 || missing+=("${list[i]}")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	command -v apt-get >/dev/null || die "${missing[*]}: not installed, and there is no apt-get to install it"
	[ "$(id -u)" = 0 ] || die "${missing[*]}: not installed; run as root once, or: apt-get install ${missing[*]}"
	echo "installing ${missing[*]}" >&2
	apt-get update -qq >&2 || die "apt-get update failed"
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Options::=--force-unsafe-io "${missing[@]}" >/dev/null ||
		die "apt-get install failed"
	for ((i = 0; i < ${#list[@]}; i += 2)); do
		sh -c "${list[i + 1]}" >/dev/null 2>&1 || die "${list[i]} is installed and does not work: ${list[i + 1]}"
	done
}

case "${1:-}" in
run)
	shift
	[ $# -ge 1 ] || usage
	javascript &
	first=$!
	python &
	second=$!
	debian
	wait $first
	wait $second
	java_clients
	export WEIR_PEER_PYTHON=$venv/bin/python WEIR_PEER_DEBIAN=/usr/bin/python3 "WEIR_PEER_JAVA=$jars/classes:$jars/lib/*"
	exec "$@"
	;;
lock)
	need npm python3 mvn
	# Neither file says which registry it was: that is the machine's business.
	(cd "$clients/js" && rm -f package-lock.json && npm install --silent --package-lock-only --omit-lockfile-registry-resolved)
	tools=$(mktemp -d)
	trap 'rm -rf "$tools"' EXIT
	python3 -m venv --without-pip "$tools"
	python3 -m pip --python "$tools/bin/python" install -q pip-tools==7.6.2
	(cd "$clients/python" && "$tools/bin/python" -m piptools compile -q --upgrade --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header --strip-extras -o requirements.txt requirements.in)
	mkdir "$tools/java"
	fetch "$tools/java"
	(cd "$tools/java" && sha256sum *.jar) >"$clients/java/jars.sha256"
	;;
*) usage ;;
esac
