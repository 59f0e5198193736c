package buoy.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;

import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.dtls.cipher.CipherSuite;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.endpoint.Protocol;
import org.eclipse.leshan.core.link.Link;
import org.eclipse.leshan.core.link.lwm2m.attributes.DefaultLwM2mAttributeParser;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributeSet;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.node.TimestampedLwM2mNodes;
import org.eclipse.leshan.core.observation.CompositeObservation;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.core.request.CancelObservationRequest;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.CreateRequest;
import org.eclipse.leshan.core.request.DeleteRequest;
import org.eclipse.leshan.core.request.DiscoverRequest;
import org.eclipse.leshan.core.request.DownlinkDeviceManagementRequest;
import org.eclipse.leshan.core.request.ExecuteRequest;
import org.eclipse.leshan.core.request.ObserveCompositeRequest;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.eclipse.leshan.core.request.ReadCompositeRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.SendRequest;
import org.eclipse.leshan.core.request.WriteAttributesRequest;
import org.eclipse.leshan.core.request.WriteCompositeRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.request.exception.ClientSleepingException;
import org.eclipse.leshan.core.response.CreateResponse;
import org.eclipse.leshan.core.response.DiscoverResponse;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.ObserveCompositeResponse;
import org.eclipse.leshan.core.response.ObserveResponse;
import org.eclipse.leshan.core.response.ReadCompositeResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.security.util.SecurityUtil;
import org.eclipse.leshan.core.util.Hex;
import org.eclipse.leshan.server.LeshanServerBuilder;
import org.eclipse.leshan.server.model.VersionedModelProvider;
import org.eclipse.leshan.server.observation.ObservationListener;
import org.eclipse.leshan.server.queue.PresenceListener;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationListener;
import org.eclipse.leshan.server.registration.RegistrationUpdate;
import org.eclipse.leshan.server.send.SendListener;
import org.eclipse.leshan.servers.security.InMemorySecurityStore;
import org.eclipse.leshan.servers.security.SecurityInfo;
import org.eclipse.leshan.transport.californium.server.endpoint.CaliforniumServerEndpointsProvider;
import org.eclipse.leshan.transport.californium.server.endpoint.coap.CoapServerProtocolProvider;
import org.eclipse.leshan.transport.californium.server.endpoint.coaps.CoapsServerProtocolProvider;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;

/** A LwM2M server on Leshan's server library, moved by lines. The README beside this project tells them. */
public final class LeshanServer {
    private static final String USAGE = """
            LeshanServer --port PORT [--host ADDRESS] [--secure-port PORT] [--psk [ENDPOINT=]IDENTITY:HEX]...
                [--rpk ENDPOINT=DER]... [--x509 ENDPOINT]... [--key DER --certificate DER] [--trust DER]...
                [--cid LENGTH] [--suite NAME] [--follow] [--models DIRECTORY] [--timeout SECONDS]
                [--http PORT] [--bench]""";
    private static final int LARGEST_BODY = 8 * 1024 * 1024;
    private static final ObjectMapper JSON = new ObjectMapper();

    private final org.eclipse.leshan.server.LeshanServer server;
    private final long timeoutMs;
    private final AtomicLong notifications = new AtomicLong();

    public static void main(String[] arguments) throws Exception {
        Options options = Options.parse(USAGE,
                Set.of("--port", "--host", "--secure-port", "--psk", "--rpk", "--x509", "--key",
                        "--certificate", "--trust", "--cid", "--suite", "--models", "--timeout",
                        "--http"),
                Set.of("--bench", "--follow"), arguments);
        LeshanServer peer = new LeshanServer(options);
        if (options.has("--bench")) {
            peer.server.getObservationService().addListener(peer.new NotificationCounter());
        } else {
            peer.listen();
        }
        peer.server.start();
        if (options.has("--http")) {
            LeshanRest.serve(peer.server, options.number("--http", 8080), peer.timeoutMs);
        }
        StringBuilder ready = new StringBuilder("READY");
        peer.server.getEndpoints().forEach(endpoint -> ready.append(' ').append(endpoint.getURI().getPort()));
        Lines.print(ready.toString());
        peer.obey(new BufferedReader(new InputStreamReader(System.in)));
        peer.server.destroy();
        System.exit(0);
    }

