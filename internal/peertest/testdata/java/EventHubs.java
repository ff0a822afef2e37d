import com.azure.core.amqp.AmqpRetryOptions;
import com.azure.core.amqp.AmqpTransportType;
import com.azure.core.amqp.exception.AmqpException;
import com.azure.messaging.eventhubs.CheckpointStore;
import com.azure.messaging.eventhubs.EventData;
import com.azure.messaging.eventhubs.EventDataBatch;
import com.azure.messaging.eventhubs.EventHubClientBuilder;
import com.azure.messaging.eventhubs.EventHubConsumerAsyncClient;
import com.azure.messaging.eventhubs.EventHubConsumerClient;
import com.azure.messaging.eventhubs.EventHubProducerClient;
import com.azure.messaging.eventhubs.EventProcessorClient;
import com.azure.messaging.eventhubs.EventProcessorClientBuilder;
import com.azure.messaging.eventhubs.models.Checkpoint;
import com.azure.messaging.eventhubs.models.CreateBatchOptions;
import com.azure.messaging.eventhubs.models.EventPosition;
import com.azure.messaging.eventhubs.models.LastEnqueuedEventProperties;
import com.azure.messaging.eventhubs.models.PartitionEvent;
import com.azure.messaging.eventhubs.models.PartitionOwnership;
import com.azure.messaging.eventhubs.models.ReceiveOptions;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import reactor.core.Disposable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** azure-messaging-eventhubs, the official client of Event Hubs. */
final class EventHubs {
    private EventHubs() {}

    public static void main(String[] line) throws Exception {
        World.run(line, Map.of("send", EventHubs::send, "receive", EventHubs::receive, "describe", EventHubs::describe,
            "epochs", EventHubs::epochs, "processors", EventHubs::processors, "follow", EventHubs::follow));
    }

    static String way() {
        return World.text("way", "plain");
    }

    static String connection() {
        return World.text("connection", World.world.get(way().equals("plain") ? "plain" : "tls").asText());
    }

    static String hub() {
        return World.text("hub", World.world.get("hub").asText());
    }

    static AmqpRetryOptions retries() {
        return new AmqpRetryOptions().setMaxRetries(World.args.path("retries").asInt(0)).setTryTimeout(Duration.ofSeconds(10));
    }

    static EventHubClientBuilder builder() {
        EventHubClientBuilder b = new EventHubClientBuilder().connectionString(connection(), hub())
            .consumerGroup(World.text("group", "$Default")).retryOptions(retries());
        switch (way()) {
            case "websocket":
                b.transportType(AmqpTransportType.AMQP_WEB_SOCKETS);
                b.customEndpointAddress("sb://localhost:" + World.world.get("httpsPort").asInt());
                break;
            case "tls":
                b.customEndpointAddress("sb://localhost:" + World.world.get("amqpPort").asInt());
                break;
            default:
        }
        return b;
    }

    static EventData data(JsonNode e) {
        EventData d = new EventData(World.body(e));
        e.path("properties").fields().forEachRemaining(p -> d.getProperties().put(p.getKey(), p.getValue().asText()));
        if (e.hasNonNull("contentType")) d.setContentType(e.get("contentType").asText());
        if (e.hasNonNull("messageId")) d.setMessageId(e.get("messageId").asText());
        return d;
    }

    /** Sends events: all in one batch, to a partition or with a key if one is given. */
    static void send() {
        try (EventHubProducerClient p = builder().buildProducerClient()) {
            EventDataBatch batch = p.createBatch(new CreateBatchOptions().setPartitionId(World.text("partition", null)).setPartitionKey(World.text("key", null)));
            for (JsonNode e : World.args.get("events")) if (!batch.tryAdd(data(e))) throw new IllegalStateException("the batch is full");
            p.send(batch);
            World.say(World.json.createObjectNode().put("max", batch.getMaxSizeInBytes()));
        }
    }

