import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Kafka's own client. */
final class Kafka {
    private Kafka() {}

    public static void main(String[] line) throws Exception {
        World.run(line, Map.of("send", Kafka::send, "receive", Kafka::receive, "group", Kafka::group, "admin", Kafka::admin,
            "times", Kafka::times, "follow", Kafka::follow));
    }

    static String hub() {
        return World.world.get("hub").asText();
    }

    static Properties settings(Object... more) {
        Properties p = new Properties();
        p.put("bootstrap.servers", World.world.get("kafka").asText());
        p.put("sasl.mechanism", "PLAIN");
        String password = World.text("password", World.world.get("tls").asText());
        p.put("sasl.jaas.config", "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"$ConnectionString\" password=\"" + password + "\";");
        boolean tls = World.args.path("ssl").asBoolean();
        p.put("security.protocol", tls ? "SASL_SSL" : "SASL_PLAINTEXT");
        if (tls) {
            p.put("ssl.truststore.type", "PEM");
            p.put("ssl.truststore.location", World.world.get("caFile").asText());
        }
        for (int i = 0; i < more.length; i += 2) p.put(more[i], more[i + 1]);
        return p;
    }

    static KafkaProducer<byte[], byte[]> producer() {
        return new KafkaProducer<>(settings("enable.idempotence", World.args.path("idempotent").asBoolean(true), "compression.type", World.text("codec", "none"),
            "linger.ms", "5", "delivery.timeout.ms", "35000", "request.timeout.ms", "10000"), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(Object... more) {
        Properties p = settings("auto.offset.reset", "earliest", "enable.auto.commit", "false", "session.timeout.ms", "6000", "heartbeat.interval.ms", "500");
        for (int i = 0; i < more.length; i += 2) p.put(more[i], more[i + 1]);
        return new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static ProducerRecord<byte[], byte[]> record(JsonNode e) {
        Integer partition = e.hasNonNull("partition") ? Integer.valueOf(e.get("partition").asInt()) : null;
        byte[] key = e.hasNonNull("key") ? e.get("key").asText().getBytes() : null;
        ProducerRecord<byte[], byte[]> r = new ProducerRecord<>(hub(), partition, key, World.body(e));
        e.path("properties").fields().forEachRemaining(p -> r.headers().add(p.getKey(), p.getValue().asText().getBytes(java.nio.charset.StandardCharsets.UTF_8)));
        return r;
    }

    static void send() throws Exception {
        try (KafkaProducer<byte[], byte[]> p = producer()) {
            List<Future<RecordMetadata>> all = new ArrayList<>();
            for (JsonNode e : World.args.get("events")) all.add(p.send(record(e)));
            p.flush();
            for (Future<RecordMetadata> f : all) f.get();
        }
    }

    static ObjectNode shown(ConsumerRecord<byte[], byte[]> r) {
        ObjectNode o = World.json.createObjectNode().put("partition", String.valueOf(r.partition())).put("seq", r.offset()).put("enqueued", r.timestamp());
        if (r.key() != null) o.put("partitionKey", new String(r.key()));
        o.put("base64", Base64.getEncoder().encodeToString(r.value()));
        ObjectNode properties = o.putObject("properties");
        for (Header h : r.headers()) properties.put(h.key(), h.value() == null ? null : new String(h.value(), java.nio.charset.StandardCharsets.UTF_8));
        return o;
    }

    /** Says the first records that a group is given, and commits. */
    static void receive() {
        int count = World.args.get("count").asInt();
        try (KafkaConsumer<byte[], byte[]> c = consumer("group.id", World.text("group", "java"))) {
            c.subscribe(List.of(hub()));
            for (int n = 0; n < count; ) {
                for (ConsumerRecord<byte[], byte[]> r : c.poll(Duration.ofMillis(500))) {
                    n++;
                    World.say(shown(r));
                }
            }
            c.commitSync();
        }
    }

    /** A member of a group on a thread of its own. */
    static final class Member extends Thread {
        final Set<Integer> mine = new ConcurrentSkipListSet<>();
        final Set<String> read = new ConcurrentSkipListSet<>();
        final AtomicBoolean leave = new AtomicBoolean();
        final String assignor;
        volatile Throwable failure;

        Member(String assignor) {
            this.assignor = assignor;
            start();
        }

        @Override
        public void run() {
            try (KafkaConsumer<byte[], byte[]> c = consumer("group.id", "members-" + assignor, "partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor)) {
                c.subscribe(List.of(hub()), new ConsumerRebalanceListener() {
                    @Override
                    public void onPartitionsRevoked(Collection<TopicPartition> list) {
                        list.forEach(p -> mine.remove(p.partition()));
                    }

                    @Override
                    public void onPartitionsAssigned(Collection<TopicPartition> list) {
                        list.forEach(p -> mine.add(p.partition()));
                    }
                });
                while (!leave.get()) {
                    for (ConsumerRecord<byte[], byte[]> r : c.poll(Duration.ofMillis(100))) read.add(r.partition() + "@" + r.offset());
                    try {
                        c.commitSync();
                    } catch (org.apache.kafka.clients.consumer.CommitFailedException | org.apache.kafka.common.errors.RebalanceInProgressException e) {
                        // the group deals out anew
                    }
                }
            } catch (Throwable e) {
                failure = e;
            }
        }
    }

    /** Members come and go, and the partitions are dealt out anew each time. */
    static void group() throws Exception {
        int partitions = World.args.get("partitionCount").asInt(), count = World.args.get("count").asInt();
        for (JsonNode assignor : World.args.get("assignors")) {
            Member one = new Member(assignor.asText());
            World.until(() -> one.mine.size() == partitions || one.failure != null);
            Member two = new Member(assignor.asText());
            World.until(() -> one.mine.size() == partitions / 2 && two.mine.size() == partitions / 2 || one.failure != null || two.failure != null);
            Set<Integer> all = new TreeSet<>(one.mine);
            all.addAll(two.mine);
            one.leave.set(true);
            one.join();
            World.until(() -> two.mine.size() == partitions || two.failure != null);
            Set<String> read = new TreeSet<>();
            World.until(() -> {
                read.addAll(one.read);
                read.addAll(two.read);
                return read.size() >= count || two.failure != null;
            });
            two.leave.set(true);
            two.join();
            for (Member m : List.of(one, two)) if (m.failure != null) throw new RuntimeException(m.failure);
            World.say(World.json.createObjectNode().put("assignor", assignor.asText()).put("dealt", all.size()).put("read", read.size()));
        }
    }

    /** Makes a topic, lets it grow, says how far a group is behind, and deletes it. */
    static void admin() throws Exception {
        String name = World.text("topic", "made-by-java");
        try (Admin a = Admin.create(settings())) {
            a.createTopics(List.of(new NewTopic(name, 2, (short) 1))).all().get();
            World.say(World.json.createObjectNode().put("created", a.describeTopics(List.of(name)).allTopicNames().get().get(name).partitions().size()));
            a.createPartitions(Map.of(name, NewPartitions.increaseTo(3))).all().get();
            World.say(World.json.createObjectNode().put("grown", a.describeTopics(List.of(name)).allTopicNames().get().get(name).partitions().size()));
            try (KafkaProducer<byte[], byte[]> p = producer()) {
                for (int i = 0; i < 10; i++) p.send(new ProducerRecord<>(name, 2, null, new byte[] {1})).get();
            }
            TopicPartition at = new TopicPartition(name, 2);
            a.alterConsumerGroupOffsets("lag", Map.of(at, new OffsetAndMetadata(4))).all().get();
            long end = a.listOffsets(Map.of(at, OffsetSpec.latest())).partitionResult(at).get().offset();
            long done = a.listConsumerGroupOffsets("lag").partitionsToOffsetAndMetadata().get().get(at).offset();
            ObjectNode o = World.json.createObjectNode().put("lag", end - done);
            o.put("listed", a.listGroups().all().get().stream().anyMatch(g -> g.groupId().equals("lag")));
            o.put("state", a.describeConsumerGroups(List.of("lag")).all().get().get("lag").groupState().toString());
            o.put("nodes", a.describeCluster().nodes().get().size());
            World.say(o);
            a.deleteConsumerGroups(List.of("lag")).all().get();
            a.deleteTopics(List.of(name)).all().get();
            World.say(World.json.createObjectNode().put("left", a.listTopics().names().get().contains(name)));
        }
    }

    /** Says which records are found by time, and what an earlier seek brings. */
    static void times() {
        TopicPartition at = new TopicPartition(hub(), 0);
        try (KafkaConsumer<byte[], byte[]> c = consumer()) {
            c.assign(List.of(at));
            for (JsonNode t : World.args.get("times")) {
                OffsetAndTimestamp o = c.offsetsForTimes(Map.of(at, t.asLong())).get(at);
                World.say(World.json.createObjectNode().put("time", t.asLong()).put("offset", o == null ? -1 : o.offset()).put("stamp", o == null ? -1 : o.timestamp()));
            }
            ObjectNode o = World.json.createObjectNode();
            o.put("begin", c.beginningOffsets(List.of(at)).get(at)).put("end", c.endOffsets(List.of(at)).get(at));
            c.seek(at, World.args.get("seek").asLong());
            ArrayNode read = o.putArray("read");
            while (read.isEmpty()) c.poll(Duration.ofMillis(500)).forEach(r -> read.add(r.offset()));
            World.say(o);
        }
    }

    /** Produces and consumes for a while in which its server may be started again. */
    static void follow() throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        Map<Long, String> read = new ConcurrentSkipListMap<>(); // what a restarted broker gives again is the same
        AtomicBoolean changed = new AtomicBoolean(), over = new AtomicBoolean();
        Thread reader = new Thread(() -> {
            try (KafkaConsumer<byte[], byte[]> c = consumer("group.id", "follow")) {
                c.subscribe(List.of(hub()));
                while (true) {
                    for (ConsumerRecord<byte[], byte[]> r : c.poll(Duration.ofMillis(100))) {
                        String old = read.put(r.offset(), new String(r.value()));
                        if (old != null && !old.equals(new String(r.value()))) changed.set(true);
                    }
                    if (over.get() && read.size() >= sent.size()) return;
                }
            }
        });
        try (KafkaProducer<byte[], byte[]> p = producer()) {
            for (int i = 0; i < World.args.get("records").asInt(); i++) {
                sent.add(p.send(new ProducerRecord<>(hub(), 0, null, String.valueOf(i).getBytes())));
                if (i == 20) {
                    for (Future<RecordMetadata> f : sent) f.get();
                    reader.start();
                    World.until(() -> !read.isEmpty());
                }
                Thread.sleep(5);
            }
            p.flush();
            for (Future<RecordMetadata> f : sent) f.get();
        }
        over.set(true);
        reader.join();
        int disorder = 0, next = 0;
        for (String value : read.values()) if (!value.equals(String.valueOf(next++))) disorder++;
        World.say(World.json.createObjectNode().put("sent", sent.size()).put("seen", read.size()).put("disorder", disorder).put("changed", changed.get()));
    }
}
