"""Starts services in order, keeps them alive, stops them in reverse, and says plainly what it does.

A service that dies is started again with growing pauses; one that dies five times within a minute stops
everything. Signals only wake the loop: what has to be done is done by the loop, one thing at a time.
Nothing that was started is left behind, whether the end is Ctrl-C, a signal, an error or the supervisor's
own death.
"""

import contextlib
import os
import select
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from rich.console import Console

from annotate.stack.process import Process, Service, StackError

DEATHS = 5
WINDOW = 60.0
LONGEST_PAUSE = 8.0
STOP_LIMIT = 9.5


class Stopped(Exception):
    """We were asked to stop."""


@dataclass
class Kept:
    """A service under care: its process while it lives, its latest deaths, when it is due again."""

    service: Service
    process: Process | None = None
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=DEATHS))
    due: float = 0.0
    announced: bool = False


class Supervisor:
    """Keeps services alive until told to stop."""

    def __init__(self, console: Console | None = None, first_pause: float = 0.5) -> None:
        """Take the console to speak to and the pause after a first death, which doubles with each."""
        self.first_pause = first_pause
        self.console = console or Console(highlight=False)
        self.kept: list[Kept] = []
        self.asked_to_stop = 0
        self._wake_read, self._wake_write = os.pipe()
        for end in (self._wake_read, self._wake_write):
            os.set_blocking(end, False)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Take the signals; stop everything at the end, whatever the end is."""
        before: dict[signal.Signals, Any] = {}
        wake_before = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, self._ask_to_stop)
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            yield
        finally:
            self.stop_all()
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wake_before)
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.asked_to_stop += 1

    def pause(self, seconds: float) -> None:
        """Wait, or less if a signal comes. Raises Stopped."""
        select.select([self._wake_read], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        if self.asked_to_stop:
            raise Stopped

    def step(self, label: str, work: Callable[[], Any]) -> None:
        """Do one thing and say how long it took. Raises Stopped if we were asked to stop meanwhile."""
        began = time.monotonic()
        work()
        self.done(label, time.monotonic() - began)
        self.pause(0)

    def done(self, label: str, seconds: float) -> None:
        """Say that something is done."""
        self.say(f"  [green]✓[/] {label} [dim]{seconds:.1f} s[/]")

    def say(self, text: str) -> None:
        """Say something. A terminal that has gone away is no reason to stop."""
        with contextlib.suppress(OSError):
            self.console.print(text, soft_wrap=True)

    def start(self, *services: Service) -> None:
        """Start services together and wait until each is ready. Raises StackError, Stopped."""
        started = []
        for service in services:
            kept = Kept(service)
            self.kept.append(kept)
            kept.process = Process(service)
            started.append(kept)
        while waiting := [kept for kept in started if not kept.announced]:
            for kept in waiting:
                self._announce(kept)
            self.pause(0.02)

    def _announce(self, kept: Kept) -> None:
        process = kept.process
        if process is None:
            raise StackError(f"{kept.service.name} is not running.")
        if process.ready():
            kept.announced = True
            self.done(f"{kept.service.name} ready", time.monotonic() - process.began)
        else:
            process.check_start()

    def run(self, service: Service) -> float:
        """Run something that ends by itself; give its seconds. Raises StackError if it fails, Stopped."""
        process = Process(service)
        try:
            while not process.ended():
                self.look_after()
                self.pause(0.2)
        finally:
            process.stop()
        if process.popen.returncode != 0:
            raise StackError(process.last_words(f"{service.name} failed ({process.how_it_ended()})."))
        return time.monotonic() - process.began

    def keep(self) -> None:
        """Watch over the services. Raises Stopped, or StackError if one cannot be kept alive."""
        while True:
            self.look_after()
            waiting = any(kept.process is None or not kept.announced for kept in self.kept)
            self.pause(0.05 if waiting else 1.0)

    def look_after(self) -> None:
        """Bury the dead and start again what is due. Raises StackError after too many deaths."""
        now = time.monotonic()
        for kept in self.kept:
            if kept.process is not None and kept.process.ended():
                self._bury(kept, kept.process, now)
            elif kept.process is None and now >= kept.due:
                kept.process = Process(kept.service)
                kept.announced = False
            elif kept.process is not None and not kept.announced:
                self._announce_again(kept, kept.process)

    def _bury(self, kept: Kept, process: Process, now: float) -> None:
        process.stop()
        kept.process = None
        kept.deaths.append(now)
        name = kept.service.name
        recent = [moment for moment in kept.deaths if now - moment < WINDOW]
        if len(recent) >= DEATHS:
            raise StackError(
                process.last_words(f"{name} died {DEATHS} times within a minute, so everything stops.")
            )
        pause = min(LONGEST_PAUSE, self.first_pause * 2 ** (len(recent) - 1))
        kept.due = now + pause
        log = f" Log: {kept.service.log}" if kept.service.log else ""
        self.say(
            f"  [yellow]![/] {name} died ({process.how_it_ended()}); starting it again in {pause:g} s.{log}"
        )

    def _announce_again(self, kept: Kept, process: Process) -> None:
        if process.ready():
            kept.announced = True
            self.done(f"{kept.service.name} ready again", time.monotonic() - process.began)
        elif time.monotonic() - process.began > kept.service.start_limit:
            process.stop()  # the next look counts it as a death

    def stop_all(self) -> None:
        """Stop the services, the latest first, within ten seconds; a second Ctrl-C leaves them less time."""
        deadline = time.monotonic() + STOP_LIMIT
        asked = self.asked_to_stop
        while self.kept:
            kept = self.kept.pop()
            if kept.process is None:
                continue
            left = max(0.5, deadline - time.monotonic())
            hurry = self.asked_to_stop > max(asked, 1)
            kept.process.stop(0.2 if hurry else min(kept.service.grace, left))
