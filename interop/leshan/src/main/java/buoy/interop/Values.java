package buoy.interop;

import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.Map;

import org.eclipse.leshan.core.link.Link;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mNodeVisitor;
import org.eclipse.leshan.core.node.LwM2mObject;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.node.LwM2mRoot;
import org.eclipse.leshan.core.node.ObjectLink;
import org.eclipse.leshan.core.util.Hex;
import org.eclipse.leshan.core.util.datatype.ULong;

/** Values as the line protocols write them. */
final class Values {
    /** Longer opaque values are told by length and digest, so that a line stays readable. */
    private static final int LONGEST_HEX = 64;

    private Values() {
    }

    static Object parse(Type type, String text) throws Exception {
        return switch (type) {
            case INTEGER -> Long.valueOf(text);
            case UNSIGNED_INTEGER -> ULong.valueOf(text);
            case FLOAT -> Double.valueOf(text);
            case BOOLEAN -> parseBoolean(text);
            case TIME -> new Date(Long.parseLong(text) * 1000);
            case OPAQUE -> text.startsWith("@") ? Files.readAllBytes(Path.of(text.substring(1)))
                    : Hex.decodeHex(text.toCharArray());
            case OBJLNK -> ObjectLink.decodeFromString(text);
            case STRING -> text;
            default -> throw new IllegalArgumentException("no value has the type " + type);
        };
    }

    private static boolean parseBoolean(String text) {
        return switch (text) {
            case "true", "1" -> true;
            case "false", "0" -> false;
            default -> throw new IllegalArgumentException("neither true nor false: " + text);
        };
    }

    /** What JSON can carry: a number, a boolean or a string; times are seconds since 1970. */
    static Object plain(Object value) {
        if (value instanceof Date time) {
            return time.getTime() / 1000;
        }
        if (value instanceof byte[] bytes) {
            return bytes.length <= LONGEST_HEX ? Hex.encodeHexString(bytes) : digest(bytes);
        }
        if (value instanceof ULong number) {
            return number.toBigInteger();
        }
        if (value instanceof ObjectLink link) {
            return link.encodeToString();
        }
        if (value instanceof Link[] links) {
            StringBuilder text = new StringBuilder();
            for (Link link : links) {
                text.append(text.length() == 0 ? "" : ",").append(link.toCoreLinkFormat());
            }
            return text.toString();
        }
        return value;
    }

    private static String digest(byte[] bytes) {
        try {
            byte[] sum = MessageDigest.getInstance("SHA-256").digest(bytes);
            return bytes.length + " bytes, sha256 " + Hex.encodeHexString(sum);
        } catch (java.security.NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    /** The leaves below {@code path}, each with its own path: resources, or resource instances of multiple ones. */
    static Map<String, Object> leaves(LwM2mPath path, LwM2mNode node) {
        Map<String, Object> leaves = new LinkedHashMap<>();
        if (node != null) {
            collect(path, node, leaves);
        }
        return leaves;
    }

    private static void collect(LwM2mPath path, LwM2mNode node, Map<String, Object> leaves) {
        node.accept(new LwM2mNodeVisitor() {
            @Override
            public void visit(LwM2mRoot root) {
                root.getObjects().values().forEach(o -> collect(new LwM2mPath(o.getId()), o, leaves));
            }

            @Override
            public void visit(LwM2mObject object) {
                object.getInstances().values().forEach(i -> collect(path.append(i.getId()), i, leaves));
            }

            @Override
            public void visit(LwM2mObjectInstance instance) {
                instance.getResources().values().forEach(r -> collect(path.append(r.getId()), r, leaves));
            }

            @Override
            public void visit(LwM2mResource resource) {
                if (resource.isMultiInstances()) {
                    resource.getInstances().values().forEach(i -> collect(path.append(i.getId()), i, leaves));
                } else {
                    leaves.put(path.toString(), plain(resource.getValue()));
                }
            }

            @Override
            public void visit(LwM2mResourceInstance instance) {
                leaves.put(path.toString(), plain(instance.getValue()));
            }
        });
    }
}
