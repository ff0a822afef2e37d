#!/usr/bin/env bash
# A server of the S3 protocol over a directory: Versity's S3 gateway, built from its Go module. See
# scripts/services.sh.
#
#   WEIR_TEST_S3            http://host:port
#   WEIR_TEST_S3_TLS        https://host:port of a second one, whose authority is WEIR_TEST_S3_CA
#   WEIR_TEST_S3_ACCESS     the access key of both, with the secret in WEIR_TEST_S3_SECRET
#   WEIR_TEST_S3_CONTROL    a program: CONTROL stop | kill | start, for the first one
set -euo pipefail
. "$(dirname "$0")/../common.bash"
cd "$(dirname "$0")/../.."

version=v1.8.0
home=$PWD/.tools/services/s3
program=$home/versitygw

install() {
	debian openssl "command -v openssl"
	[ "$(cat "$home/.weir" 2>/dev/null)" = "$version" ] && return
	echo "building Versity's S3 gateway" >&2
	mkdir -p "$home"
	GOBIN=$home GOFLAGS=-mod=mod go install "github.com/versity/versitygw/cmd/versitygw@$version" || die "go install failed"
	echo "$version" >"$home/.weir"
}

# serve DIR PORT OPTIONS starts a gateway whose control program is DIR/control.
serve() {
	mkdir -p "$1/data" "$1/meta"
	control "$1" "env ROOT_ACCESS_KEY=$access ROOT_SECRET_KEY=$secret $program --quiet --port 127.0.0.1:$2 $3 posix --sidecar $1/meta $1/data"
	"$1/control" start
	await "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", $2))'"
}

case "$1" in
install) install ;;
start)
	dir=$2
	access=weir
	secret=$(head -c 18 /dev/urandom | od -An -tx1 | tr -d ' \n')
	port=$(free_port)
	serve "$dir" "$port" ""
	openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=weir-test -addext 'subjectAltName=IP:127.0.0.1,DNS:localhost' \
		-keyout "$dir/key.pem" -out "$dir/ca.pem" 2>/dev/null
	tls_port=$(free_port)
	mkdir "$dir/tls"
	serve "$dir/tls" "$tls_port" "--cert $dir/ca.pem --key $dir/key.pem"
	{
		echo "export WEIR_TEST_S3=http://127.0.0.1:$port"
		echo "export WEIR_TEST_S3_TLS=https://127.0.0.1:$tls_port"
		echo "export WEIR_TEST_S3_CA=$dir/ca.pem"
		echo "export WEIR_TEST_S3_ACCESS=$access"
		echo "export WEIR_TEST_S3_SECRET=$secret"
		echo "export WEIR_TEST_S3_CONTROL=$dir/control"
	} >"$dir/env"
	;;
stop)
	"$2/control" kill
	[ ! -e "$2/tls/control" ] || "$2/tls/control" kill
	;;
*) exit 2 ;;
esac