    static EventPosition position() {
        JsonNode from = World.args.path("from");
        boolean inclusive = from.path("inclusive").asBoolean();
        switch (from.path("kind").asText("earliest")) {
            case "latest": return EventPosition.latest();
            case "offset": return EventPosition.fromOffsetString(from.get("value").asText());
            case "sequence": return EventPosition.fromSequenceNumber(from.get("value").asLong(), inclusive);
            case "time": return EventPosition.fromEnqueuedTime(Instant.ofEpochMilli(from.get("value").asLong()));
            default: return EventPosition.earliest();
        }
    }

    static ObjectNode shown(PartitionEvent pe) {
        EventData e = pe.getData();
        ObjectNode o = World.json.createObjectNode().put("partition", pe.getPartitionContext().getPartitionId()).put("seq", e.getSequenceNumber())
            .put("offset", e.getOffsetString()).put("enqueued", e.getEnqueuedTime().toEpochMilli()).put("base64", Base64.getEncoder().encodeToString(e.getBody()));
        ObjectNode properties = o.putObject("properties");
        e.getProperties().forEach((k, v) -> {
            if (v instanceof byte[] b) properties.put(k, new String(b));
            else properties.put(k, String.valueOf(v));
        });
        if (e.getPartitionKey() != null) o.put("partitionKey", e.getPartitionKey());
        if (e.getContentType() != null) o.put("contentType", e.getContentType());
        if (e.getMessageId() != null) o.put("messageId", e.getMessageId());
        return o;
    }

    /** Says the first events of partitions from a position on. */
    static void receive() throws Exception {
        int count = World.args.get("count").asInt();
        AtomicInteger n = new AtomicInteger();
        AtomicReference<Throwable> failure = new AtomicReference<>();
        ReceiveOptions options = new ReceiveOptions().setTrackLastEnqueuedEventProperties(World.args.path("track").asBoolean());
        if (World.args.hasNonNull("epoch")) options.setOwnerLevel(World.args.get("epoch").asLong());
        try (EventHubConsumerAsyncClient c = builder().buildAsyncConsumerClient()) {
            List<String> ids = new ArrayList<>();
            if (World.args.has("partitions")) World.args.get("partitions").forEach(p -> ids.add(p.asText()));
            else ids.addAll(c.getPartitionIds().collectList().block());
            List<Disposable> subs = new ArrayList<>();
            for (String id : ids) {
                subs.add(c.receiveFromPartition(id, position(), options).subscribe(e -> {
                    World.say(shown(e));
                    LastEnqueuedEventProperties last = e.getLastEnqueuedEventProperties();
                    if (n.incrementAndGet() == count && last != null)
                        World.say(World.json.createObjectNode().put("last", last.getSequenceNumber()).put("lastOffset", last.getOffsetString()));
                }, failure::set));
            }
            World.until(() -> n.get() >= count || failure.get() != null);
            subs.forEach(Disposable::dispose);
        }
        if (failure.get() != null) throw new RuntimeException(failure.get());
    }

    /** A producer and a processor at work while their server may be started again. A plain receiver of this SDK ends with its connection. */
    static void follow() throws Exception {
        Processor reader = new Processor(new Checkpoints());
        int sent = 0;
        try (EventHubProducerClient p = builder().buildProducerClient()) {
            CreateBatchOptions to = new CreateBatchOptions().setPartitionId("0");
            for (int n = World.args.get("batches").asInt(); n > 0; n--, Thread.sleep(10)) {
                EventDataBatch batch = p.createBatch(to);
                for (int i = 0; i < 5; i++) batch.tryAdd(new EventData("event " + sent++));
                p.send(batch);
                if (sent == 5) World.until(() -> !reader.read.isEmpty());
            }
        }
        int want = sent;
        World.until(() -> reader.read.size() >= want);
        reader.client.stop();
        World.say(World.json.createObjectNode().put("sent", sent).put("seen", reader.read.size()).put("disorder", reader.disorder.get()));
    }

