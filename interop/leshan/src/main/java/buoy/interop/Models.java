package buoy.interop;

import java.io.File;
import java.util.ArrayList;
import java.util.List;

import org.eclipse.leshan.core.LwM2m.LwM2mVersion;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.model.ResourceModel.Operations;
import org.eclipse.leshan.core.model.ResourceModel.Type;

/**
 * The object definitions that the peers know: those of LwM2M itself, which the libraries carry, and two IPSO objects,
 * which they don't.
 */
final class Models {
    static final int TEMPERATURE = 3303;
    static final int LIGHT_CONTROL = 3311;

    private Models() {
    }

    /** One version of each object, as a LwM2M 1.1 device serves them. */
    static List<ObjectModel> ofDevice() {
        List<ObjectModel> models = new ArrayList<>(ObjectLoader.loadDefault(LwM2mVersion.V1_1));
        models.addAll(ipso());
        return models;
    }

    /** Every version of each object, and those of the DDF files in {@code directory} if there is one. */
    static List<ObjectModel> ofServer(String directory) {
        List<ObjectModel> models = new ArrayList<>(ObjectLoader.loadAllDefault());
        models.addAll(ipso());
        if (directory != null) {
            models.addAll(ObjectLoader.loadObjectsFromDir(new File(directory)));
        }
        return models;
    }

    private static List<ObjectModel> ipso() {
        ObjectModel temperature = object(TEMPERATURE, "Temperature",
                resource(5601, "Min Measured Value", Operations.R, Type.FLOAT),
                resource(5602, "Max Measured Value", Operations.R, Type.FLOAT),
                resource(5605, "Reset Min and Max Measured Values", Operations.E, Type.NONE),
                resource(5700, "Sensor Value", Operations.R, Type.FLOAT),
                resource(5701, "Sensor Units", Operations.R, Type.STRING));
        ObjectModel light = object(LIGHT_CONTROL, "Light Control",
                resource(5701, "Sensor Units", Operations.R, Type.STRING),
                resource(5706, "Colour", Operations.RW, Type.STRING),
                resource(5805, "Cumulative Active Power", Operations.R, Type.FLOAT),
                resource(5820, "Power Factor", Operations.R, Type.FLOAT),
                resource(5850, "On/Off", Operations.RW, Type.BOOLEAN),
                resource(5851, "Dimmer", Operations.RW, Type.INTEGER),
                resource(5852, "On Time", Operations.RW, Type.INTEGER));
        return List.of(temperature, light);
    }

    private static ObjectModel object(int id, String name, ResourceModel... resources) {
        return new ObjectModel(id, name, "", ObjectModel.DEFAULT_VERSION, true, false, resources);
    }

    private static ResourceModel resource(int id, String name, Operations operations, Type type) {
        return new ResourceModel(id, name, operations, false, false, type, "", "", "");
    }
}
