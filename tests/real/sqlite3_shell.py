#!/usr/bin/python3
# The sqlite3 shell on a terminal, in the middle of a transaction with a rollback journal.
# LEVELS: none cap root
import sqlite3

from _program import Program, expect, main, need


def is_locked():
    db = sqlite3.connect("data.db", timeout=0)
    try:
        db.execute("BEGIN IMMEDIATE")
        db.rollback()
        return False
    except sqlite3.OperationalError:
        return True
    finally:
        db.close()


def rows():
    db = sqlite3.connect("data.db")
    found = db.execute("SELECT count(*), sum(n), max(length(text)) FROM t").fetchone()
    sound = db.execute("PRAGMA integrity_check").fetchone()[0]
    db.close()
    expect(sound == "ok", f"the database is broken: {sound}")
    return found


def test():
    need("sqlite3")
    job = Program("sqlite3", "data.db", terminal=True, env={"TERM": "dumb"})
    job.type("PRAGMA cache_size = 10;\nPRAGMA cache_spill = 10;\nCREATE TABLE t (n, text);\n")
    job.type("INSERT INTO t VALUES (0, 'before');\nBEGIN;\n")
    # So much that pages go to the file, and the old ones to the journal, before the COMMIT.
    numbers = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000) "
    job.type(f"INSERT INTO t {numbers} SELECT n, hex(randomblob(100)) FROM c;\n")
    job.type("SELECT 'count', count(*) FROM t;\n")
    job.wait_for_screen("count|5001")
    job.checkpoint()
    job.type("UPDATE t SET n = n * 2;\nSELECT 'sum', sum(n) FROM t;\n")
    job.wait_for_screen("sum|25005000")
    expect(is_locked(), "a transaction should lock the database")
    image = job.checkpoint("--kill")
    job.restore(image, terminal=True)
    job.type("SELECT 'again', sum(n) FROM t;\n")
    job.wait_for_screen("again|25005000")
    expect(is_locked(), "the lock of its transaction is gone")
    job.type("INSERT INTO t VALUES (1, 'after');\nCOMMIT;\nSELECT 'done', count(*) FROM t;\n")
    job.wait_for_screen("done|5002")
    expect(not is_locked(), "the lock is still there after the transaction")
    job.type("BEGIN;\nDELETE FROM t;\nROLLBACK;\n.quit\n")
    job.wait()
    expect(rows() == (5002, 25005001, 200), f"the database has other contents: {rows()}")


main(test)
