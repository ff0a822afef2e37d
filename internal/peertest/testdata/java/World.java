import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.FileInputStream;
import java.io.InputStream;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Base64;
import java.util.Map;
import java.util.function.BooleanSupplier;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** What every program is told by the test, and how it answers: a JSON object a line. */
final class World {
    static final ObjectMapper json = new ObjectMapper();
    static JsonNode world, args;

    private World() {}

    interface Verb {
        void run() throws Exception;
    }

    /** Does a verb, and says which error it ended with, if any. */
    static void run(String[] line, Map<String, Verb> verbs) throws Exception {
        world = json.readTree(System.getenv("WEIR_PEER"));
        args = json.readTree(line.length > 1 ? line[1] : "{}");
        Thread watch = new Thread(() -> {
            try {
                Thread.sleep(world.get("patience").asLong());
            } catch (InterruptedException e) {
                return;
            }
            failed("Timeout", "", line[0] + " took too long");
            System.out.flush();
            Runtime.getRuntime().halt(1);
        });
        watch.setDaemon(true);
        watch.start();
        trust(world.get("caFile").asText());
        try {
            verbs.get(line[0]).run();
            say(json.createObjectNode().put("done", true));
        } catch (Throwable e) {
            Throwable cause = e;
            while ((cause instanceof java.util.concurrent.ExecutionException || cause.getClass() == RuntimeException.class) && cause.getCause() != null) cause = cause.getCause();
            String code = cause instanceof com.azure.core.amqp.exception.AmqpException a && a.getErrorCondition() != null ? a.getErrorCondition().name() : "";
            failed(cause.getClass().getSimpleName(), code, String.valueOf(cause.getMessage()));
        }
        System.out.flush();
        Runtime.getRuntime().halt(0); // clients keep threads of theirs
    }

    static synchronized void say(ObjectNode o) {
        System.out.println(o);
    }

    static void failed(String name, String code, String message) {
        ObjectNode o = json.createObjectNode();
        o.putObject("error").put("name", name).put("code", code).put("message", message);
        say(o);
    }

    /** Lets all connections of this program trust the certificates of a file. */
    static void trust(String file) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream in = new FileInputStream(file)) {
            int n = 0;
            for (var c : CertificateFactory.getInstance("X.509").generateCertificates(in)) store.setCertificateEntry("ca" + n++, c);
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        SSLContext.setDefault(context);
    }

    static String text(String field, String otherwise) {
        return args.hasNonNull(field) ? args.get(field).asText() : otherwise;
    }

    /** What is sent: text, or bytes given in base64. */
    static byte[] body(JsonNode event) {
        return event.has("base64") ? Base64.getDecoder().decode(event.get("base64").asText()) : event.get("text").asText().getBytes(java.nio.charset.StandardCharsets.UTF_8);
    }

    /** Polls a condition that other threads bring about. */
    static void until(BooleanSupplier condition) throws InterruptedException {
        while (!condition.getAsBoolean()) Thread.sleep(5);
    }
}
