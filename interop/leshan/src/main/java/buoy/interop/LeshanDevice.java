package buoy.interop;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.leshan.client.LeshanClient;
import org.eclipse.leshan.client.LeshanClientBuilder;
import org.eclipse.leshan.client.engine.DefaultRegistrationEngineFactory;
import org.eclipse.leshan.client.object.Security;
import org.eclipse.leshan.client.object.Server;
import org.eclipse.leshan.client.observer.LwM2mClientObserverAdapter;
import org.eclipse.leshan.client.resource.BaseInstanceEnablerFactory;
import org.eclipse.leshan.client.resource.LwM2mInstanceEnabler;
import org.eclipse.leshan.client.resource.LwM2mObjectEnabler;
import org.eclipse.leshan.client.resource.ObjectEnabler;
import org.eclipse.leshan.client.resource.ObjectsInitializer;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.CertificateUsage;
import org.eclipse.leshan.core.LwM2mId;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.model.StaticModel;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.core.request.BootstrapRequest;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.DeregisterRequest;
import org.eclipse.leshan.core.request.RegisterRequest;
import org.eclipse.leshan.core.request.UpdateRequest;
import org.eclipse.leshan.core.response.SendResponse;
import org.eclipse.leshan.core.util.Hex;
import org.eclipse.leshan.core.util.datatype.ULong;
import org.eclipse.leshan.transport.californium.client.endpoint.CaliforniumClientEndpointsProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coap.CoapClientProtocolProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coaps.CoapsClientProtocolProvider;

/** A LwM2M 1.1 device on Leshan's client library. The README beside this project tells its lines. */
public final class LeshanDevice {
    private static final String USAGE = """
            LeshanDevice --server coap[s]://HOST:PORT --endpoint NAME [--lifetime SECONDS] [--queue] [--bootstrap]
                [--psk-identity TEXT --psk-key HEX] [--key DER] [--public-key DER --server-public-key DER]
                [--certificate DER --server-certificate DER | --server-ca DER] [--cid LENGTH]
                [--tick MILLISECONDS] [--firmware] [--format NAME]""";
    private static final int SHORT_SERVER_ID = 123;
    private static final long REQUEST_TIMEOUT_MS = 5_000;
    private static final int LARGEST_BODY = 8 * 1024 * 1024;

    private final LeshanClient client;
    private volatile boolean temperatureIsSet;

    public static void main(String[] arguments) throws Exception {
        Options options = Options.parse(USAGE,
                Set.of("--server", "--endpoint", "--lifetime", "--psk-identity", "--psk-key", "--key",
                        "--public-key", "--server-public-key", "--certificate", "--server-certificate", "--server-ca",
                        "--cid", "--tick", "--format"),
                Set.of("--queue", "--bootstrap", "--firmware"), arguments);
        if (!options.has("--server") || !options.has("--endpoint")) {
            System.err.println(USAGE);
            System.exit(2);
        }
        LeshanDevice device = new LeshanDevice(options);
        device.client.start();
        device.tick(options.number("--tick", 1000));
        device.obey(new BufferedReader(new InputStreamReader(System.in)));
        System.exit(0);
    }

    private LeshanDevice(Options options) throws IOException {
        LeshanClientBuilder builder = new LeshanClientBuilder(options.text("--endpoint", ""));
        builder.setObjects(objects(options));
        builder.setRegistrationEngineFactory(engine(options));
        builder.setEndpointsProviders(transport(options));
        client = builder.build();
        client.addObserver(new Teller());
    }

