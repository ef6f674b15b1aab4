"""A studio whose jobs are `chained`; its settings come from the environment. With a name, the worker of that name."""

import sys

import chained
from trustworthy.studio import serving
from trustworthy.studio.jobs.executor import LocalExecutor
from trustworthy.studio.settings import load_settings

if __name__ == "__main__":
    serving.Supervisor.command = (sys.executable, __file__)
    if len(sys.argv) > 1:
        serving.work(load_settings(), sys.argv[1], LocalExecutor((sys.executable, chained.__file__, "long")))
    else:
        serving.serve(load_settings(), lambda link: print(link, flush=True))  # noqa: T201