    /** Says what the hub says of itself. */
    static void describe() {
        try (EventHubConsumerClient c = builder().buildConsumerClient()) {
            ObjectNode o = World.json.createObjectNode();
            ArrayNode ids = o.putObject("hub").put("name", c.getEventHubProperties().getName()).putArray("partitionIds");
            c.getPartitionIds().forEach(ids::add);
            World.say(o);
            for (String id : c.getPartitionIds()) {
                var p = c.getPartitionProperties(id);
                ObjectNode of = World.json.createObjectNode();
                of.putObject("partition").put("partitionId", p.getId()).put("beginningSequenceNumber", p.getBeginningSequenceNumber())
                    .put("lastEnqueuedSequenceNumber", p.getLastEnqueuedSequenceNumber()).put("lastEnqueuedOffset", p.getLastEnqueuedOffset()).put("isEmpty", p.isEmpty());
                World.say(of);
            }
        }
    }

    /** A reader of an owner level, with what has become of it. */
    static final class Reader {
        final EventHubConsumerAsyncClient client = builder().buildAsyncConsumerClient();
        final AtomicInteger events = new AtomicInteger();
        final AtomicReference<Throwable> error = new AtomicReference<>();
        final Disposable sub;

        Reader(String name, Long level) throws InterruptedException {
            ReceiveOptions o = new ReceiveOptions();
            if (level != null) o.setOwnerLevel(level);
            sub = client.receiveFromPartition("0", EventPosition.earliest(), o).subscribe(e -> events.incrementAndGet(), e -> {
                String code = e instanceof AmqpException a && a.getErrorCondition() != null ? a.getErrorCondition().getErrorCondition() : "";
                World.say(World.json.createObjectNode().put("reader", name).put("ended", e.getClass().getSimpleName()).put("code", code).put("message", e.getMessage()));
                error.set(e);
            });
            World.until(() -> events.get() > 0 || error.get() != null);
        }
    }

    /** A reader of level 1 is displaced by one of level 2, and cannot come back. */
    static void epochs() throws Exception {
        Reader first = new Reader("first", 1L), second = new Reader("second", 2L);
        World.until(() -> first.error.get() != null);
        Reader third = new Reader("third", 1L), fourth = new Reader("fourth", null);
        ObjectNode o = World.json.createObjectNode();
        o.putObject("events").put("first", first.events.get() > 0).put("second", second.events.get() > 0).put("third", third.events.get() > 0).put("fourth", fourth.events.get() > 0);
        o.put("secondError", second.error.get() == null ? null : second.error.get().getMessage());
        World.say(o);
    }

    /** The SDK's interface of a checkpoint store, in memory. */
    static final class Checkpoints implements CheckpointStore {
        private final Map<String, PartitionOwnership> owners = new ConcurrentHashMap<>();
        private final Map<String, Checkpoint> marks = new ConcurrentHashMap<>();
        private final AtomicInteger tags = new AtomicInteger();

        @Override
        public Flux<PartitionOwnership> listOwnership(String namespace, String hub, String group) {
            return Flux.defer(() -> Flux.fromIterable(List.copyOf(owners.values())));
        }

        @Override
        public Flux<PartitionOwnership> claimOwnership(List<PartitionOwnership> list) {
            return Flux.defer(() -> {
                List<PartitionOwnership> won = new ArrayList<>();
                synchronized (this) {
                    for (PartitionOwnership o : list) {
                        PartitionOwnership old = owners.get(o.getPartitionId());
                        if (old != null && !old.getETag().equals(o.getETag())) continue;
                        PartitionOwnership now = new PartitionOwnership().setFullyQualifiedNamespace(o.getFullyQualifiedNamespace()).setEventHubName(o.getEventHubName())
                            .setConsumerGroup(o.getConsumerGroup()).setPartitionId(o.getPartitionId()).setOwnerId(o.getOwnerId())
                            .setETag(String.valueOf(tags.incrementAndGet())).setLastModifiedTime(System.currentTimeMillis());
                        owners.put(o.getPartitionId(), now);
                        won.add(now);
                    }
                }
                return Flux.fromIterable(won);
            });
        }