    private static List<LwM2mObjectEnabler> objects(Options options) throws IOException {
        ObjectsInitializer objects = new ObjectsInitializer(new StaticModel(Models.ofDevice()));
        List<Integer> present = new ArrayList<>(List.of(LwM2mId.SECURITY, LwM2mId.SERVER, LwM2mId.DEVICE,
                Models.TEMPERATURE, Models.LIGHT_CONTROL));

        objects.setInstancesForObject(LwM2mId.SECURITY, security(options));
        if (options.has("--bootstrap")) {
            objects.setClassForObject(LwM2mId.SERVER, Server.class);
        } else {
            objects.setInstancesForObject(LwM2mId.SERVER, new Server(SHORT_SERVER_ID,
                    options.number("--lifetime", 300), EnumSet.of(BindingMode.U), false, BindingMode.U));
        }
        objects.setInstancesForObject(LwM2mId.DEVICE, device());
        objects.setInstancesForObject(Models.TEMPERATURE, new ValueInstance()
                .with(5601, 20.0).with(5602, 20.0).with(5700, 20.0).with(5701, "Cel"));
        objects.setInstancesForObject(Models.LIGHT_CONTROL, new ValueInstance()
                .with(5850, false).with(5851, 100L));
        // The library wants a factory even for objects of which nobody can create instances.
        List.of(LwM2mId.DEVICE, LwM2mId.FIRMWARE, Models.TEMPERATURE, Models.LIGHT_CONTROL)
                .forEach(object -> objects.setFactoryForObject(object, new InstanceFactory()));
        if (options.has("--firmware")) {
            objects.setInstancesForObject(LwM2mId.FIRMWARE, firmware());
            present.add(LwM2mId.FIRMWARE);
        }
        return objects.create(present.stream().mapToInt(Integer::intValue).toArray());
    }

    private static Security security(Options options) throws IOException {
        String uri = options.text("--server", "");
        boolean bootstrap = options.has("--bootstrap");
        if (options.has("--key")) {
            return asymmetric(uri, bootstrap, options);
        }
        if (!options.has("--psk-identity")) {
            return bootstrap ? Security.noSecBootstrap(uri) : Security.noSec(uri, SHORT_SERVER_ID);
        }
        byte[] identity = options.text("--psk-identity", "").getBytes(java.nio.charset.StandardCharsets.UTF_8);
        byte[] key = Hex.decodeHex(options.text("--psk-key", "").toCharArray());
        return bootstrap ? Security.pskBootstrap(uri, identity, key)
                : Security.psk(uri, SHORT_SERVER_ID, identity, key);
    }

    /** With a raw public key, or with a certificate: the server's own (usage 3), or its authority's (usage 2). */
    private static Security asymmetric(String uri, boolean bootstrap, Options options) throws IOException {
        byte[] key = options.file("--key");
        if (options.has("--public-key")) {
            byte[] own = options.file("--public-key");
            byte[] server = options.file("--server-public-key");
            return bootstrap ? Security.rpkBootstrap(uri, own, key, server)
                    : Security.rpk(uri, SHORT_SERVER_ID, own, key, server);
        }
        byte[] own = options.file("--certificate");
        boolean authority = options.has("--server-ca");
        byte[] server = options.file(authority ? "--server-ca" : "--server-certificate");
        ULong usage = (authority ? CertificateUsage.TRUST_ANCHOR_ASSERTION
                : CertificateUsage.DOMAIN_ISSUER_CERTIFICATE).code;
        return bootstrap ? Security.x509Bootstrap(uri, own, key, server, usage)
                : Security.x509(uri, SHORT_SERVER_ID, own, key, server, usage);
    }

    private static ValueInstance device() {
        ValueInstance device = new ValueInstance() {
            @Override
            protected void executed(int resource) {
                switch (resource) {
                    case 4 -> Lines.print("REBOOT");
                    case 5 -> Lines.print("FACTORY_RESET");
                    default -> { }
                }
            }
        };
        return device.with(0, "Open Mobile Alliance").with(1, "Interop 500").with(2, "345000123").with(3, "1.0.0")
                .with(6, Map.of(0, 1L, 1, 5L)).with(7, Map.of(0, 3800L, 1, 5000L)).with(8, Map.of(0, 125L, 1, 900L))
                .with(9, 75L).with(10, 15L).with(11, Map.of(0, 0L))
                .with(13, (Supplier<Object>) () -> new Date(System.currentTimeMillis() / 1000 * 1000))
                .with(14, "+00:00").with(15, "Etc/UTC").with(16, "U").with(17, "interop").with(18, "1")
                .with(19, "1").with(20, 0L).with(21, 64L);
    }

