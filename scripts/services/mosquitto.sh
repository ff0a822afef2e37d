#!/usr/bin/env bash
# Mosquitto of Debian. See scripts/services.sh.
#
#   WEIR_TEST_MQTT            host:port, with WEIR_TEST_MQTT_USER and WEIR_TEST_MQTT_PASSWORD
#   WEIR_TEST_MQTT_TLS        host:port of the TLS listener, with the CA in WEIR_TEST_MQTT_CA
#   WEIR_TEST_MQTT_CONTROL    a program: CONTROL stop | kill | start
#
# The user has no right to topics below "forbidden".
set -euo pipefail
. "$(dirname "$0")/../common.bash"

case "$1" in
install) debian mosquitto "command -v mosquitto && command -v mosquitto_passwd" ;;
start)
	dir=$2
	port=$(free_port)
	tls=$(free_port)
	password=$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=weir-test \
		-addext "subjectAltName=IP:127.0.0.1" -keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null
	touch "$dir/passwords"
	chmod 600 "$dir/passwords"
	mosquitto_passwd -b "$dir/passwords" weir "$password"
	printf 'user weir\ntopic readwrite #\ntopic deny forbidden/#\n' >"$dir/access"
	cat >"$dir/mosquitto.conf" <<CONF
per_listener_settings false
user root
allow_anonymous false
password_file $dir/passwords
acl_file $dir/access
persistence true
persistence_location $dir/
max_inflight_messages 1000
max_queued_messages 1000000
set_tcp_nodelay true
listener $port 127.0.0.1
listener $tls 127.0.0.1
certfile $dir/cert.pem
keyfile $dir/key.pem
CONF
	control "$dir" "mosquitto -c $dir/mosquitto.conf"
	"$dir/control" start
	await "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", $port))'"
	{
		echo "export WEIR_TEST_MQTT=127.0.0.1:$port"
		echo "export WEIR_TEST_MQTT_TLS=127.0.0.1:$tls"
		echo "export WEIR_TEST_MQTT_CA=$dir/cert.pem"
		echo "export WEIR_TEST_MQTT_USER=weir"
		echo "export WEIR_TEST_MQTT_PASSWORD=$password"
		echo "export WEIR_TEST_MQTT_CONTROL=$dir/control"
	} >"$dir/env"
	;;
stop) "$2/control" kill ;;
*) exit 2 ;;
esac
