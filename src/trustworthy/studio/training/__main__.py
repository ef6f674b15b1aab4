"""The process of one attempt at a job: `python -m trustworthy.studio.training ATTEMPT_FOLDER`.

It ends with its supervisor, whose pipe is its standard input. Exit status 0: `result` in the folder is complete;
otherwise failure.json says why, in words, and whether another attempt may help.
"""

import sys
from pathlib import Path

from trustworthy.studio.jobs.orphan import die_with_parent
from trustworthy.studio.training.attempt import attempt
from trustworthy.studio.training.task import load_orders

if __name__ == "__main__":
    die_with_parent()
    sys.exit(attempt(load_orders(Path(sys.argv[1]))))
