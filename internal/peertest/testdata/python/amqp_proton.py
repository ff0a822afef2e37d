"""qpid-proton, a client of AMQP 1.0 that knows nothing of Event Hubs."""
import base64

from proton import Described, Message, SSLDomain, symbol, ulong
from proton.handlers import MessagingHandler
from proton.reactor import AtLeastOnce, Container, Filter, LinkOption

from world import body, run, say, text, world


class Client(MessagingHandler):
    """Connects with PLAIN, and does what a subclass says when the connection is open."""

    def __init__(self, a, **options):
        super().__init__(**options)
        self.a = a

    def on_start(self, event):
        tls = self.a.get("way") == "tls"
        event.container.container_id = "proton"
        options = {}
        if tls:
            domain = SSLDomain(SSLDomain.MODE_CLIENT)
            domain.set_trusted_ca_db(world["caFile"])
            domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
            options = {"ssl_domain": domain}
        if not self.a.get("anonymous"):
            options |= {"user": self.a.get("user", world["keyName"]), "password": self.a.get("password", world["key"]), "allowed_mechs": "PLAIN", "sasl_enabled": True}
        self.connection = event.container.connect(
            f"{'amqps' if tls else 'amqp'}://localhost:{world['amqpPort']}", reconnect=False, allow_insecure_mechs=True, **options)

    def on_transport_error(self, event):
        c = event.transport.condition
        say(refused=c.name if c else None, description=c.description if c else None)
        event.container.stop()

    def on_connection_error(self, event):
        c = event.connection.remote_condition
        say(closed=c.name if c else None, description=c.description if c else None)
        event.connection.close()

    def on_link_error(self, event):
        c = event.link.remote_condition
        say(link=c.name if c else None, description=c.description if c else None)
        event.connection.close()


class Send(Client):
    sent = settled = 0

    def on_connection_opened(self, event):
        self.sender = event.container.create_sender(self.connection, self.a.get("target", world["hub"]))

    def on_sendable(self, event):
        while event.sender.credit and self.sent < len(self.a["events"]):
            e = self.a["events"][self.sent]
            m = Message(body=body(e), properties=e.get("properties"), inferred=True)
            if "key" in e:
                m.annotations = {symbol("x-opt-partition-key"): e["key"]}
            event.sender.send(m)
            self.sent += 1

    def on_accepted(self, event):
        self.settled += 1
        if self.settled == len(self.a["events"]):
            say(accepted=self.settled)
            event.connection.close()

    def on_rejected(self, event):
        say(rejected=event.delivery.remote.condition.name)
        event.connection.close()


class Position(Filter):
    def __init__(self, selector):
        super().__init__({symbol("apache.org:selector-filter:string"): Described(ulong(0x468C00000004), selector)})


class Receive(Client):
    """Receives with credit that it gives by hand, and drains what it gave too much of."""

    got = 0

    def __init__(self, a):
        super().__init__(a, prefetch=0, auto_accept=True)

    def on_connection_opened(self, event):
        source = f"{world['hub']}/ConsumerGroups/$Default/Partitions/{self.a['partition']}"
        options = [AtLeastOnce()] if self.a.get("settle") else []
        if "selector" in self.a:
            options.append(Position(self.a["selector"]))
        self.receiver = event.container.create_receiver(self.connection, source, options=options)

    def on_link_opened(self, event):
        if event.receiver and self.a.get("credit"):
            event.receiver.flow(self.a["credit"])

    def on_message(self, event):
        m = event.message
        o = {"partition": self.a["partition"], "properties": {text(k): text(v) for k, v in (m.properties or {}).items()}, "settled": event.delivery.settled}
        notes = {str(k): v for k, v in (m.annotations or {}).items()}
        o |= {"seq": notes["x-opt-sequence-number"], "offset": notes["x-opt-offset"], "enqueued": notes["x-opt-enqueued-time"]}
        if notes.get("x-opt-partition-key"):
            o["partitionKey"] = text(notes["x-opt-partition-key"])
        o["base64"] = base64.b64encode(m.body if isinstance(m.body, bytes) else bytes(m.body)).decode()
        say(**o)
        self.got += 1
        if self.got == self.a["count"]:
            say(credit=event.receiver.credit)
            event.receiver.drain(0)
            if not event.receiver.credit:
                event.connection.close()

    def on_link_flow(self, event):
        if event.receiver and self.got >= self.a["count"] and event.receiver.credit == 0:
            say(drained=event.receiver.drained())
            event.connection.close()


run({"send": lambda a: Container(Send(a)).run(), "receive": lambda a: Container(Receive(a)).run()})
