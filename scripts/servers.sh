#!/usr/bin/env bash
# Starts a private PostgreSQL and a private MariaDB on loopback, runs a command with them,
# and stops and removes them:
#
#   scripts/servers.sh run CMD...
#
# CMD sees, for each server, a connection string and what it takes to stop and start it:
#
#   WEIR_TEST_POSTGRES            postgres://weir:...@127.0.0.1:PORT/weir?sslmode=disable
#   WEIR_TEST_MARIADB             mysql://weir:...@127.0.0.1:PORT/weir
#   WEIR_TEST_POSTGRES_CONTROL    a program: CONTROL stop | kill | start
#   WEIR_TEST_MARIADB_CONTROL     the same
#
# The servers are those of Debian, found by their major versions and installed by apt-get if
# they are missing, which needs root. Nothing else is touched: data, sockets and logs are in a
# directory of their own that is removed at the end, ports are free ones, and the servers that
# Debian may have set up are left alone.
set -euo pipefail

# The versions that the tests are for. Others may do; say so by these variables.
POSTGRES_MAJORS=${WEIR_POSTGRES_MAJORS:-"15 16 17"}
MARIADB_MAJORS=${WEIR_MARIADB_MAJORS:-"10 11"}

die() {
	echo "scripts/servers.sh: $*" >&2
	exit 1
}

usage() {
	sed -n '2,17s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

[ "${1:-}" = run ] && [ $# -ge 2 ] || usage
shift

updated=
install_packages() {
	command -v apt-get >/dev/null || die "$1 is not installed, and there is no apt-get to install it; install version $2 and try again"
	[ "$(id -u)" = 0 ] || die "$1 is not installed; run as root once, or: apt-get install $1"
	echo "installing $1" >&2
	if [ -z "$updated" ]; then
		apt-get update -qq >&2 || die "apt-get update failed"
		updated=1
	fi
	# Packages start their servers when they are set up; this keeps them from it.
	local policy=/usr/sbin/policy-rc.d made=
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
		made=1
	fi
	local ok=1
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >&2 || ok=
	[ -z "$made" ] || rm -f $policy
	[ -n "$ok" ] || die "apt-get install $1 failed"
}

# in_list WORD LIST
in_list() { case " $2 " in *" $1 "*) true ;; *) false ;; esac; }

find_postgres() {
	local major bin
	for major in $POSTGRES_MAJORS; do
		bin=/usr/lib/postgresql/$major/bin
		if [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ]; then
			echo "$bin"
			return
		fi
	done
	if command -v postgres >/dev/null && command -v initdb >/dev/null; then
		major=$(postgres --version | grep -o '[0-9][0-9]*' | head -n1)
		if in_list "$major" "$POSTGRES_MAJORS"; then
			dirname "$(readlink -f "$(command -v initdb)")"
		fi
	fi
}

find_mariadb() {
	local bin major
	for bin in mariadbd /usr/sbin/mariadbd mysqld /usr/sbin/mysqld; do
		bin=$(command -v "$bin") || continue
		"$bin" --version 2>/dev/null | grep -q MariaDB || continue
		major=$("$bin" --version | grep -o 'Ver [0-9][0-9]*' | grep -o '[0-9]*')
		if in_list "$major" "$MARIADB_MAJORS"; then
			echo "$bin"
		fi
		return
	done
}

postgres_bin=$(find_postgres)
if [ -z "$postgres_bin" ]; then
	install_packages postgresql "$POSTGRES_MAJORS"
	postgres_bin=$(find_postgres)
	[ -n "$postgres_bin" ] || die "no PostgreSQL of version $POSTGRES_MAJORS was found; set WEIR_POSTGRES_MAJORS to allow another one"
fi
mariadbd=$(find_mariadb)
if [ -z "$mariadbd" ]; then
	install_packages mariadb-server "$MARIADB_MAJORS"
	mariadbd=$(find_mariadb)
	[ -n "$mariadbd" ] || die "no MariaDB of version $MARIADB_MAJORS was found; set WEIR_MARIADB_MAJORS to allow another one"
fi
mariadb_install=$(command -v mariadb-install-db || command -v mysql_install_db) || die "mariadb-install-db is missing"
mariadb_client=$(command -v mariadb || command -v mysql) || die "the client of MariaDB is missing"
for tool in setsid python3; do
	command -v $tool >/dev/null || die "$tool is missing"
done

# PostgreSQL refuses to run as root.
as=()
owner=
if [ "$(id -u)" = 0 ]; then
	for owner in postgres nobody; do
		id "$owner" >/dev/null 2>&1 && break
	done
	as=(setpriv "--reuid=$owner" "--regid=$(id -g "$owner")" --clear-groups)
	command -v setpriv >/dev/null || die "setpriv is missing"
fi

