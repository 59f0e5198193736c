package buoy.interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

import org.eclipse.leshan.client.resource.BaseInstanceEnabler;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;

/**
 * An object instance that is a table of values, and that tells each Write and Execute on a line.
 *
 * <p>A value is an object of the resource's type, a map of resource instance to such objects, or a {@link Supplier} of
 * either. Which operations are allowed is what the object's definition says; the library asks it before it comes here.
 */
public class ValueInstance extends BaseInstanceEnabler {
    private final Map<Integer, Object> values = new ConcurrentHashMap<>();

    ValueInstance with(int resource, Object value) {
        values.put(resource, value);
        return this;
    }

    Object get(int resource) {
        return values.get(resource);
    }

    /** Changes a value from inside the device and tells those who observe it. */
    void change(int resource, Object value) {
        values.put(resource, value);
        fireResourceChange(resource);
    }

    /** Changes one instance of a multiple resource from inside the device. */
    void change(int resource, int instance, Object value) {
        Map<Integer, Object> instances = new TreeMap<>();
        if (values.get(resource) instanceof Map<?, ?> present) {
            present.forEach((id, v) -> instances.put((Integer) id, v));
        }
        instances.put(instance, value);
        values.put(resource, instances);
        fireResourceInstanceChange(resource, instance);
    }

    @Override
    public ReadResponse read(LwM2mServer server, int resource) {
        Object value = values.get(resource);
        if (value instanceof Supplier<?> supplier) {
            value = supplier.get();
        }
        if (value == null) {
            return ReadResponse.notFound();
        }
        ResourceModel definition = getModel().resources.get(resource);
        if (value instanceof Map<?, ?> instances) {
            Map<Integer, Object> copy = new TreeMap<>();
            instances.forEach((id, v) -> copy.put((Integer) id, v));
            return ReadResponse.success(resource, copy, definition.type);
        }
        return ReadResponse.success(org.eclipse.leshan.core.node.LwM2mSingleResource.newResource(resource, value,
                definition.type));
    }

    @Override
    public WriteResponse write(LwM2mServer server, boolean replace, int resource, LwM2mResource written) {
        if (written.isMultiInstances()) {
            Map<Integer, Object> instances = new TreeMap<>();
            if (!replace && values.get(resource) instanceof Map<?, ?> present) {
                present.forEach((id, v) -> instances.put((Integer) id, v));
            }
            written.getInstances().forEach((id, instance) -> instances.put(id, instance.getValue()));
            values.put(resource, instances);
        } else {
            values.put(resource, written.getValue());
        }
        Values.leaves(getResourcePath(resource), written).forEach((path, value) -> told(server, path, value));
        fireResourceChange(resource);
        return WriteResponse.success();
    }

    @Override
    public WriteResponse write(LwM2mServer server, boolean replace, int resource, int instance,
            LwM2mResourceInstance written) {
        if (!(values.get(resource) instanceof Map<?, ?> present) || !present.containsKey(instance)) {
            return WriteResponse.notFound();
        }
        change(resource, instance, written.getValue());
        told(server, getResourceInstancePath(resource, instance).toString(), Values.plain(written.getValue()));
        return WriteResponse.success();
    }

    private static void told(LwM2mServer server, String path, Object value) {
        Lines.print((server.isSystem() ? "SET " : "WRITE ") + path + " " + value);
    }

    @Override
    public ExecuteResponse execute(LwM2mServer server, int resource, Arguments arguments) {
        LwM2mPath path = getResourcePath(resource);
        Lines.print(("EXECUTE " + path + " " + (arguments.isEmpty() ? "" : arguments.serialize())).trim());
        executed(resource);
        return ExecuteResponse.success();
    }

    /** What the object does after an Execute, beyond telling it. */
    protected void executed(int resource) {
    }

    @Override
    public void onDelete(LwM2mServer server) {
        Lines.print("DELETE /" + getModel().id + "/" + getId());
    }

    @Override
    public void reset(int resource) {
        values.remove(resource);
    }

    @Override
    public List<Integer> getAvailableResourceIds(ObjectModel model) {
        TreeSet<Integer> available = new TreeSet<>(values.keySet());
        model.resources.values().stream().filter(r -> r.operations.isExecutable()).forEach(r -> available.add(r.id));
        return new ArrayList<>(available);
    }
}
