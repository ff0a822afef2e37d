# What the scripts that install and start services share. It is sourced.

die() {
	echo "$0: $*" >&2
	exit 1
}

# free_port prints a port of loopback that nobody listens on.
free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# debian installs a package of Debian if a test fails: debian PACKAGE TEST. Packages do not start
# their servers.
debian() {
	sh -c "$2" >/dev/null 2>&1 && return
	command -v apt-get >/dev/null || die "$1 is not installed, and there is no apt-get to install it"
	[ "$(id -u)" = 0 ] || die "$1 is not installed; run as root once, or: apt-get install $1"
	echo "installing $1" >&2
	local policy=/usr/sbin/policy-rc.d made=
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
		made=1
	fi
	local ok=1
	apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		-o DPkg::Options::=--force-unsafe-io "$1" >&2 || ok=
	[ -z "$made" ] || rm -f $policy
	[ -n "$ok" ] || die "apt-get install $1 failed"
	sh -c "$2" >/dev/null 2>&1 || die "$1 is installed and does not work: $2"
}

# control writes DIR/control, which starts a command line in the background and ends it:
# control DIR COMMAND.
control() {
	cat >"$1/control" <<EOF
#!/usr/bin/env bash
set -eu
# One that nobody has waited for yet is gone as well, unless threads of it still end (l).
alive() {
	[ -e $1/pid ] && kill -0 \$(cat $1/pid) 2>/dev/null && ! ps -o stat= -p \$(cat $1/pid) | grep -q '^Z[^l]*\$'
}
case "\$1" in
start)
	if alive; then exit 0; fi
	nohup setsid $2 >>$1/server.log 2>&1 </dev/null &
	echo \$! >$1/pid
	;;
stop | kill)
	signal=TERM
	[ "\$1" = stop ] || signal=KILL
	[ -e $1/pid ] || exit 0
	kill -\$signal -- -\$(cat $1/pid) 2>/dev/null || kill -\$signal \$(cat $1/pid) 2>/dev/null || true
	while alive; do sleep 0.05; done
	rm -f $1/pid
	;;
*) exit 2 ;;
esac
EOF
	chmod 755 "$1/control"
}

# await tries a command until it succeeds, for a minute.
await() {
	for _ in $(seq 600); do
		sh -c "$1" >/dev/null 2>&1 && return
		sleep 0.1
	done
	die "no answer: $1"
}
