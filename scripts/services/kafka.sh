#!/usr/bin/env bash
# A Kafka broker: Apache Kafka's own jars, from Maven, with the versions of kafka/pom.xml and the
# hashes of kafka/jars.sha256, on Debian's Java. See scripts/services.sh.
#
#   WEIR_TEST_KAFKA           host:port, without TLS and password
#   WEIR_TEST_KAFKA_SASL      host:port with TLS, SCRAM and PLAIN; the user is weir
#   WEIR_TEST_KAFKA_PASSWORD  the user's password
#   WEIR_TEST_KAFKA_CA        the authority of its certificate, a PEM file
#   WEIR_TEST_KAFKA_CONTROL   a program: CONTROL stop | kill | start
#
# kafka.sh lock writes kafka/jars.sha256 anew.
set -euo pipefail
. "$(dirname "$0")/../common.bash"
cd "$(dirname "$0")/../.."

pom=$PWD/scripts/services/kafka/pom.xml
sums=$PWD/scripts/services/kafka/jars.sha256
home=$PWD/.tools/services/kafka

# fetch puts the jars of pom.xml into a directory.
fetch() {
	mvn -q -B -Dstyle.color=never -f "$pom" dependency:copy-dependencies "-DoutputDirectory=$1" >&2 || die "mvn failed"
}

install() {
	debian openjdk-17-jre-headless "command -v java"
	debian maven "command -v mvn"
	debian openssl "command -v openssl"
	local want
	want=$(cat "$pom" "$sums" | sha256sum | cut -d' ' -f1)
	[ "$(cat "$home/.weir" 2>/dev/null)" = "$want" ] && return
	echo "installing Kafka" >&2
	rm -rf "$home"
	mkdir -p "$home/lib"
	fetch "$home/lib"
	(cd "$home/lib" && sha256sum *.jar | cmp -s - "$sums") || die "the jars are not those of $sums: $home/lib"
	echo "$want" >"$home/.weir"
}

# certificate makes an authority for loopback and a key store that it has signed.
certificate() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=weir-test -addext 'subjectAltName=IP:127.0.0.1,DNS:localhost' \
		-keyout "$1/key.pem" -out "$1/ca.pem" 2>/dev/null
	cat "$1/key.pem" "$1/ca.pem" >"$1/store.pem"
}

java_kafka="java -Xmx512m -Xms256m -XX:+UseSerialGC -XX:TieredStopAtLevel=4 -Xshare:auto \
-Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info -cp '$home/lib/*'"

settings() {
	local scram=org.apache.kafka.common.security.scram.ScramLoginModule
	cat <<-EOF
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$control_port
		controller.listener.names=CONTROLLER
		listeners=PLAINTEXT://127.0.0.1:$port,SASL_SSL://127.0.0.1:$sasl_port,CONTROLLER://127.0.0.1:$control_port
		listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
		inter.broker.listener.name=PLAINTEXT
		sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN
		listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=$scram required;
		listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=$scram required;
		listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_weir="$password";
		ssl.keystore.type=PEM
		ssl.keystore.location=$dir/store.pem
		log.dirs=$dir/data
		num.partitions=1
		auto.create.topics.enable=false
		offsets.topic.num.partitions=1
		offsets.topic.replication.factor=1
		transaction.state.log.num.partitions=1
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		group.initial.rebalance.delay.ms=0
		controlled.shutdown.enable=false
		broker.session.timeout.ms=4000
		broker.heartbeat.interval.ms=500
		num.recovery.threads.per.data.dir=2
		log.cleaner.dedupe.buffer.size=33554432
	EOF
}

case "$1" in
install) install ;;
lock)
	tools=$(mktemp -d)
	trap 'rm -rf "$tools"' EXIT
	fetch "$tools"
	(cd "$tools" && sha256sum *.jar) >"$sums"
	;;
start)
	dir=$2
	port=$(free_port)
	sasl_port=$(free_port)
	control_port=$(free_port)
	password=$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')
	certificate "$dir"
	settings >"$dir/server.properties"
	sh -c "$java_kafka kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAA -c $dir/server.properties \
		--add-scram 'SCRAM-SHA-256=[name=weir,password=$password]' --add-scram 'SCRAM-SHA-512=[name=weir,password=$password]'" >"$dir/format.log" 2>&1 ||
		die "the directory could not be made: $(cat "$dir/format.log")"
	control "$dir" "$java_kafka kafka.Kafka $dir/server.properties"
	"$dir/control" start
	await "grep -q 'Kafka Server started' $dir/server.log"
	{
		echo "export WEIR_TEST_KAFKA=127.0.0.1:$port"
		echo "export WEIR_TEST_KAFKA_SASL=127.0.0.1:$sasl_port"
		echo "export WEIR_TEST_KAFKA_PASSWORD=$password"
		echo "export WEIR_TEST_KAFKA_CA=$dir/ca.pem"
		echo "export WEIR_TEST_KAFKA_CONTROL=$dir/control"
	} >"$dir/env"
	;;
stop) "$2/control" kill ;;
*) exit 2 ;;
esac
