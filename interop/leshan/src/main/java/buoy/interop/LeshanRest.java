package buoy.interop;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.servlet.ServletContextHandler;
import org.eclipse.jetty.servlet.ServletHolder;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.request.DownlinkDeviceManagementRequest;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.exception.ClientSleepingException;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.server.LeshanServer;
import org.eclipse.leshan.server.registration.Registration;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializerProvider;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.ser.std.StdSerializer;

import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

/**
 * Read and Observe of single resources over HTTP, for comparisons of load: made of what Leshan's demo server is made of (a servlet that
 * waits for the device, in Jetty as it comes, and Jackson), with the demo's paths and answers. The demo itself is not on Maven Central.
 */
final class LeshanRest extends HttpServlet {
    private static final long serialVersionUID = 1L;
    private static final String OBSERVE = "/observe";

    private final transient LeshanServer server;
    private final long timeoutMs;
    private final transient ObjectMapper json;

    private LeshanRest(LeshanServer server, long timeoutMs) {
        this.server = server;
        this.timeoutMs = timeoutMs;
        SimpleModule answers = new SimpleModule();
        answers.addSerializer(LwM2mResponse.class, new ResponseWriter());
        answers.addSerializer(LwM2mNode.class, new NodeWriter());
        this.json = new ObjectMapper().registerModule(answers);
    }

    static void serve(LeshanServer server, int port, long timeoutMs) throws Exception {
        Server jetty = new Server(new InetSocketAddress("127.0.0.1", port));
        ServletContextHandler root = new ServletContextHandler(null, "/", true, false);
        root.addServlet(new ServletHolder(new LeshanRest(server, timeoutMs)), "/api/clients/*");
        jetty.setHandler(root);
        jetty.start();
    }

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        answer(request, response, new ReadRequest(null, path(request)));
    }

    @Override
    protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException {
        String path = path(request);
        if (!path.endsWith(OBSERVE)) {
            refuse(response, HttpServletResponse.SC_BAD_REQUEST, "Invalid request: only observe is here");
            return;
        }
        answer(request, response, new ObserveRequest(null, path.substring(0, path.length() - OBSERVE.length())));
    }

    /** What follows the endpoint's name. */
    private static String path(HttpServletRequest request) {
        String all = String.valueOf(request.getPathInfo());
        int slash = all.indexOf('/', 1);
        return slash < 0 ? "/" : all.substring(slash);
    }

    private static String endpoint(HttpServletRequest request) {
        String all = String.valueOf(request.getPathInfo());
        int slash = all.indexOf('/', 1);
        return slash < 0 ? all.substring(1) : all.substring(1, slash);
    }

    private void answer(HttpServletRequest request, HttpServletResponse response,
            DownlinkDeviceManagementRequest<? extends LwM2mResponse> operation) throws IOException {
        Registration device = server.getRegistrationService().getByEndpoint(endpoint(request));
        if (device == null) {
            refuse(response, HttpServletResponse.SC_BAD_REQUEST,
                    "No registered client with id '" + endpoint(request) + "'");
            return;
        }
        try {
            LwM2mResponse answer = server.send(device, operation, timeoutMs);
            if (answer == null) {
                refuse(response, HttpServletResponse.SC_GATEWAY_TIMEOUT, "Request timeout");
                return;
            }
            response.setContentType("application/json");
            response.getOutputStream().write(json.writeValueAsString(answer).getBytes(StandardCharsets.UTF_8));
        } catch (ClientSleepingException e) {
            refuse(response, HttpServletResponse.SC_BAD_REQUEST, "Invalid request: " + e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            refuse(response, HttpServletResponse.SC_INTERNAL_SERVER_ERROR, "Thread Interrupted: " + e.getMessage());
        }
    }

    private static void refuse(HttpServletResponse response, int status, String reason) throws IOException {
        response.setStatus(status);
        response.setContentType("text/plain");
        response.getOutputStream().write(reason.getBytes(StandardCharsets.UTF_8));
    }

    private static final class ResponseWriter extends StdSerializer<LwM2mResponse> {
        private static final long serialVersionUID = 1L;

        ResponseWriter() {
            super(LwM2mResponse.class);
        }

        @Override
        public void serialize(LwM2mResponse response, JsonGenerator to, SerializerProvider all) throws IOException {
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("status", response.getCode().toString());
            fields.put("valid", response.isValid());
            fields.put("success", response.isSuccess());
            fields.put("failure", response.isFailure());
            // An answer to Observe is a kind of answer to Read.
            if (response instanceof ReadResponse read && read.getContent() != null) {
                fields.put("content", read.getContent());
            }
            if (response.isFailure() && response.getErrorMessage() != null) {
                fields.put("errormessage", response.getErrorMessage());
            }
            to.writeObject(fields);
        }
    }

    private static final class NodeWriter extends StdSerializer<LwM2mNode> {
        private static final long serialVersionUID = 1L;

        NodeWriter() {
            super(LwM2mNode.class);
        }

        @Override
        public void serialize(LwM2mNode node, JsonGenerator to, SerializerProvider all) throws IOException {
            if (!(node instanceof LwM2mSingleResource resource)) {
                throw new UnsupportedOperationException("only single resources are here, not " + node);
            }
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("kind", "singleResource");
            fields.put("id", resource.getId());
            fields.put("type", resource.getType());
            fields.put("value", String.valueOf(Values.plain(resource.getValue())));
            to.writeObject(fields);
        }
    }
}
