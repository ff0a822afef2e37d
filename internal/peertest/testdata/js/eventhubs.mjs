// @azure/event-hubs, the official client of Event Hubs.
import {
  EventHubProducerClient, EventHubConsumerClient, EventHubBufferedProducerClient,
  earliestEventPosition, latestEventPosition,
} from "@azure/event-hubs";
import WebSocket from "ws";
import { world, say, run, until, body } from "./world.mjs";

const group = "$Default";

// how a client connects: plain, tls or websocket; a key of its own may be given.
function options(a) {
  const o = { retryOptions: { maxRetries: a.retries ?? 0, timeoutInMs: 10_000 } };
  if (a.way === "tls" || a.way === "websocket") o.customEndpointAddress = `sb://localhost:${world.amqpPort}`;
  if (a.way === "websocket") o.webSocketOptions = { webSocket: WebSocket };
  return o;
}

function connection(a) {
  return a.connection ?? (a.way === undefined || a.way === "plain" ? world.plain : world.tls);
}

function producer(a, more) {
  return new EventHubProducerClient(connection(a), a.hub ?? world.hub, { ...options(a), ...more });
}

function consumer(a, more) {
  return new EventHubConsumerClient(a.group ?? group, connection(a), a.hub ?? world.hub, ...(a.store ? [a.store] : []), { ...options(a), ...more });
}

function data(e) {
  const o = { body: body(e) };
  if (e.properties) o.properties = e.properties;
  if (e.contentType) o.contentType = e.contentType;
  if (e.messageId) o.messageId = e.messageId;
  if (e.correlationId) o.correlationId = e.correlationId;
  return o;
}

function shown(e, partition) {
  const o = { partition, system: e.systemProperties ?? {}, seq: e.sequenceNumber, offset: e.offset, enqueued: e.enqueuedTimeUtc?.getTime(), properties: e.properties ?? {} };
  o.base64 = Buffer.from(typeof e.body === "string" ? e.body : Buffer.isBuffer(e.body) ? e.body : JSON.stringify(e.body)).toString("base64");
  o.kind = Buffer.isBuffer(e.body) ? "bytes" : typeof e.body;
  for (const k of ["partitionKey", "contentType", "messageId", "correlationId"]) if (e[k] != null) o[k] = e[k];
  for (const [k, v] of Object.entries(o.properties)) if (Buffer.isBuffer(v)) o.properties[k] = v.toString();
  return o;
}

function position(from) {
  switch (from?.kind) {
    case "earliest": case undefined: return earliestEventPosition;
    case "latest": return latestEventPosition;
    case "offset": return { offset: String(from.value), isInclusive: from.inclusive ?? false };
    case "sequence": return { sequenceNumber: from.value, isInclusive: from.inclusive ?? false };
    case "time": return { enqueuedOn: new Date(from.value) };
  }
}

class Checkpoints { // the SDK's interface of a checkpoint store, in memory
  owners = new Map(); marks = new Map(); tag = 0;
  async listOwnership() { return [...this.owners.values()]; }
  async claimOwnership(list) {
    const won = [];
    for (const o of list) {
      const old = this.owners.get(o.partitionId);
      if (old && old.etag !== o.etag) continue;
      const now = { ...o, etag: String(++this.tag), lastModifiedTimeInMs: Date.now() };
      this.owners.set(o.partitionId, now);
      won.push(now);
    }
    return won;
  }
  async updateCheckpoint(c) { this.marks.set(c.partitionId, c); }
  async listCheckpoints() { return [...this.marks.values()]; }
}

