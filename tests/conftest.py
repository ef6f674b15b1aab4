"""Every test is also a shape test: annotations of the library are enforced while the tests run."""

import functools
import gc
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
gc.disable()

import jaxtyping
import pytest
from hypothesis import settings

import typecheck

# The same few examples on every run, many by `make test-slow`, and no deadline: the first call of a metric may import
# scikit-learn.
settings.register_profile("deterministic", derandomize=True, deadline=None, max_examples=25)
settings.register_profile("many", derandomize=True, deadline=None, max_examples=400)
settings.load_profile("deterministic")


def pytest_configure(config: pytest.Config) -> None:
    """Before anything of the library is imported. What `make test` runs checks no function inside another."""
    typecheck.install(inner=config.option.markexpr != "not slow")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    """Every other worker reads the files from the last to the first: each compiles half of them for both."""
    report = yield
    worker = getattr(collector.config, "workerinput", {"workerid": "gw0"})["workerid"]
    if isinstance(collector, pytest.Directory) and int(worker.removeprefix("gw")) % 2:
        report.result.reverse()
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """By path, the nearest neighbours first: one worker compiles their kernels, and the other finds them made."""
    items.sort(key=lambda item: (item.path.parent.name != "neighbors", item.path.parts))


def pytest_collection_finish() -> None:
    """Have the garbage collector pass over what is there before the first test, most of it imported: it stays.

    Until then it would look in vain again and again, and in the tests it may come by less often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def _without_waiting_for_the_disk():
    """Files are written as always, but no test waits until they would survive a loss of power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def _one_command_line():
    """Every test gives arguments to one command line: to make it takes longer than most of what they ask."""
    from typer import testing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(testing, "_get_command", functools.cache(testing._get_command))
        yield


@pytest.fixture(autouse=True, scope="session")
def _the_checks_call_nothing():
    """A warning points at the line that called the library, not at the check of a call inside of it."""
    from trustworthy.core import errors

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(errors, "_INSIDE", (*errors._INSIDE, typecheck.__name__))
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_seeds_for_devices_that_are_not_there():
    """`torch.manual_seed` keeps each call, with its traceback, for every kind of device until there is one of it."""
    import torch

    with pytest.MonkeyPatch.context() as patch:
        for kind in (torch.cuda, torch.xpu, torch.mtia):
            if not kind.is_available():
                patch.setattr(kind, "manual_seed_all", lambda seed: None)
        yield


@pytest.fixture
def generator():
    import torch

    return torch.Generator().manual_seed(0)


@pytest.fixture
def _as_users_call_it():
    """Without the checks of the tests, which would refuse a wrong type before the library does."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def _without_figures():
    """Figures are laid out by nobody and come out empty, but for what a screen reader says of them."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FigureCanvasSVG, "print_svg", lambda canvas, stream, **given: stream.write(EMPTY))
        yield


_undrawn = pytest.fixture(_without_figures, scope="module", name="_undrawn")
"""For modules of tests that look at no picture."""
_undrawn_here = pytest.fixture(_without_figures, name="_undrawn_here")
"""For a test that looks at no picture, in a module of others that do."""


EMPTY = '<svg viewBox="0 0 1 1"></svg>'


@pytest.fixture
def _without_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page of an audit is its answer and its method, without the parts between: for tests that do not read them."""
    monkeypatch.setattr("trustworthy.report.render._sections", lambda audit, looks: [])


@pytest.fixture(autouse=True)
def _afresh(request: pytest.FixtureRequest) -> None:
    import torch  # not above: the process that only hands out the tests has no need of it

    torch.set_num_threads(1)
    # Not `torch.manual_seed`: while there is no CUDA, it keeps a traceback a call for when there is, at 1 ms each.
    torch.default_generator.manual_seed(0)
    typecheck.check_again(calls=10 if request.node.get_closest_marker("slow") else 1)
