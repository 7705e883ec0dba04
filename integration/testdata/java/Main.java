import java.io.*;
import java.nio.*;
import java.nio.channels.FileChannel;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;

// The Java VM reserves its heap and code cache without access, commits parts of them with
// MAP_FIXED, protects guard pages, and relies on SIGSEGV. Threads, processes, mapped files.
public class Main {
    static int depth(int n) { return n == 0 ? 0 : 1 + depth(n - 1); }

    public static void main(String[] args) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(6);
        List<Future<Long>> futures = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            final int n = i;
            futures.add(pool.submit(() -> {
                long sum = 0;
                for (int k = 0; k < 50; k++) {
                    byte[] b = new byte[100_000];
                    Arrays.fill(b, (byte) n);
                    sum += b[k] + b.length;
                }
                return sum;
            }));
        }
        long total = 0;
        for (Future<Long> f : futures) total += f.get();
        pool.shutdown();
        System.out.println("threads " + total);

        Thread[] threads = new Thread[30];
        int[] results = new int[30];
        for (int i = 0; i < threads.length; i++) {
            final int n = i;
            threads[i] = new Thread(() -> results[n] = depth(1000 + n));
            threads[i].start();
        }
        for (Thread t : threads) t.join();
        System.out.println("depths " + Arrays.stream(results).sum());

        try {
            depth(Integer.MAX_VALUE);
        } catch (StackOverflowError e) {
            System.out.println("stack overflow caught");
        }
        try {
            Object o = args.length > 100 ? "" : null;
            o.hashCode();
        } catch (NullPointerException e) {
            System.out.println("null caught");
        }

        Process p = new ProcessBuilder("sh", "-c", "cat; exit 5").redirectErrorStream(true).start();
        try (OutputStream out = p.getOutputStream()) { out.write("through a process\n".getBytes()); }
        System.out.print(new String(p.getInputStream().readAllBytes()));
        System.out.println("status " + p.waitFor());

        Path path = Path.of("mapped");
        try (FileChannel ch = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            MappedByteBuffer m = ch.map(FileChannel.MapMode.READ_WRITE, 0, 1 << 20);
            for (int i = 0; i < 1 << 20; i += 4096) m.putInt(i, i);
            m.force();
        }
        System.out.println("mapped " + Files.size(path) + " " + ByteBuffer.wrap(Files.readAllBytes(path)).getInt(409600));
        ByteBuffer direct = ByteBuffer.allocateDirect(8 << 20);
        System.out.println("direct " + direct.capacity());
        System.exit(7);
    }
}