const verbs = {
  // send sends events: all in one batch, to a partition or with a key if one is given.
  async send(a) {
    const p = producer(a);
    const batch = await p.createBatch({ partitionId: a.partition, partitionKey: a.key });
    for (const e of a.events) if (!batch.tryAdd(data(e))) throw new Error("the batch is full");
    await p.sendBatch(batch);
    await p.close();
  },

  // sendEach sends each event by itself; e.key is its key.
  async sendEach(a) {
    const p = producer(a);
    for (const e of a.events) await p.sendBatch([data(e)], { partitionId: a.partition, partitionKey: e.key });
    await p.close();
  },

  // receive says the first events of partitions from a position on.
  async receive(a) {
    const c = consumer(a);
    let n = 0, failure, last;
    const sub = (id) => c.subscribe(id, {
      processEvents: async (list, x) => {
        for (const e of list) { n++; say(shown(e, id)); }
        last = x.lastEnqueuedEventProperties;
      },
      processError: async (e) => { failure = e; },
    }, { startPosition: position(a.from), ownerLevel: a.epoch, maxBatchSize: a.batch ?? 100, maxWaitTimeInSeconds: 1, trackLastEnqueuedEventProperties: a.track });
    const subs = (a.partitions ?? await c.getPartitionIds()).map(sub);
    if (a.ready) { await new Promise((r) => setTimeout(r, a.ready)); say({ ready: true }); }
    await until(() => n >= a.count || failure);
    if (failure) throw failure;
    if (a.track) say({ last });
    for (const s of subs) await s.close();
    await c.close();
  },

  // describe says what the hub says of itself.
  async describe(a) {
    const c = consumer(a);
    say({ hub: await c.getEventHubProperties() });
    for (const id of await c.getPartitionIds()) say({ partition: await c.getPartitionProperties(id) });
    await c.close();
  },

  // epochs: a reader of level 1 is displaced by one of level 2, and cannot come back.
  async epochs(a) {
    const sub = (level, name) => {
      const c = consumer(a);
      const s = { c, events: 0 };
      s.sub = c.subscribe("0", {
        processEvents: async (list) => { s.events += list.length; },
        processError: async (e) => { if (!s.error) { s.error = e; say({ reader: name, code: e.code, message: e.message }); } },
      }, { startPosition: earliestEventPosition, ownerLevel: level, maxWaitTimeInSeconds: 1 });
      return s;
    };
    const first = sub(1, "first");
    await until(() => first.events > 0 || first.error);
    const second = sub(2, "second");
    await until(() => second.events > 0 || second.error);
    await until(() => first.error);
    const third = sub(1, "third");
    await until(() => third.error || third.events > 0);
    const fourth = sub(undefined, "fourth");
    await until(() => fourth.error || fourth.events > 0);
    say({ events: { first: first.events > 0, second: second.events > 0, third: third.events > 0, fourth: fourth.events > 0 }, secondError: second.error?.name ?? null });
    for (const s of [first, second, third, fourth]) await s.sub.close();
  },

  // processors: two processors share the partitions through a checkpoint store, and a later
  // one goes on where they ended.
  async processors(a) {
    const store = new Checkpoints();
    const seen = new Map();
    const processor = (name) => {
      const c = consumer({ ...a, store }, { loadBalancingOptions: { strategy: "balanced", updateIntervalInMs: 200, partitionOwnershipExpirationIntervalInMs: 5_000 } });
      const s = { c, name, mine: new Set(), read: [] };
      s.sub = c.subscribe({
        processInitialize: async (x) => { s.mine.add(x.partitionId); },
        processClose: async (_, x) => { s.mine.delete(x.partitionId); },
        processEvents: async (list, x) => {
          for (const e of list) { s.read.push(Buffer.from(e.body).toString()); }
          if (list.length > 0) await x.updateCheckpoint(list[list.length - 1]);
        },
        processError: async (e) => { s.error = e; },
      }, { startPosition: earliestEventPosition, maxWaitTimeInSeconds: 1 });
      return s;
    };
    const one = processor("one"), two = processor("two");
    const half = a.partitionCount / 2;
    await until(() => one.mine.size === half && two.mine.size === half);
    await until(() => new Set([...one.read, ...two.read]).size >= a.count);
    say({ balanced: [[...one.mine], [...two.mine]] });
    await one.sub.close(); await two.sub.close(); await one.c.close(); await two.c.close();
    say({ first: [...new Set([...one.read, ...two.read])].sort() });
    store.owners.clear();
    const p = producer(a);
    for (let i = 0; i < a.partitionCount; i++) await p.sendBatch([{ body: Buffer.from(`later ${i}`) }], { partitionId: String(i) });
    await p.close();
    const three = processor("three");
    await until(() => new Set(three.read).size >= a.partitionCount);
    await three.sub.close(); await three.c.close();
    say({ second: three.read.sort() });
  },

  // idempotent sends as a producer that numbers its events, and sends numbers again.
  async idempotent(a) {
    // The SDK has this in its buffered producer, which sets these fields of the plain one.
    const numbered = (o) => Object.assign(producer(a), { _enableIdempotentRetries: true, _partitionOptions: { [a.partition]: o } });
    const one = numbered({});
    for (const e of a.events) await one.sendBatch([data(e)], { partitionId: a.partition });
    const state = await one.getPartitionPublishingProperties(a.partition);
    say({ state });
    await one.close();
    const attempt = async (name, first, level) => {
      const p = numbered({ producerGroupId: state.producerGroupId, ownerLevel: level, startingSequenceNumber: first });
      try {
        await p.sendBatch([{ body: Buffer.from(name) }], { partitionId: a.partition });
        say({ name, state: await p.getPartitionPublishingProperties(a.partition) });
      } catch (e) { say({ name, code: e.code ?? e.condition ?? e.name, message: e.message }); }
      await p.close();
    };
    await attempt("goes on", state.lastPublishedSequenceNumber, state.ownerLevel + 1);
    await attempt("was fenced", state.lastPublishedSequenceNumber + 1, state.ownerLevel);
  },

  // buffered leaves it to the client which partition a key goes to.
  async buffered(a) {
    let failure;
    const p = new EventHubBufferedProducerClient(connection(a), a.hub ?? world.hub, {
      ...options(a), maxWaitTimeInMs: 50, onSendEventsErrorHandler: async (x) => { failure = x.error; },
    });
    for (const e of a.events) await p.enqueueEvent(data(e), { partitionKey: e.key });
    await p.flush();
    await p.close();
    if (failure) throw failure;
  },

  // oversized: what does not fit into a batch, and what is sent all the same.
  async oversized(a) {
    const p = producer(a);
    const batch = await p.createBatch();
    say({ max: batch.maxSizeInBytes, fits: batch.tryAdd({ body: Buffer.alloc(batch.maxSizeInBytes) }), most: batch.tryAdd({ body: Buffer.alloc(batch.maxSizeInBytes - 1000) }) });
    await p.sendBatch(batch);
    try {
      await p.sendBatch([{ body: Buffer.alloc(batch.maxSizeInBytes + 1000) }]);
      say({ sent: true });
    } catch (e) { say({ refused: e.name, code: e.code }); }
    await p.sendBatch([{ body: "after" }]); // the client goes on
    await p.close();
  },
};

await run(verbs);
