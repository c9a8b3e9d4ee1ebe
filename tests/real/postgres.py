#!/usr/bin/python3
# PostgreSQL: a tree of processes with System V and POSIX shared memory, semaphores in it, latches and timers.
# Nobody is connected when it is saved; clients that come later find their data, and the server goes on.
# LEVELS: none cap
# TIMEOUT: 300
import os
import signal

from _program import Program, Trouble, expect, main, need, run, until

# The test's user has no name, and the database asks for one.
NAME_OF_USER = """
#include <pwd.h>
#include <stddef.h>
static struct passwd user = {"tester", "", 1, 1, "", "/", "/bin/sh"};
struct passwd *getpwuid(uid_t uid) { user.pw_uid = uid; return &user; }
int getpwuid_r(uid_t uid, struct passwd *p, char *buf, size_t size, struct passwd **ret)
{
	user.pw_uid = uid;
	*p = user;
	*ret = p;
	return 0;
}
"""


def programs():
    """initdb, postgres and psql of one version."""
    folders = ["/usr/lib/postgresql/" + version + "/bin"
               for version in sorted(os.listdir("/usr/lib/postgresql"), key=float, reverse=True)
               ] if os.path.isdir("/usr/lib/postgresql") else []
    os.environ["PATH"] = ":".join([*folders, os.environ["PATH"]])
    return need("initdb", "postgres", "psql")


def named(*argv):
    return run(*argv, env={**os.environ, "LD_PRELOAD": os.path.abspath("name.so")})


def make_cluster(initdb):
    need("cc")
    with open("name.c", "w") as file:
        file.write(NAME_OF_USER)
    run("cc", "-shared", "-fPIC", "-o", "name.so", "name.c")
    named(initdb, "-D", "data", "-A", "trust", "-U", "tester", "--no-sync")
    with open("data/postgresql.conf", "a") as file:
        file.write("listen_addresses = ''\nunix_socket_directories = '.'\nfsync = off\n")


def query(psql, text):
    return named(psql, "-h", os.path.abspath("data"), "-U", "tester", "-d", "postgres", "-Atqc",
                 text).strip()


def answers(psql, job):
    expect(job.is_alive(), f"the server ended:\n{job.text()}")
    try:
        return query(psql, "select 1") == "1"
    except Trouble:
        return False


def check(psql, job, rows):
    until(lambda: answers(psql, job), "the server to answer")
    expect(query(psql, "select count(*), sum(n) from numbers") ==
           f"{rows}|{rows * (rows + 1) // 2}", "the data differs")
    query(psql, f"insert into numbers values ({rows + 1}); checkpoint")
    # Another process of the server takes the signal and starts a worker.
    query(psql, "set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; "
                "set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0; "
                "select count(*) from numbers where n % 2 = 0")
    return rows + 1


def nobody_connected(psql):
    """The server has one process for each client, until it notices that one is gone."""
    until(lambda: query(psql, "select count(*) from pg_stat_activity "
                              "where backend_type = 'client backend'") == "1",
          "the server to forget clients")


def backends():
    with open("data/postmaster.pid") as file:
        server = file.read().split()[0]
    try:
        children = run("ps", "-o", "args=", "--ppid", server)
    except Trouble:
        return []
    return [line for line in children.splitlines() if "tester" in line]


def quiet(psql):
    nobody_connected(psql)
    until(lambda: not backends(), "the last client's process to end")


def test():
    initdb, postgres, psql = programs()
    make_cluster(initdb)
    job = Program(postgres, "-D", "data")
    until(lambda: answers(psql, job), "the server to answer")
    query(psql, "create table numbers (n int); insert into numbers select generate_series(1, 1000)")
    quiet(psql)
    job.checkpoint()
    rows = check(psql, job, 1000)
    quiet(psql)
    image = job.checkpoint("--kill")
    job.restore(image)
    rows = check(psql, job, rows)
    expect(query(psql, "select pg_reload_conf()") == "t", "the server does not take a signal")
    check(psql, job, rows)
    job.process.send_signal(signal.SIGINT)
    job.wait()
    expect("database system is shut down" in job.text(), "it was not shut down")
    expect("not properly shut down" not in job.text(), "it had to recover")


if __name__ == "__main__":
    main(test)
