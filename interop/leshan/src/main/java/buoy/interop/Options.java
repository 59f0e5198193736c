package buoy.interop;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Command line of a peer: {@code --name value} pairs and lone {@code --flag}s. */
final class Options {
    private final Map<String, List<String>> values = new HashMap<>();
    private final Set<String> flags = new HashSet<>();

    /** Ends the program with status 2 and {@code usage} if an argument is neither one of the options nor a flag. */
    static Options parse(String usage, Set<String> valued, Set<String> flags, String[] arguments) {
        Options options = new Options();
        for (int i = 0; i < arguments.length; i++) {
            String name = arguments[i];
            if (flags.contains(name)) {
                options.flags.add(name);
            } else if (valued.contains(name) && i + 1 < arguments.length) {
                options.values.computeIfAbsent(name, n -> new ArrayList<>()).add(arguments[++i]);
            } else {
                System.err.println("unexpected argument: " + name + System.lineSeparator() + usage);
                System.exit(2);
            }
        }
        return options;
    }

    boolean has(String flag) {
        return flags.contains(flag) || values.containsKey(flag);
    }

    List<String> all(String name) {
        return values.getOrDefault(name, List.of());
    }

    String text(String name, String otherwise) {
        List<String> given = all(name);
        return given.isEmpty() ? otherwise : given.get(given.size() - 1);
    }

    /** What is in the file of that name. */
    byte[] file(String name) throws IOException {
        return Files.readAllBytes(Path.of(text(name, "")));
    }

    int number(String name, int otherwise) {
        return Integer.parseInt(text(name, Integer.toString(otherwise)));
    }
}
