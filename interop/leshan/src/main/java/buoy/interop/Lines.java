package buoy.interop;

/** Standard output, one whole line at a time, whichever thread speaks. */
final class Lines {
    private Lines() {
    }

    static synchronized void print(String line) {
        System.out.println(line.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n"));
        System.out.flush();
    }

    /** A line that is already escaped, as JSON is. */
    static synchronized void printRaw(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
