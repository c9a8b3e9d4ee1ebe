"""vim on a job's terminal: the file "text" of two lines, an unsaved change, and what it answers."""

TERMINAL = {"TERM": "xterm", "LINES": "", "COLUMNS": ""}
COMMAND = ("vim", "-N", "-u", "NONE", "text")


def write_text():
    with open("text", "w") as file:
        file.write("first\nsecond\n")


def change(job):
    """Waits until vim shows the file, and changes it."""
    job.wait_for_screen("second")
    job.type("A, changed\x1b:echo 'typed' 6*7\r")
    job.wait_for_screen("typed 42")


def checkpoint_twice(job):
    """While it goes on, and for good: the image of the second."""
    job.checkpoint()
    job.type(":echo 'still' 7*7\r")
    job.wait_for_screen("still 49")
    return job.checkpoint("--kill")


def answers_again(job):
    job.type(":echo 'again' 8*8\r")
    job.wait_for_screen("again 64")


def stop(job):
    """^Z, which stops vim alone."""
    job.type("\x1a")
    job.wait_for_screen("Stopped")


def saved():
    with open("text") as file:
        return file.read() == "first, changed\nsecond\n"
