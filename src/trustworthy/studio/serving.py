"""The studio on this host: its pages, and one worker in a process of its own that is started again when it dies."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import ClassVar

from waitress.server import create_server

from trustworthy.core.errors import InvalidInput
from trustworthy.studio.db.database import Database
from trustworthy.studio.jobs import leases
from trustworthy.studio.jobs.executor import Executor, LocalExecutor
from trustworthy.studio.jobs.orphan import when_orphaned
from trustworthy.studio.jobs.worker import Worker, new_name
from trustworthy.studio.settings import PREFIX, Settings
from trustworthy.studio.storage import alone
from trustworthy.studio.web.app import create_app
from trustworthy.studio.web.auth import new_link

THREADS = 8
"""That answer requests: some are long, such as a check of images or a download."""
STOP_SECONDS = 15.0
LONGEST_PAUSE = 60.0
log = logging.getLogger(__name__)


def serve(settings: Settings, tell: Callable[[str], None], worker: bool = True) -> None:
    """Serve the pages until SIGTERM or SIGINT, then stop the worker too.

    tell : is given the link that lets one browser in, once the pages can be had. worker : run one beside the pages.

    Raises InvalidInput where the address is taken or not of this machine alone, or the data folder has an open studio.
    """
    _check_host(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    open_already = (
        f"a studio is open in {settings.data_dir} already; use its link, or stop it, or give another --data-dir."
    )
    with (
        _listening(settings.host, settings.port) as listener,
        alone(
            settings.data_dir / "serving.lock", open_already
        ),  # a second one would make the link of the first useless
    ):
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        Database(settings.url).upgrade()
        largest = settings.max_file_bytes  # of a form without scripts; waitress puts it on the disk as it comes
        server = create_server(create_app(settings), sockets=[listener], threads=THREADS, max_request_body_size=largest)
        supervisor = Supervisor(settings) if worker else None
        signal.signal(signal.SIGTERM, _leave)
        try:
            tell(new_link(settings))
            server.run()
        finally:
            if supervisor is not None:
                supervisor.stop()
            server.close()


def work(settings: Settings, supervised: str | None = None, executor: Executor | None = None) -> None:
    """Be a worker until SIGTERM or SIGINT; what runs then goes back into the queue.

    supervised : the name that `Supervisor` gave; such a worker also stops when its supervisor has ended.
    """
    Database(settings.url).upgrade()
    worker = Worker(settings, executor or LocalExecutor(), supervised or new_name())
    if supervised:
        when_orphaned(worker.stop.set)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop.set())
    worker.run()


class Supervisor:
    """A worker in a process of its own, which ends when this process does, and is started again when it dies.

    command : to which the name of the worker is added.
    """

    command: ClassVar = (sys.executable, "-m", "trustworthy", "studio", "worker", "--supervised")

    def __init__(self, settings: Settings) -> None:
        self._settings, self._database = settings, Database(settings.url)
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="supervisor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the worker; its job goes back into the queue."""
        self._stopping.set()
        self._thread.join()

    def _keep(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            name, begun = new_name(), time.monotonic()
            self._attend(name)
            with self._database.session() as session:
                leases.give_back(session, name)
            pause = 1.0 if time.monotonic() - begun > LONGEST_PAUSE else min(2 * pause + 0.5, LONGEST_PAUSE)

    def _attend(self, name: str) -> None:
        """Start a worker, and come back when it has ended."""
        process = subprocess.Popen(
            [*self.command, name],
            stdin=subprocess.PIPE,
            env={**os.environ, **_environ(self._settings)},
            start_new_session=True,  # Ctrl-C is for this process alone, which then ends the worker in its own way
        )
        assert process.stdin is not None
        while process.poll() is None:
            if self._stopping.wait(0.2):
                process.stdin.close()
                _end(process)
        process.stdin.close()
        if not self._stopping.is_set():
            log.warning("the worker ended (code %s) and is started again", process.returncode)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _environ(settings: Settings) -> dict[str, str]:
    """Settings as the variables that `load_settings` reads."""
    given = {name: value for name, value in settings if value is not None}
    return {
        PREFIX + name.upper(): ",".join(value) if isinstance(value, tuple) else str(value)
        for name, value in given.items()
    }


def _check_host(settings: Settings) -> None:
    """Whoever listens to a network reads the link and the images, and there are no accounts."""
    if not (settings.network or _is_loopback(settings.host)):
        raise InvalidInput(
            f"host must be an address of this machine alone, such as 127.0.0.1, got {settings.host!r}: what is sent to "
            f"another machine is not encrypted, and there are no accounts. From there use ssh -L {settings.port}:"
            f"127.0.0.1:{settings.port} THIS_MACHINE; or set network = true, where something in front of it encrypts."
        )


def _is_loopback(host: str) -> bool:
    try:
        return all(ipaddress.ip_address(info[4][0]).is_loopback for info in socket.getaddrinfo(host, None))
    except OSError:
        return False


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise InvalidInput(
            f"the pages cannot be served at {host}, port {port} ({error.strerror}); a studio may be running there "
            "already; stop it, or choose another --port or --host."
        ) from error


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)
