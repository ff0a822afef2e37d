#!/usr/bin/env bash
# Redis of Debian. See scripts/services.sh.
#
#   WEIR_TEST_REDIS           host:port, with the password in WEIR_TEST_REDIS_PASSWORD
#   WEIR_TEST_REDIS_CONTROL   a program: CONTROL stop | kill | start
set -euo pipefail
. "$(dirname "$0")/../common.bash"

case "$1" in
install) debian redis-server "command -v redis-server" ;;
start)
	dir=$2
	port=$(free_port)
	password=$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')
	control "$dir" "redis-server --bind 127.0.0.1 --port $port --requirepass $password --dir $dir --appendonly yes --save ''"
	"$dir/control" start
	await "redis-cli -p $port -a $password --no-auth-warning ping"
	{
		echo "export WEIR_TEST_REDIS=127.0.0.1:$port"
		echo "export WEIR_TEST_REDIS_PASSWORD=$password"
		echo "export WEIR_TEST_REDIS_CONTROL=$dir/control"
	} >"$dir/env"
	;;
stop) "$2/control" kill ;;
*) exit 2 ;;
esac