dir=$(mktemp -d "${TMPDIR:-/tmp}/weir-servers.XXXXXX")
cleanup() {
	trap - EXIT INT TERM
	for control in "$dir/postgres.control" "$dir/mariadb.control"; do
		[ -x "$control" ] && "$control" kill >/dev/null 2>&1 || true
	done
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
chmod 711 "$dir"
mkdir "$dir/pg" "$dir/my" "$dir/run"
[ -z "$owner" ] || chown "$owner" "$dir/pg" "$dir/my" "$dir/run"

password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
pg_port=$(free_port)
my_port=$(free_port)

# control NAME COMMAND STOP-SIGNAL makes the program that stops and starts a server.
control() {
	cat >"$dir/$1.control" <<END
#!/usr/bin/env bash
# stop ends the server in good order, kill at once, start waits until it answers.
set -u
pidfile=$dir/$1.pid
running() { [ -s "\$pidfile" ] && kill -0 "\$(cat "\$pidfile")" 2>/dev/null; }
gone() {
	for _ in \$(seq 600); do
		running || { rm -f "\$pidfile"; return 0; }
		sleep 0.05
	done
	return 1
}
case "\${1:-}" in
start)
	running && exit 0
	setsid $2 >>$dir/$1.log 2>&1 </dev/null &
	echo \$! >"\$pidfile"
	for _ in \$(seq 600); do
		running || { cat $dir/$1.log >&2; exit 1; }
		if $4 >/dev/null 2>&1; then exit 0; fi
		sleep 0.05
	done
	cat $dir/$1.log >&2
	exit 1
	;;
stop) running || exit 0; kill -$3 "\$(cat "\$pidfile")"; gone ;;
kill)
	running || exit 0
	# PostgreSQL has a process for each connection, which must be gone, too.
	children=\$(ps -o pid= --ppid "\$(cat "\$pidfile")")
	kill -KILL "\$(cat "\$pidfile")" \$children 2>/dev/null
	gone
	;;
*) echo "stop, kill or start" >&2; exit 2 ;;
esac
END
	chmod 755 "$dir/$1.control"
}

echo "starting $("$postgres_bin/postgres" --version) and $("$mariadbd" --version | sed 's/.*Ver /MariaDB /')" >&2

printf '%s\n' "$password" >"$dir/run/pw"
[ -z "$owner" ] || chown "$owner" "$dir/run/pw"
(cd "$dir" && "${as[@]}" "$postgres_bin/initdb" -D "$dir/pg" -U weir -A scram-sha-256 --pwfile="$dir/run/pw" -E UTF8 --locale=C.UTF-8 >"$dir/postgres.log" 2>&1) || {
	cat "$dir/postgres.log" >&2
	die "initdb failed"
}
rm "$dir/run/pw"
control postgres "${as[*]} $postgres_bin/postgres -D $dir/pg -h 127.0.0.1 -p $pg_port -k $dir/run -c max_connections=60" INT \
	"$postgres_bin/pg_isready -q -h 127.0.0.1 -p $pg_port"

(cd "$dir" && "${as[@]}" "$mariadb_install" --no-defaults --datadir="$dir/my" --auth-root-authentication-method=normal --skip-test-db >"$dir/mariadb.log" 2>&1) || {
	cat "$dir/mariadb.log" >&2
	die "mariadb-install-db failed"
}
control mariadb "${as[*]} $mariadbd --no-defaults --datadir=$dir/my --bind-address=127.0.0.1 --port=$my_port --socket=$dir/run/my.sock --pid-file=$dir/my/pid --innodb-buffer-pool-size=64M --max-allowed-packet=16M" TERM \
	"$mariadb_client --no-defaults -u root -S $dir/run/my.sock -e 'SELECT 1'"

"$dir/postgres.control" start || die "PostgreSQL does not start"
"$dir/mariadb.control" start || die "MariaDB does not start"

PGPASSWORD=$password "$postgres_bin/psql" -q -h 127.0.0.1 -p "$pg_port" -U weir -d postgres -c 'CREATE DATABASE weir' >&2 || die "PostgreSQL does not answer"
"$mariadb_client" --no-defaults -u root -S "$dir/run/my.sock" >&2 <<END || die "MariaDB does not answer"
CREATE DATABASE weir CHARACTER SET utf8mb4;
CREATE USER weir@'127.0.0.1' IDENTIFIED BY '$password';
GRANT ALL PRIVILEGES ON *.* TO weir@'127.0.0.1' WITH GRANT OPTION;
END

export WEIR_TEST_POSTGRES="postgres://weir:$password@127.0.0.1:$pg_port/weir?sslmode=disable"
export WEIR_TEST_MARIADB="mysql://weir:$password@127.0.0.1:$my_port/weir"
export WEIR_TEST_POSTGRES_CONTROL="$dir/postgres.control"
export WEIR_TEST_MARIADB_CONTROL="$dir/mariadb.control"
"$@"
