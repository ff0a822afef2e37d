"""confluent-kafka (librdkafka) and kafka-python."""
import base64
import ssl

from world import body, run, say, text, world


def shown(partition, offset, key, value, headers):
    o = {"partition": str(partition), "seq": offset, "base64": base64.b64encode(value or b"").decode(), "properties": {k: text(v) for k, v in headers or []}}
    if key is not None:
        o["partitionKey"] = text(key)
    say(**o)


def confluent(a):
    o = {"bootstrap.servers": world["kafka"], "security.protocol": "SASL_SSL" if a.get("ssl") else "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
         "sasl.username": "$ConnectionString", "sasl.password": a.get("password", world["tls"])}
    if a.get("ssl"):
        o["ssl.ca.location"] = world["caFile"]
    return o


def send(a):
    if a["lib"] == "confluent":
        from confluent_kafka import Producer
        failed = []
        p = Producer(confluent(a) | {"enable.idempotence": a.get("idempotent", False), "compression.type": a.get("compression", "none"), "linger.ms": 20})
        for e in a["events"]:
            p.produce(world["hub"], key=e.get("key"), value=body(e), headers=list(e.get("properties", {}).items()), on_delivery=lambda err, m: failed.append(err) if err else None)
        if p.flush(20) or failed:
            raise RuntimeError(f"not delivered: {failed}")
        return
    from kafka import KafkaProducer
    p = KafkaProducer(**python(a), enable_idempotence=a.get("idempotent", False), compression_type=a.get("compression"))
    for f in [p.send(world["hub"], key=e["key"].encode() if "key" in e else None, value=body(e), headers=[(k, v.encode()) for k, v in e.get("properties", {}).items()]) for e in a["events"]]:
        f.get(20)
    p.close()


def python(a):
    o = dict(bootstrap_servers=world["kafka"], security_protocol="SASL_SSL" if a.get("ssl") else "SASL_PLAINTEXT", sasl_mechanism="PLAIN",
             sasl_plain_username="$ConnectionString", sasl_plain_password=a.get("password", world["tls"]))
    if a.get("ssl"):
        o["ssl_context"] = ssl.create_default_context(cafile=world["caFile"])
    return o


def receive(a):
    n = 0
    if a["lib"] == "confluent":
        from confluent_kafka import Consumer
        c = Consumer(confluent(a) | {"group.id": a["group"], "auto.offset.reset": "earliest"})
        c.subscribe([world["hub"]])
        while n < a["count"]:
            m = c.poll(1)
            if m is None:
                continue
            if m.error():
                raise RuntimeError(str(m.error()))
            shown(m.partition(), m.offset(), m.key(), m.value(), m.headers())
            n += 1
        c.close()
        return
    from kafka import KafkaConsumer
    c = KafkaConsumer(world["hub"], **python(a), group_id=a["group"], auto_offset_reset="earliest")
    for m in c:
        shown(m.partition, m.offset, m.key, m.value, m.headers)
        n += 1
        if n == a["count"]:
            break
    c.close()


run({"send": send, "receive": receive})
