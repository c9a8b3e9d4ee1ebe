#!/usr/bin/python3
# A Java virtual machine that reads from and writes to two children of its own.
# LEVELS: none cap root
# TIMEOUT: 240
from _program import Program, expect, main, need, run

SOURCE = """
import java.io.*;

public class Children {
    static class Child {
        final Process process;
        final BufferedWriter in;
        final BufferedReader out;

        Child(String... command) throws IOException {
            process = new ProcessBuilder(command).redirectErrorStream(true).start();
            in = new BufferedWriter(new OutputStreamWriter(process.getOutputStream()));
            out = new BufferedReader(new InputStreamReader(process.getInputStream()));
        }

        String ask(String text) throws IOException {
            in.write(text + "\\n");
            in.flush();
            return out.readLine();
        }
    }

    public static void main(String[] args) throws Exception {
        Child shell = new Child("bash", "-c",
                                "n=0; while read x; do n=$((n + x)); echo $n; done; exit 3");
        Child cat = new Child("cat");
        for (int step = 1; step <= 60; step++) {
            System.out.println("step " + step + " " + shell.ask("" + step) + " "
                               + cat.ask("echo" + step));
            Thread.sleep(30);
        }
        shell.in.close();
        cat.in.close();
        System.out.println("ended " + shell.process.waitFor() + " " + cat.process.waitFor());
        System.exit(8);
    }
}
"""


def test():
    need("java", "javac")
    with open("Children.java", "w") as file:
        file.write(SOURCE)
    run("javac", "Children.java")
    job = Program("java", "-Xmx64m", "-XX:+UseSerialGC", "-cp", ".", "Children")
    job.wait_for("^step 5 ")
    job.checkpoint()
    job.wait_for_more()
    image = job.checkpoint("--kill")
    job.restore(image)
    job.wait_for_more()
    job.wait(8)
    expect(job.lines() == [f"step {n} {n * (n + 1) // 2} echo{n}" for n in range(1, 61)]
           + ["ended 3 0"], f"wrong:\n{job.text()}")


main(test)
