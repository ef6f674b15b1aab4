"""What the tests run in the place of a training: python chained.py MANNER FOLDER.

A link of a chain of hashes is an epoch. The last one, and so the result, depends on the seed alone, and on every epoch
having been done once.
"""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

from trustworthy.core.files import atomic_write
from trustworthy.studio.jobs.orphan import die_with_parent
from trustworthy.studio.jobs.progress import Reporter

EPOCHS, SECONDS = 10, 0.01


def link(chain, seed):
    return hashlib.sha256(f"{chain} {seed}".encode()).hexdigest()


def last(seed, epochs=EPOCHS):
    chain = ""
    for _ in range(epochs):
        chain = link(chain, seed)
    return chain


def work(folder, task, seconds=SECONDS, epochs=EPOCHS):
    reporter, state = Reporter(folder), folder / "checkpoints" / "state.json"
    done, chain = json.loads(state.read_text()) if state.is_file() else (0, "")
    seed = task["settings"]["seed"]
    for epoch in range(done, done if task["finish"] else epochs):
        time.sleep(seconds)
        chain = link(chain, seed)
        with atomic_write(state) as stream:
            json.dump((epoch + 1, chain), stream)
        curve = {"member": 1, "epoch": epoch + 1, "loss": 1 / (epoch + 1), "validation": 1.2 / (epoch + 1)}
        reporter.tell((epoch + 1) / epochs, stage="training", seconds_left=seconds * (epochs - epoch - 1), curve=curve)
    publishable(folder, task, chain)


def publishable(folder, task, chain):
    """What an attempt leaves."""
    model = folder / "result" / "model"
    model.mkdir(parents=True, exist_ok=True)
    (model / "weights").write_text(chain)
    result = {
        "kind": task["kind"], "images": [], "meaning": "", "threshold": None, "tolerance": [], "flagging": "",
        "promise": "", "methods": "We chained.", "settings": task["settings"], "versions": {}, "seconds": 1,
        "summary": {"pearson": 0.5},
    }  # fmt: skip
    with atomic_write(folder / "result" / "result.json") as stream:
        json.dump(result, stream)


def main(manner, folder):
    task = json.loads((folder / "job.json").read_text())["task"]
    (folder / "pid").write_text(str(os.getpid()))
    if manner != "deaf":
        die_with_parent()
    match manner:
        case "work":
            work(folder, task)
        case "slow":
            work(folder, task, seconds=60)
        case "long":
            work(folder, task, seconds=0.1, epochs=task["settings"]["epochs"])
        case "told":
            (folder / "failure.json").write_text(json.dumps({"reason": "The images are empty.", "again": False}))
            sys.exit(1)
        case "crash":
            sys.exit("KeyError: 'axes'")
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "empty":
            pass
        case "stall" | "deaf":
            for _ in range(600):
                time.sleep(0.1)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
