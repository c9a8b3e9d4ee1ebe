"""The table, as Markdown, and all values, as JSON."""

import json
import os
import platform
from pathlib import Path

MARKS = ("<!-- figures -->\n", "<!-- end of figures -->\n")
HEADINGS = ("row", "what", "bar", "Stasis", "beside it", "met", "remarks")


def met_word(line):
    return {True: "yes", False: "**no**", None: "-"}[line.met]


def head_line():
    return ("| " + " | ".join(HEADINGS) + " |\n"
            "|" + " --- |" * len(HEADINGS))


def table_line(name, line):
    words = [name, line.what, line.bar, line.figure, line.beside, met_word(line), line.remark]
    return "| " + " | ".join(word.replace("|", "\\|").replace("\n", " ") for word in words) + " |"


def introduction(bench):
    text = (f"Linux {platform.release()}, {os.cpu_count()} processors, an ordinary user without "
            f"capabilities; SCALE={bench.scale_name}, medians of {bench.repeat} (least and most in "
            "brackets)")
    return text + "".join(f"; {remark}" for remark in bench.remarks)


def conclusion(lines):
    judged = [line.met for line in lines if line.met is not None]
    return (f"{judged.count(True)} of {len(judged)} bars are met; "
            f"{len(lines) - len(judged)} lines have none, or could not be measured")


def write_json(path, bench, record):
    document = {"kernel": platform.release(), "processors": os.cpu_count(),
                "scale": bench.scale_name, "repeat": bench.repeat, "remarks": bench.remarks,
                "rows": record}
    if path == "-":
        print("\n" + json.dumps(document))
    else:
        Path(path).write_text(json.dumps(document, indent=1) + "\n")


def record_of(samples, lines, others, idle):
    return {"values": samples.json(), "remarks": samples.remarks,
            "processors used by others": round(others, 2), "idle gap": idle,
            "lines": [vars(line) for line in lines]}


def write_docs(path, text):
    """Between the two marks; what stands around them stays."""
    document = Path(path).read_text()
    before, rest = document.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    Path(path).write_text(before + MARKS[0] + text + MARKS[1] + after)