    private static ValueInstance firmware() {
        return new ValueInstance().with(0, new byte[0]).with(1, "").with(3, 0L).with(5, 0L).with(6, "")
                .with(7, "1.0.0").with(8, Map.of(0, 0L)).with(9, 2L);
    }

    /** Makes the instances of Create; the library writes their resources next, in the server's name. */
    private static final class InstanceFactory extends BaseInstanceEnablerFactory {
        @Override
        public LwM2mInstanceEnabler create() {
            return new ValueInstance();
        }
    }

    private static DefaultRegistrationEngineFactory engine(Options options) {
        DefaultRegistrationEngineFactory engine = new DefaultRegistrationEngineFactory()
                .setRequestTimeoutInMs(REQUEST_TIMEOUT_MS).setDeregistrationTimeoutInMs(REQUEST_TIMEOUT_MS)
                .setRetryWaitingTimeInMs(1_000).setQueueMode(options.has("--queue"));
        if (options.has("--format")) {
            engine.setPreferredContentFormat(ContentFormat.fromName(options.text("--format", "")));
        }
        return engine;
    }

    private static CaliforniumClientEndpointsProvider transport(Options options) {
        CaliforniumClientEndpointsProvider.Builder transport = new CaliforniumClientEndpointsProvider.Builder(
                new CoapClientProtocolProvider(), new CoapsClientProtocolProvider());
        Configuration configuration = transport.createDefaultConfiguration();
        configuration.set(CoapConfig.MAX_RESOURCE_BODY_SIZE, LARGEST_BODY);
        if (options.has("--cid")) {
            configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, options.number("--cid", 0));
        }
        transport.setConfiguration(configuration);
        return transport.build();
    }

    /** Lets the temperature drift until a command sets it. */
    private void tick(int milliseconds) {
        if (milliseconds <= 0) {
            return;
        }
        ScheduledExecutorService clock = Executors.newSingleThreadScheduledExecutor(task -> {
            Thread thread = new Thread(task, "tick");
            thread.setDaemon(true);
            return thread;
        });
        clock.scheduleAtFixedRate(() -> {
            if (!temperatureIsSet && instance(Models.TEMPERATURE, 0) instanceof ValueInstance temperature) {
                double value = Math.round(((Double) temperature.get(5700) + 0.1) * 10) / 10.0;
                temperature.change(5700, value > 30 ? 15.0 : value);
            }
        }, milliseconds, milliseconds, TimeUnit.MILLISECONDS);
    }

    private Object instance(int object, int instance) {
        return client.getObjectTree().getObjectEnabler(object) instanceof ObjectEnabler enabler
                ? enabler.getInstance(instance)
                : null;
    }

    private void obey(BufferedReader input) throws Exception {
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] words = line.trim().split(" ", 3);
            try {
                switch (words[0]) {
                    case "" -> { }
                    case "set" -> set(new LwM2mPath(words[1]), words[2]);
                    case "update" -> client.triggerRegistrationUpdate();
                    case "register" -> client.start();
                    case "deregister" -> client.stop(true);
                    case "send" -> send(Arrays.asList(line.trim().split(" +")));
                    case "abort" -> Runtime.getRuntime().halt(0);
                    case "quit" -> {
                        client.destroy(true);
                        return;
                    }
                    default -> Lines.print("ERROR unknown command: " + words[0]);
                }
            } catch (Exception e) {
                Lines.print("ERROR " + e);
            }
        }
        client.destroy(true);
    }

    private void set(LwM2mPath path, String text) throws Exception {
        if (!(instance(path.getObjectId(), path.getObjectInstanceId()) instanceof ValueInstance instance)) {
            throw new IllegalArgumentException("no values at " + path.toObjectInstancePath());
        }
        ResourceModel definition = instance.getModel().resources.get(path.getResourceId());
        Object value = Values.parse(definition == null ? Type.STRING : definition.type, text);
        if (path.getObjectId() == Models.TEMPERATURE) {
            temperatureIsSet = true;
        }
        if (path.isResourceInstance()) {
            instance.change(path.getResourceId(), path.getResourceInstanceId(), value);
        } else {
            instance.change(path.getResourceId(), value);
        }
        Lines.print("SET " + path + " " + Values.plain(value));
    }

    private void send(List<String> words) throws InterruptedException {
        ContentFormat format = ContentFormat.SENML_CBOR;
        List<String> paths = new ArrayList<>(words.subList(1, words.size()));
        if (paths.remove("senml_json")) {
            format = ContentFormat.SENML_JSON;
        }
        LwM2mServer server = client.getRegisteredServers().values().stream().findFirst()
                .orElseThrow(() -> new IllegalStateException("not registered"));
        SendResponse response = client.getSendService().sendData(server, format, paths, REQUEST_TIMEOUT_MS);
        if (response == null) {
            Lines.print("SEND_FAILED timeout");
        } else if (response.isSuccess()) {
            Lines.print("SENT " + code(response.getCode()));
        } else {
            Lines.print("SEND_FAILED " + code(response.getCode()) + " " + response.getErrorMessage());
        }
    }

    private static String code(ResponseCode code) {
        return code == null ? "none" : code.getCode() / 100 + "." + String.format("%02d", code.getCode() % 100);
    }

    /** Tells what the registration engine does. */
    private static final class Teller extends LwM2mClientObserverAdapter {
        @Override
        public void onBootstrapSuccess(LwM2mServer server, BootstrapRequest request) {
            Lines.print("BOOTSTRAPPED");
        }

        @Override
        public void onBootstrapFailure(LwM2mServer server, BootstrapRequest request, ResponseCode code, String message,
                Exception cause) {
            Lines.print("BOOTSTRAP_FAILED " + code(code) + " " + (cause == null ? message : cause));
        }

        @Override
        public void onBootstrapTimeout(LwM2mServer server, BootstrapRequest request) {
            Lines.print("BOOTSTRAP_FAILED timeout");
        }

        @Override
        public void onRegistrationSuccess(LwM2mServer server, RegisterRequest request, String id) {
            Lines.print("REGISTERED " + id.substring(id.lastIndexOf('/') + 1));
        }

        @Override
        public void onRegistrationFailure(LwM2mServer server, RegisterRequest request, ResponseCode code,
                String message, Exception cause) {
            Lines.print("REGISTER_FAILED " + code(code) + " " + (cause == null ? message : cause));
        }

        @Override
        public void onRegistrationTimeout(LwM2mServer server, RegisterRequest request) {
            Lines.print("REGISTER_FAILED timeout");
        }

        @Override
        public void onUpdateSuccess(LwM2mServer server, UpdateRequest request) {
            Lines.print("UPDATED");
        }

        @Override
        public void onUpdateFailure(LwM2mServer server, UpdateRequest request, ResponseCode code, String message,
                Exception cause) {
            Lines.print("UPDATE_FAILED " + code(code) + " " + (cause == null ? message : cause));
        }

        @Override
        public void onUpdateTimeout(LwM2mServer server, UpdateRequest request) {
            Lines.print("UPDATE_FAILED timeout");
        }

        @Override
        public void onDeregistrationSuccess(LwM2mServer server, DeregisterRequest request) {
            Lines.print("DEREGISTERED");
        }

        @Override
        public void onDeregistrationFailure(LwM2mServer server, DeregisterRequest request, ResponseCode code,
                String message, Exception cause) {
            Lines.print("DEREGISTER_FAILED " + code(code) + " " + (cause == null ? message : cause));
        }

        @Override
        public void onDeregistrationTimeout(LwM2mServer server, DeregisterRequest request) {
            Lines.print("DEREGISTER_FAILED timeout");
        }

        @Override
        public void onUnexpectedError(Throwable error) {
            Lines.print("ERROR " + error);
        }
    }
}
