// @fluent-org/logger, Fluentd's own client in JavaScript: the forward protocol with
// acknowledgements.
import fluent from "@fluent-org/logger";
import { world, run } from "./world.mjs";

await run({
  async send(a) {
    const client = new fluent.FluentClient(a.tag, {
      eventMode: a.mode, ack: { ackTimeout: 5_000 }, socket: { host: "127.0.0.1", port: world.forwardPort, ...(a.tls ? { tls: { ca: world.ca, servername: "localhost" } } : {}) },
      ...(world.sharedKey ? { security: { clientHostname: "peer", sharedKey: world.sharedKey, ...(a.security ?? {}) } } : {}),
    });
    await client.connect();
    await Promise.all(a.records.map((r) => client.emit(r)));
    await client.shutdown();
  },
});