        @Override
        public Flux<Checkpoint> listCheckpoints(String namespace, String hub, String group) {
            return Flux.defer(() -> Flux.fromIterable(List.copyOf(marks.values())));
        }

        @Override
        public Mono<Void> updateCheckpoint(Checkpoint c) {
            return Mono.fromRunnable(() -> marks.put(c.getPartitionId(), c));
        }
    }

    /** A processor, with the partitions that it has and what it has read. */
    static final class Processor {
        final Set<String> mine = new ConcurrentSkipListSet<>(), read = new ConcurrentSkipListSet<>();
        final Map<String, Long> last = new ConcurrentHashMap<>();
        final AtomicInteger disorder = new AtomicInteger();
        final EventProcessorClient client;

        Processor(Checkpoints store) {
            EventProcessorClientBuilder b = new EventProcessorClientBuilder().connectionString(connection(), hub()).consumerGroup("$Default")
                .checkpointStore(store).retryOptions(retries()).loadBalancingUpdateInterval(Duration.ofMillis(500))
                .partitionOwnershipExpirationInterval(Duration.ofSeconds(10))
                .initialPartitionEventPosition(id -> EventPosition.earliest())
                .processPartitionInitialization(x -> mine.add(x.getPartitionContext().getPartitionId()))
                .processPartitionClose(x -> mine.remove(x.getPartitionContext().getPartitionId()))
                .processError(x -> { })
                .processEvent(x -> {
                    Long before = last.put(x.getPartitionContext().getPartitionId(), x.getEventData().getSequenceNumber());
                    if (before != null && before >= x.getEventData().getSequenceNumber()) disorder.incrementAndGet();
                    read.add(x.getEventData().getBodyAsString());
                    x.updateCheckpoint();
                });
            if (way().equals("websocket")) {
                b.transportType(AmqpTransportType.AMQP_WEB_SOCKETS);
                b.customEndpointAddress("sb://localhost:" + World.world.get("httpsPort").asInt());
            }
            client = b.buildEventProcessorClient();
            client.start();
        }
    }

    /** Two processors share the partitions, and a later one goes on where they ended. */
    static void processors() throws Exception {
        Checkpoints store = new Checkpoints();
        int partitions = World.args.get("partitionCount").asInt(), count = World.args.get("count").asInt();
        Processor one = new Processor(store), two = new Processor(store);
        World.until(() -> one.mine.size() == partitions / 2 && two.mine.size() == partitions / 2);
        Set<String> all = new TreeSet<>();
        World.until(() -> {
            all.addAll(one.read);
            all.addAll(two.read);
            return all.size() >= count;
        });
        ObjectNode o = World.json.createObjectNode();
        ArrayNode balanced = o.putArray("balanced");
        for (Processor p : List.of(one, two)) {
            ArrayNode list = balanced.addArray();
            p.mine.forEach(list::add);
        }
        World.say(o);
        one.client.stop();
        two.client.stop();
        o = World.json.createObjectNode();
        all.forEach(o.putArray("first")::add);
        World.say(o);
        store.owners.clear();
        try (EventHubProducerClient p = builder().buildProducerClient()) {
            for (int i = 0; i < partitions; i++) {
                EventDataBatch batch = p.createBatch(new CreateBatchOptions().setPartitionId(String.valueOf(i)));
                batch.tryAdd(new EventData("later " + i));
                p.send(batch);
            }
        }
        Processor three = new Processor(store);
        World.until(() -> three.read.size() >= partitions);
        three.client.stop();
        o = World.json.createObjectNode();
        three.read.forEach(o.putArray("second")::add);
        World.say(o);
    }
}
