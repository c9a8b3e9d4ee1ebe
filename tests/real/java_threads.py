#!/usr/bin/python3
# Java: compiled code, the collector's and the compiler's threads, locks, a scheduled executor.
# LEVELS: none
from _program import Program, expect, main, need, run

PROGRAM = """
import java.util.*;
import java.util.concurrent.*;

public class Sums {
    static final int STEPS = 150;
    static long[] sums = new long[STEPS];
    static List<byte[]> ballast = new ArrayList<>();

    static long work(int step) {
        long sum = 0;
        for (int i = 0; i < 200_000; i++)
            sum = sum * 31 + (i ^ step);
        return sum;
    }

    public static void main(String[] args) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(3);
        ScheduledExecutorService clock = Executors.newScheduledThreadPool(1);
        CountDownLatch ticks = new CountDownLatch(20);
        clock.scheduleAtFixedRate(ticks::countDown, 0, 20, TimeUnit.MILLISECONDS);
        for (int step = 0; step < STEPS; step++) {
            final int n = step;
            Future<Long> sum = pool.submit(() -> work(n));
            ballast.add(new byte[100_000 + n]);
            if (ballast.size() > 40)
                ballast.remove(0);
            sums[n] = sum.get(30, TimeUnit.SECONDS);
            System.out.println("step " + n + " " + sums[n]);
            Thread.sleep(15);
            if (n % 50 == 49)
                System.gc();
        }
        ticks.await();
        pool.shutdown();
        clock.shutdownNow();
        System.out.println("result " + Arrays.hashCode(sums) + " " + ballast.get(39).length);
        System.exit(9);
    }
}
"""


def long_of(number):
    return (number + 2**63) % 2**64 - 2**63


def hash_of(longs):
    result = 1
    for number in longs:
        element = (number ^ (number % 2**64 >> 32)) % 2**32
        result = (31 * result + element) % 2**32
    return (result + 2**31) % 2**32 - 2**31


def test():
    need("java", "javac")
    with open("Sums.java", "w") as file:
        file.write(PROGRAM)
    run("javac", "Sums.java")
    job = Program("java", "-Xmx64m", "Sums")
    job.wait_for("^step 9 ")
    job.checkpoint()
    job.wait_for_more()
    image = job.checkpoint("--kill")
    job.restore(image)
    job.wait_for_more()
    job.wait(9)
    found = [line.split() for line in job.lines()]
    expect([int(words[1]) for words in found[:-1]] == list(range(150)), f"wrong:\n{job.text()}")
    sums = [int(words[2]) for words in found[:-1]]
    for n in (0, 77, 149):
        total = 0
        for i in range(200_000):
            total = (total * 31 + (i ^ n)) % 2**64
        expect(sums[n] == long_of(total), f"the sum of step {n} is wrong")
    expect(found[-1] == ["result", str(hash_of(sums)), str(100_149)], f"wrong: {found[-1]}")


main(test)
