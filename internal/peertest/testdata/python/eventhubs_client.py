"""azure-eventhub for Python: the version of Debian (5.11) and the current one (5.15)."""
import base64
import threading

from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient, TransportType, __version__

from world import body, run, say, text, world

OLD = __version__.startswith("5.11.")


def options(a):
    way = a.get("way", "plain")
    if way == "plain":
        return {"conn_str": a.get("connection", world["plain"])}
    # The old version knows the port 5671 only.
    o = {"conn_str": a.get("connection", world["standard" if OLD else "tls"]), "connection_verify": world["caFile"]}
    if not OLD:
        o |= {"custom_endpoint_address": f"sb://localhost:{world['amqpPort']}", "transport_type": TransportType.Amqp}
    if way == "websocket":
        o |= {"transport_type": TransportType.AmqpOverWebsocket}
    return o


def producer(a):
    return EventHubProducerClient.from_connection_string(**options(a), eventhub_name=a.get("hub", world["hub"]), retry_total=0)


def consumer(a):
    return EventHubConsumerClient.from_connection_string(
        **options(a), consumer_group=a.get("group", "$Default"), eventhub_name=a.get("hub", world["hub"]), retry_total=0)


def send(a):
    with producer(a) as p:
        batch = p.create_batch(partition_id=a.get("partition"), partition_key=a.get("key"))
        for e in a["events"]:
            d = EventData(body(e))
            d.properties = e.get("properties", {})
            if "contentType" in e:
                d.content_type = e["contentType"]
            batch.add(d)
        p.send_batch(batch)


def receive(a):
    seen, failure, done = [0], [], threading.Event()

    def on_event(ctx, e):
        if e is None:
            return
        o = {"partition": ctx.partition_id, "seq": e.sequence_number, "offset": e.offset, "enqueued": int(e.enqueued_time.timestamp() * 1000)}
        o["properties"] = {text(k): text(v) for k, v in (e.properties or {}).items()}
        o["base64"] = base64.b64encode(b"".join(e.body)).decode()
        if e.partition_key:
            o["partitionKey"] = text(e.partition_key)
        if e.content_type:
            o["contentType"] = e.content_type
        say(**o)
        seen[0] += 1
        if seen[0] >= a["count"]:
            done.set()

    def on_error(ctx, e):
        failure.append(e)
        done.set()

    c = consumer(a)
    at = a.get("from", {"kind": "earliest"})
    position = {"earliest": "-1", "latest": "@latest"}.get(at["kind"], at.get("value"))
    if at["kind"] == "offset":
        position = str(position)
    partition = a.get("partitions", [None])[0]
    threading.Thread(target=c.receive, daemon=True, kwargs=dict(
        on_event=on_event, on_error=on_error, partition_id=partition, starting_position=position,
        starting_position_inclusive=at.get("inclusive", False))).start()
    done.wait()
    if failure:
        raise failure[0]
    c.close()


def describe(a):
    with consumer(a) as c:
        p = c.get_eventhub_properties()
        say(version=__version__, hub={"name": p["eventhub_name"], "partitionIds": p["partition_ids"]})
        for i in p["partition_ids"]:
            q = c.get_partition_properties(i)
            say(partition={"partitionId": i, "last": q["last_enqueued_sequence_number"], "first": q["beginning_sequence_number"], "isEmpty": q["is_empty"]})


run({"send": send, "receive": receive, "describe": describe})
