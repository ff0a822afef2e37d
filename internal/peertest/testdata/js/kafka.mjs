// Two Kafka clients that are written in JavaScript: kafkajs and @platformatic/kafka.
import { world, say, run, until, body } from "./world.mjs";

const shown = (key, value, headers, partition, offset, timestamp) => say({
  partition: String(partition), seq: Number(offset), timestamp: Number(timestamp), partitionKey: key == null ? undefined : key.toString(),
  base64: Buffer.from(value ?? "").toString("base64"), properties: Object.fromEntries([...headers].map(([k, v]) => [k.toString(), v?.toString()])),
});

async function kafkajs(a) {
  const { Kafka, logLevel } = (await import("kafkajs")).default;
  const kafka = new Kafka({
    clientId: "kafkajs", brokers: [world.kafka], logLevel: logLevel.NOTHING, retry: { retries: a.password ? 0 : 3 },
    sasl: { mechanism: "plain", username: "$ConnectionString", password: a.password ?? world.tls }, ssl: a.ssl ? { ca: [world.ca] } : false,
  });
  return {
    async send() {
      const p = kafka.producer({ idempotent: a.idempotent ?? false });
      await p.connect();
      await p.send({ topic: world.hub, messages: a.events.map((e) => ({ key: e.key, value: body(e), headers: e.properties, partition: e.partition })) });
      await p.disconnect();
    },
    async receive() {
      const c = kafka.consumer({ groupId: a.group, maxWaitTimeInMs: 200 });
      let n = 0;
      await c.connect();
      await c.subscribe({ topic: world.hub, fromBeginning: true });
      await c.run({ eachMessage: async ({ partition, message: m }) => { n++; shown(m.key, m.value, Object.entries(m.headers ?? {}), partition, m.offset, m.timestamp); } });
      await until(() => n >= a.count);
      await c.disconnect(); // commits
    },
    async list() {
      const admin = kafka.admin();
      await admin.connect();
      say({ topics: await admin.listTopics(), partitions: (await admin.fetchTopicMetadata({ topics: [world.hub] })).topics[0].partitions.length,
        offsets: await admin.fetchTopicOffsets(world.hub) });
      await admin.disconnect();
    },
  };
}

async function platformatic(a) {
  const { Producer, Consumer, Admin } = await import("@platformatic/kafka");
  const common = { clientId: "platformatic", bootstrapBrokers: [world.kafka], retries: 3,
    sasl: { mechanism: "PLAIN", username: "$ConnectionString", password: a.password ?? world.tls } };
  if (a.ssl) common.tls = { ca: [world.ca] };
  return {
    async send() {
      const p = new Producer({ ...common, idempotent: a.idempotent ?? false });
      await p.send({ messages: a.events.map((e) => ({ topic: world.hub, key: e.key === undefined ? undefined : Buffer.from(e.key), value: Buffer.from(body(e)),
        headers: new Map(Object.entries(e.properties ?? {}).map(([k, v]) => [Buffer.from(k), Buffer.from(v)])), partition: e.partition })), acks: -1 });
      await p.close();
    },
    async receive() {
      const c = new Consumer({ ...common, groupId: a.group, maxWaitTime: 200 });
      const stream = await c.consume({ topics: [world.hub], mode: "committed", fallbackMode: "earliest", autocommit: true });
      let n = 0;
      stream.on("data", (m) => { n++; shown(m.key, m.value, m.headers, m.partition, m.offset, m.timestamp); });
      await until(() => n >= a.count);
      await stream.close();
      await c.close(); // leaves the group
    },
    async list() {
      const admin = new Admin(common);
      say({ topics: await admin.listTopics() });
      await admin.close();
    },
  };
}

const verb = (name) => async (a) => (await (a.lib === "kafkajs" ? kafkajs(a) : platformatic(a)))[name]();
await run({ send: verb("send"), receive: verb("receive"), list: verb("list") });
