#!/usr/bin/env bash
# Redis of Debian: one server, and a cluster of two. See scripts/services.sh.
#
#   WEIR_TEST_REDIS           host:port, with the password in WEIR_TEST_REDIS_PASSWORD
#   WEIR_TEST_REDIS_CONTROL   a program: CONTROL stop | kill | start
#   WEIR_TEST_REDIS_CLUSTER   host:port of a node of the cluster; the same password
#
# The servers write their append-only files with each answer (appendfsync always), so that a
# killed one comes back with all that it has answered.
set -euo pipefail
. "$(dirname "$0")/../common.bash"

case "$1" in
install) debian redis-server "command -v redis-server" ;;
start)
	dir=$2
	port=$(free_port)
	password=$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')
	server="redis-server --bind 127.0.0.1 --requirepass $password --appendonly yes --appendfsync always --save ''"
	control "$dir" "$server --port $port --dir $dir"
	"$dir/control" start
	nodes=()
	for i in 1 2; do
		mkdir "$dir/node$i"
		node=$(free_port)
		while [ "$node" -gt 55000 ]; do node=$(free_port); done # the port of the cluster's bus is 10000 above
		control "$dir/node$i" "$server --port $node --dir $dir/node$i --cluster-enabled yes"
		"$dir/node$i/control" start
		await "redis-cli -p $node -a $password --no-auth-warning ping"
		nodes+=("$node")
	done
	cli="redis-cli -a $password --no-auth-warning"
	$cli -p "${nodes[0]}" cluster addslotsrange 0 8191 >/dev/null
	$cli -p "${nodes[1]}" cluster addslotsrange 8192 16383 >/dev/null
	$cli -p "${nodes[0]}" cluster meet 127.0.0.1 "${nodes[1]}" >/dev/null
	await "redis-cli -p $port -a $password --no-auth-warning ping"
	for node in "${nodes[@]}"; do await "$cli -p $node cluster info | grep -q cluster_state:ok"; done
	{
		echo "export WEIR_TEST_REDIS=127.0.0.1:$port"
		echo "export WEIR_TEST_REDIS_PASSWORD=$password"
		echo "export WEIR_TEST_REDIS_CONTROL=$dir/control"
		echo "export WEIR_TEST_REDIS_CLUSTER=127.0.0.1:${nodes[0]}"
	} >"$dir/env"
	;;
stop)
	for d in "$2" "$2/node1" "$2/node2"; do
		if [ -x "$d/control" ]; then "$d/control" kill; fi
	done
	;;
*) exit 2 ;;
esac
