#!/usr/bin/python3
# python3 with an open sqlite3 database in WAL mode (a shared mapping, locks), in a transaction.
# LEVELS: none cap root
import sqlite3

from _program import Program, expect, main

PROGRAM = """
import sqlite3, time

db = sqlite3.connect("data.db", isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.execute("CREATE TABLE account (name PRIMARY KEY, money INTEGER)")
db.executemany("INSERT INTO account VALUES (?, 1000)", [(n,) for n in range(100)])
for round in range(60):
    db.execute("BEGIN IMMEDIATE")
    for n in range(100):
        db.execute("UPDATE account SET money = money - ? WHERE name = ?", (round, n))
        db.execute("UPDATE account SET money = money + ? WHERE name = ?", (round, (n + round) % 100))
    print("in round", round, flush=True)
    time.sleep(0.05)    # most checkpoints find it here
    db.execute("COMMIT")
print("total", db.execute("SELECT sum(money) FROM account").fetchone()[0])
"""


def test():
    job = Program("/usr/bin/python3", "-c", PROGRAM)
    job.wait_for_more()
    job.checkpoint()
    job.wait_for_more()
    image = job.checkpoint("--kill")
    job.restore(image)
    job.wait_for_more(1)
    # Its lock is there again: nobody else may write in the middle of its transaction.
    job.wait()
    expect(job.lines() == [f"in round {n}" for n in range(60)] + ["total 100000"],
           f"wrong:\n{job.text()}")
    db = sqlite3.connect("data.db")
    expect(db.execute("PRAGMA integrity_check").fetchone()[0] == "ok", "the database is broken")
    expect(db.execute("SELECT count(*), sum(money) FROM account").fetchone() == (100, 100000),
           "the database has other contents")


main(test)
