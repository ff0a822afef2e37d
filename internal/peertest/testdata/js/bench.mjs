// Throughput of @azure/event-hubs, for bench/hub: in sends to all partitions for some time, out
// reads what is there.
import { EventHubProducerClient, EventHubConsumerClient, earliestEventPosition } from "@azure/event-hubs";

const { connection, hub, span, bytes, batch: size } = JSON.parse(process.env.WEIR_BENCH);
const body = Buffer.alloc(bytes, "x");
let events = 0;

async function measure(work) {
  const cpu = process.cpuUsage(), began = Date.now(), before = events;
  await work(began + span);
  const used = process.cpuUsage(cpu);
  console.log(JSON.stringify({ events: events - before, millis: Date.now() - began, cpu: used.user + used.system }));
}

const verbs = {
  async in() {
    const p = new EventHubProducerClient(connection, hub);
    const ids = await p.getPartitionIds();
    await measure((end) => Promise.all(ids.map(async (partitionId) => {
      while (Date.now() < end) {
        const batch = await p.createBatch({ partitionId });
        for (let i = 0; i < size; i++) batch.tryAdd({ body });
        await p.sendBatch(batch);
        events += size;
      }
    })));
    process.exit(0);
  },
  async out() {
    const c = new EventHubConsumerClient("$Default", connection, hub);
    const infos = await Promise.all((await c.getPartitionIds()).map((id) => c.getPartitionProperties(id)));
    const all = infos.reduce((n, p) => n + (p.isEmpty ? 0 : p.lastEnqueuedSequenceNumber - p.beginningSequenceNumber + 1), 0);
    await measure(async (end) => {
      for (const p of infos) {
        c.subscribe(p.partitionId, { processEvents: async (list) => { events += list.length; }, processError: async (e) => { console.error(e); process.exit(1); } },
          { startPosition: earliestEventPosition, maxBatchSize: size, prefetchCount: 5000 });
      }
      while (Date.now() < end && events < all) await new Promise((r) => setTimeout(r, 5));
    });
    process.exit(0);
  },
};

await verbs[process.argv[2]]();