    private LeshanServer(Options options) throws Exception {
        timeoutMs = options.number("--timeout", 5) * 1000L;
        String host = options.text("--host", "127.0.0.1");

        CaliforniumServerEndpointsProvider.Builder transport = new CaliforniumServerEndpointsProvider.Builder(
                new CoapServerProtocolProvider(), new CoapsServerProtocolProvider());
        Configuration configuration = transport.createDefaultConfiguration();
        configuration.set(CoapConfig.MAX_RESOURCE_BODY_SIZE, LARGEST_BODY);
        if (options.has("--bench")) {
            // Each round of handshakes comes from other addresses, and a full store refuses new connections for half an hour.
            configuration.set(DtlsConfig.DTLS_MAX_CONNECTIONS, 1_000_000);
        }
        if (options.has("--cid")) {
            configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, options.number("--cid", 0));
        }
        if (options.has("--suite")) {
            configuration.set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false);
            configuration.set(DtlsConfig.DTLS_CIPHER_SUITES, List.of(CipherSuite.valueOf(options.text("--suite", ""))));
        }
        if (options.has("--key")) {
            // Scandium refuses a certificate for servers alone to an end that may also be a client.
            configuration.set(DtlsConfig.DTLS_ROLE, DtlsConfig.DtlsRole.SERVER_ONLY);
        }
        transport.setConfiguration(configuration);
        transport.addEndpoint(new InetSocketAddress(host, options.number("--port", 5683)), Protocol.COAP);
        if (options.has("--psk") || options.has("--secure-port")) {
            transport.addEndpoint(new InetSocketAddress(host, options.number("--secure-port", 0)), Protocol.COAPS);
        }

        LeshanServerBuilder builder = new LeshanServerBuilder();
        builder.setEndpointsProviders(transport.build());
        builder.setObjectModelProvider(new VersionedModelProvider(Models.ofServer(options.text("--models", null))));
        builder.setSecurityStore(securityStore(options));
        builder.setUpdateRegistrationOnNotification(options.has("--follow"));
        if (options.has("--key")) {
            // The key of the certificate is also the raw public key, for devices that ask for that.
            builder.setPrivateKey(SecurityUtil.privateKey.readFromFile(options.text("--key", "")));
            builder.setCertificateChain(certificates(options.all("--certificate")));
            builder.setTrustedCertificates(certificates(options.all("--trust")));
        }
        server = builder.build();
    }

    private static X509Certificate[] certificates(List<String> files) throws Exception {
        X509Certificate[] certificates = new X509Certificate[files.size()];
        for (int i = 0; i < certificates.length; i++) {
            certificates[i] = SecurityUtil.certificate.readFromFile(files.get(i));
        }
        return certificates;
    }

    private static InMemorySecurityStore securityStore(Options options) throws Exception {
        InMemorySecurityStore store = new InMemorySecurityStore();
        for (String entry : options.all("--rpk")) {
            String[] parts = entry.split("=", 2);
            store.add(SecurityInfo.newRawPublicKeyInfo(parts[0], SecurityUtil.publicKey.readFromFile(parts[1])));
        }
        for (String endpoint : options.all("--x509")) {
            store.add(SecurityInfo.newX509CertInfo(endpoint));
        }
        for (String entry : options.all("--psk")) {
            int colon = entry.lastIndexOf(':');
            String who = entry.substring(0, colon);
            int equals = who.indexOf('=');
            String identity = who.substring(equals + 1);
            String endpoint = equals < 0 ? identity : who.substring(0, equals);
            byte[] key = Hex.decodeHex(entry.substring(colon + 1).toCharArray());
            store.add(SecurityInfo.newPreSharedKeyInfo(endpoint, identity, key));
        }
        return store;
    }

    private void obey(BufferedReader input) throws Exception {
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] words = line.trim().split(" +");
            if (words[0].isEmpty()) {
                continue;
            }
            Map<String, Object> answer = new LinkedHashMap<>();
            answer.put("command", words[0]);
            try {
                if (words[0].equals("quit")) {
                    answer.put("success", true);
                    Lines.printRaw(JSON.writeValueAsString(answer));
                    return;
                }
                answer.putAll(obey(words, line.trim()));
            } catch (ClientSleepingException e) {
                failed(answer, "sleeping");
            } catch (ArrayIndexOutOfBoundsException e) {
                failed(answer, "too few words");
            } catch (Exception e) {
                failed(answer, e.toString());
            }
            Lines.printRaw(JSON.writeValueAsString(answer));
        }
    }

    private static void failed(Map<String, Object> answer, String reason) {
        answer.put("success", false);
        answer.put("error", reason);
    }

    private Map<String, Object> obey(String[] words, String line) throws Exception {
        return switch (words[0]) {
            case "list" -> Map.of("success", true, "registrations", list());
            case "count" -> Map.of("success", true, "registrations", list().size());
            case "notifications" -> Map.of("success", true, "notifications", notifications.get());
            case "memory" -> Map.of("success", true, "heap", heapInUse());
            default -> ask(known(words[1]), words, line);
        };
    }

    private Registration known(String endpoint) {
        Registration registration = server.getRegistrationService().getByEndpoint(endpoint);
        if (registration == null) {
            throw new IllegalArgumentException("no such endpoint: " + endpoint);
        }
        return registration;
    }

    private Map<String, Object> ask(Registration device, String[] words, String line) throws Exception {
        return switch (words[0]) {
            case "read" -> send(device, new ReadRequest(format(words, 3), words[2]), new LwM2mPath(words[2]));
            case "observe" -> send(device, new ObserveRequest(format(words, 3), words[2]), new LwM2mPath(words[2]));
            case "cancel" -> cancel(device, words);
            case "discover" -> send(device, new DiscoverRequest(words[2]), new LwM2mPath(words[2]));
            case "delete" -> send(device, new DeleteRequest(words[2]), new LwM2mPath(words[2]));
            case "execute" -> execute(device, words[2], line.split(" +", 4));
            case "write" -> write(device, line.split(" +", 5));
            case "create" -> create(device, words);
            case "writeinstance" -> writeInstance(device, words);
            case "attributes" -> attributes(device, words);
            case "readcomposite" -> readComposite(device, words);
            case "observecomposite" -> observeComposite(device, words);
            case "writecomposite" -> writeComposite(device, words);
            default -> throw new IllegalArgumentException("unknown command: " + words[0]);
        };
    }

    private Map<String, Object> execute(Registration device, String path, String[] words) throws Exception {
        ExecuteRequest request = words.length > 3 ? new ExecuteRequest(path, words[3]) : new ExecuteRequest(path);
        return send(device, request, request.getPath());
    }

    /** {@code write EP PATH TYPE[:FORMAT] VALUE}; the value is the rest of the line. */
    private Map<String, Object> write(Registration device, String[] words) throws Exception {
        LwM2mPath path = new LwM2mPath(words[2]);
        String[] type = words[3].split(":");
        Type kind = Type.valueOf(type[0].toUpperCase(Locale.ROOT));
        Object value = Values.parse(kind, words.length > 4 ? words[4] : "");
        LwM2mNode node = path.isResourceInstance()
                ? LwM2mResourceInstance.newInstance(path.getResourceInstanceId(), value, kind)
                : LwM2mSingleResource.newResource(path.getResourceId(), value, kind);
        ContentFormat format = type.length > 1 ? format(type[1])
                : kind == Type.OPAQUE ? ContentFormat.OPAQUE : ContentFormat.TEXT;
        return send(device, new WriteRequest(WriteRequest.Mode.REPLACE, format, path, node), path);
    }

    /** {@code create EP OBJECT[/INSTANCE] [FORMAT] RESOURCE=VALUE...}; without an instance the device chooses one. */
    private Map<String, Object> create(Registration device, String[] words) throws Exception {
        LwM2mPath path = new LwM2mPath(words[2].startsWith("/") ? words[2] : "/" + words[2]);
        List<LwM2mResource> resources = resources(device, path.getObjectId(), words);
        String object = "/" + path.getObjectId();
        ContentFormat format = resourcesFormat(words);
        CreateRequest request = path.isObjectInstance()
                ? new CreateRequest(format, object, new LwM2mObjectInstance(path.getObjectInstanceId(), resources))
                : new CreateRequest(format, object, resources);
        return send(device, request, path);
    }

    /** {@code writeinstance EP OBJECT/INSTANCE replace|update [FORMAT] RESOURCE=VALUE...}. */
    private Map<String, Object> writeInstance(Registration device, String[] words) throws Exception {
        LwM2mPath path = new LwM2mPath(words[2]);
        WriteRequest.Mode mode = WriteRequest.Mode.valueOf(words[3].toUpperCase(Locale.ROOT));
        List<LwM2mResource> resources = resources(device, path.getObjectId(), words);
        return send(device, new WriteRequest(mode, resourcesFormat(words), path.getObjectId(),
                path.getObjectInstanceId(), resources), path);
    }

    private static ContentFormat resourcesFormat(String[] words) {
        return Arrays.stream(words).skip(3).filter(w -> !w.contains("=") && ContentFormat.fromName(name(w)) != null)
                .findFirst().map(LeshanServer::format).orElse(ContentFormat.TLV);
    }

    private List<LwM2mResource> resources(Registration device, int object, String[] words) throws Exception {
        List<LwM2mResource> resources = new ArrayList<>();
        for (String word : words) {
            int equals = word.indexOf('=');
            if (equals > 0) {
                int id = Integer.parseInt(word.substring(0, equals));
                Type type = typeOf(device, object, id);
                resources.add(LwM2mSingleResource.newResource(id, Values.parse(type, word.substring(equals + 1)),
                        type));
            }
        }
        return resources;
    }

    private Type typeOf(Registration device, int object, int resource) {
        ObjectModel model = server.getModelProvider().getObjectModel(device).getObjectModel(object);
        ResourceModel definition = model == null ? null : model.resources.get(resource);
        return definition == null ? Type.STRING : definition.type;
    }

    private Map<String, Object> attributes(Registration device, String[] words) throws Exception {
        String query = String.join("&", Arrays.copyOfRange(words, 3, words.length));
        LwM2mAttributeSet attributes = new LwM2mAttributeSet(new DefaultLwM2mAttributeParser().parseUriQuery(query));
        return send(device, new WriteAttributesRequest(words[2], attributes), new LwM2mPath(words[2]));
    }

    private Map<String, Object> readComposite(Registration device, String[] words) throws Exception {
        return send(device, new ReadCompositeRequest(compositeFormat(words), compositeFormat(words), paths(words)),
                LwM2mPath.ROOTPATH);
    }

    private Map<String, Object> observeComposite(Registration device, String[] words) throws Exception {
        return send(device, new ObserveCompositeRequest(compositeFormat(words), compositeFormat(words),
                paths(words).toArray(String[]::new)), LwM2mPath.ROOTPATH);
    }

    /** {@code writecomposite EP [FORMAT] PATH=VALUE...}. */
    private Map<String, Object> writeComposite(Registration device, String[] words) throws Exception {
        Map<LwM2mPath, LwM2mNode> nodes = new LinkedHashMap<>();
        for (String word : words) {
            int equals = word.indexOf('=');
            if (word.startsWith("/") && equals > 0) {
                LwM2mPath path = new LwM2mPath(word.substring(0, equals));
                Type type = typeOf(device, path.getObjectId(), path.getResourceId());
                Object value = Values.parse(type, word.substring(equals + 1));
                nodes.put(path, path.isResourceInstance()
                        ? LwM2mResourceInstance.newInstance(path.getResourceInstanceId(), value, type)
                        : LwM2mSingleResource.newResource(path.getResourceId(), value, type));
            }
        }
        return send(device, new WriteCompositeRequest(compositeFormat(words), nodes, null), LwM2mPath.ROOTPATH);
    }

    private static List<String> paths(String[] words) {
        return Arrays.stream(words).filter(w -> w.startsWith("/")).toList();
    }

    private static ContentFormat compositeFormat(String[] words) {
        return words.length > 2 && !words[2].startsWith("/") ? format(words[2]) : ContentFormat.SENML_CBOR;
    }

    /** {@code cancel EP PATH [active]}: passively the observation is forgotten, actively the device is told. */
    private Map<String, Object> cancel(Registration device, String[] words) throws Exception {
        if (words.length > 3 && words[3].equals("active")) {
            for (Observation observation : server.getObservationService().getObservations(device)) {
                if (observation instanceof SingleObservation single && single.getPath().toString().equals(words[2])) {
                    return send(device, new CancelObservationRequest(single), single.getPath());
                }
            }
            throw new IllegalArgumentException("not observed: " + words[2]);
        }
        int cancelled = server.getObservationService().cancelObservations(device, words[2]);
        return Map.of("success", cancelled > 0, "endpoint", device.getEndpoint(), "path", words[2], "cancelled",
                cancelled);
    }

    private static ContentFormat format(String[] words, int position) {
        return words.length > position ? format(words[position]) : null;
    }

    private static ContentFormat format(String name) {
        ContentFormat format = name.matches("[0-9]+") ? ContentFormat.fromCode(name) : ContentFormat.fromName(name(name));
        if (format == null) {
            throw new IllegalArgumentException("unknown content format: " + name);
        }
        return format;
    }

    private static String name(String name) {
        return name.toUpperCase(Locale.ROOT);
    }

    private <T extends LwM2mResponse> Map<String, Object> send(Registration device,
            DownlinkDeviceManagementRequest<T> request, LwM2mPath path) throws InterruptedException {
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("endpoint", device.getEndpoint());
        answer.put("path", path.toString());
        T response = server.send(device, request, timeoutMs);
        if (response == null) {
            failed(answer, "timeout");
            return answer;
        }
        answer.put("success", response.isSuccess());
        answer.put("code", code(response.getCode()));
        if (response.getErrorMessage() != null && !response.getErrorMessage().isEmpty()) {
            answer.put("error", response.getErrorMessage());
        }
        if (response.getCoapResponse() instanceof org.eclipse.californium.core.coap.Response coap) {
            if (coap.getOptions().hasContentFormat()) {
                answer.put("format", coap.getOptions().getContentFormat());
            }
        }
        if (response.isSuccess()) {
            content(answer, response, path);
        }
        return answer;
    }

    private static void content(Map<String, Object> answer, LwM2mResponse response, LwM2mPath path) {
        if (response instanceof ObserveCompositeResponse composite) {
            answer.put("values", values(composite.getContent()));
        } else if (response instanceof ReadCompositeResponse composite) {
            answer.put("values", values(composite.getContent()));
        } else if (response instanceof ReadResponse read && read.getContent() != null) {
            answer.put("values", Values.leaves(path, read.getContent()));
        } else if (response instanceof DiscoverResponse discover) {
            answer.put("links", links(discover.getObjectLinks()));
        } else if (response instanceof CreateResponse create && create.getLocation() != null) {
            answer.put("location", create.getLocation());
        }
    }

    private static Map<String, Object> values(Map<LwM2mPath, LwM2mNode> nodes) {
        Map<String, Object> values = new LinkedHashMap<>();
        nodes.forEach((path, node) -> {
            if (node == null) {
                values.put(path.toString(), null);
            } else {
                values.putAll(Values.leaves(path, node));
            }
        });
        return values;
    }

    private static List<String> links(Link[] links) {
        return Arrays.stream(links).map(Link::toCoreLinkFormat).toList();
    }

    private static String code(ResponseCode code) {
        return code.getCode() / 100 + "." + String.format("%02d", code.getCode() % 100);
    }

    private List<Map<String, Object>> list() {
        List<Map<String, Object>> all = new ArrayList<>();
        for (Iterator<Registration> i = server.getRegistrationService().getAllRegistrations(); i.hasNext();) {
            all.add(describe(i.next()));
        }
        return all;
    }

    private static Map<String, Object> describe(Registration registration) {
        Map<String, Object> description = new LinkedHashMap<>();
        description.put("endpoint", registration.getEndpoint());
        description.put("id", registration.getId());
        description.put("address", registration.getAddress().getHostAddress() + ":" + registration.getPort());
        description.put("version", registration.getLwM2mVersion().toString());
        description.put("lifetime", registration.getLifeTimeInSec());
        description.put("binding", BindingMode.toString(registration.getBindingMode()));
        description.put("queue", registration.usesQueueMode());
        description.put("root", registration.getRootPath());
        description.put("objects", links(registration.getSortedObjectLinks()));
        description.put("attributes", registration.getAdditionalRegistrationAttributes());
        return description;
    }

    private static long heapInUse() {
        System.gc();
        Runtime runtime = Runtime.getRuntime();
        return runtime.totalMemory() - runtime.freeMemory();
    }

    private static void event(String kind, Map<String, Object> fields) {
        Map<String, Object> event = new LinkedHashMap<>();
        event.put("event", kind);
        event.putAll(fields);
        try {
            Lines.printRaw("EVENT " + JSON.writeValueAsString(event));
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    private static Map<String, Object> about(Registration registration, String... pathOrNothing) {
        Map<String, Object> fields = new LinkedHashMap<>();
        if (registration != null) {
            fields.put("endpoint", registration.getEndpoint());
        }
        if (pathOrNothing.length > 0) {
            fields.put("path", pathOrNothing[0]);
        }
        return fields;
    }

    private void listen() {
        server.getRegistrationService().addListener(new RegistrationEvents());
        server.getObservationService().addListener(new ObservationEvents());
        server.getSendService().addListener(new SendEvents());
        server.getPresenceService().addListener(new PresenceListener() {
            @Override
            public void onAwake(Registration registration) {
                event("awake", about(registration));
            }

            @Override
            public void onSleeping(Registration registration) {
                event("sleeping", about(registration));
            }
        });
    }

    private static final class RegistrationEvents implements RegistrationListener {
        @Override
        public void registered(Registration registration, Registration previous, Collection<Observation> ended) {
            Map<String, Object> fields = describe(registration);
            if (previous != null) {
                fields.put("replaces", previous.getId());
            }
            event("registered", fields);
        }

        @Override
        public void updated(RegistrationUpdate update, Registration updated, Registration previous) {
            Map<String, Object> fields = describe(updated);
            fields.put("changed", changed(update));
            event("updated", fields);
        }

        private static List<String> changed(RegistrationUpdate update) {
            Map<String, Object> given = new TreeMap<>();
            if (update.getLifeTimeInSec() != null) {
                given.put("lifetime", true);
            }
            if (update.getBindingMode() != null) {
                given.put("binding", true);
            }
            if (update.getObjectLinks() != null) {
                given.put("objects", true);
            }
            return List.copyOf(given.keySet());
        }

        @Override
        public void unregistered(Registration registration, Collection<Observation> ended, boolean expired,
                Registration successor) {
            if (successor != null) {
                return;
            }
            Map<String, Object> fields = about(registration);
            fields.put("id", registration.getId());
            fields.put("expired", expired);
            event("deregistered", fields);
        }
    }

    /** All that is done with notifications where load is compared. */
    private final class NotificationCounter implements ObservationListener {
        @Override
        public void newObservation(Observation observation, Registration registration) {
        }

        @Override
        public void cancelled(Observation observation) {
        }

        @Override
        public void onResponse(SingleObservation observation, Registration registration, ObserveResponse response) {
            notifications.incrementAndGet();
        }

        @Override
        public void onResponse(CompositeObservation observation, Registration registration,
                ObserveCompositeResponse response) {
            notifications.incrementAndGet();
        }

        @Override
        public void onError(Observation observation, Registration registration, Exception error) {
        }
    }

    private static final class ObservationEvents implements ObservationListener {
        @Override
        public void newObservation(Observation observation, Registration registration) {
        }

        @Override
        public void cancelled(Observation observation) {
        }

        @Override
        public void onResponse(SingleObservation observation, Registration registration, ObserveResponse response) {
            Map<String, Object> fields = about(registration, observation.getPath().toString());
            fields.put("code", code(response.getCode()));
            fields.put("values", Values.leaves(observation.getPath(), response.getContent()));
            event("notification", fields);
        }

        @Override
        public void onResponse(CompositeObservation observation, Registration registration,
                ObserveCompositeResponse response) {
            Map<String, Object> fields = about(registration);
            fields.put("code", code(response.getCode()));
            fields.put("values", values(response.getContent()));
            event("notification", fields);
        }

        @Override
        public void onError(Observation observation, Registration registration, Exception error) {
            Map<String, Object> fields = about(registration);
            fields.put("error", error.toString());
            event("notification-error", fields);
        }
    }

    private static final class SendEvents implements SendListener {
        @Override
        public void dataReceived(Registration registration, TimestampedLwM2mNodes data, SendRequest request) {
            Map<String, Object> fields = about(registration);
            fields.put("format", request.getFormat().getCode());
            fields.put("values", values(data.getFlattenNodes()));
            event("send", fields);
        }

        @Override
        public void onError(Registration registration, String message, Exception error) {
            Map<String, Object> fields = about(registration);
            fields.put("error", message);
            event("send-error", fields);
        }
    }
}
