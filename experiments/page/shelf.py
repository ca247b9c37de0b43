"""The runs that the page shows: those of a folder, each read when it is asked for, and again as it goes on."""

import threading
from pathlib import Path
from typing import Any

from experiments.cli.schema import find_value
from experiments.page.abilities import Abilities
from experiments.run import directions
from experiments.run.restore import TrainedRun, load_run, renewed, workdir_recipe
from jaxgan import systems
from jaxgan.host.errors import UserError, printable
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.files.description import read_description
from jaxgan.training.files.workdir import Workdir
from jaxgan.training.restoring import system_of

KEPT = 4  # runs in memory at once


class Shelf:
    """A workdir, or a folder of workdirs. Runs are known by name: a visitor gives no path.

    Args:
      folder: the workdir of a run, or a folder with workdirs in it.
      step: the step of the checkpoints to draw from; None: the newest intact ones.

    Raises:
      UserError: where there is no run.
    """

    def __init__(self, folder: str, step: int | str | None = None) -> None:
        self._folder, self._step = Path(folder), step
        self._read: dict[
            str, tuple[int, int | str, TrainedRun]
        ] = {}  # by name: the flags' time, the newest step then, the run
        self._lock = threading.Lock()
        if not self.names():
            absent = "no flags.txt in it, nor in a folder in it"
            if not self._folder.is_dir():
                absent = f"there is no directory {printable(self._folder.absolute())}"
            raise UserError(f"--workdir={folder}: holds no run ({absent})")

    def names(self) -> list[str]:
        """Lists the names of the runs that are there now, in alphabetical order."""
        return sorted(self._workdirs())

    def workdir(self, name: Any) -> Workdir:
        """Returns the workdir of a run.

        Raises:
          UserError: where no run has this name.
        """
        path = self._workdirs().get(name) if isinstance(name, str) else None
        if path is None:
            raise UserError(f"run: there is none of the name {printable(name)}")
        return Workdir(path)

    def path(self, name: Any) -> str:
        """Returns the workdir of a run as a person would write it after `--workdir`."""
        self.workdir(name)
        return str(self._workdirs()[name])

    def condition_names(self, name: Any) -> tuple[str, ...]:
        """Returns the conditions that a run can be told; () of one that draws without any, whatever its pictures have.

        Raises:
          UserError: where no run has this name, or it cannot be read.
        """
        workdir = self.workdir(name)
        model = find_value(workdir.flags, "model")
        asks = find_value(workdir.flags, "conditional") is not None  # of a family that leaves it to its settings
        conditional = model is not None and (asks or systems.family_of(model).conditional)
        return read_description(workdir.path).condition_names if conditional else ()

    def abilities(self, name: Any) -> Abilities:
        """Returns what a run can be asked for.

        Raises:
          UserError: where no run has this name, or it cannot be read.
        """
        path = self.workdir(name).path
        labelled = directions.labelled(workdir_recipe(str(path)), read_description(path).condition_names)
        return Abilities(self.condition_names(name), system_of(path).outputs, labelled)

    def run(self, name: Any) -> TrainedRun:
        """Loads a run at its newest intact checkpoint, or at the step that was asked for.

        Raises:
          UserError: where no run has this name, or it has no checkpoint yet.
        """
        workdir = self.workdir(name)
        with self._lock:
            begun = workdir.flags.stat().st_mtime_ns  # written anew when a run is started or continued
            newest: int | str | None = self._step
            if newest is None:
                newest = max(Checkpoints(workdir.checkpoints).steps(), default=-1)
            former = self._read.pop(name, None)
            if former is None or former[0] != begun:
                run = load_run(self.path(name), self._step)
            elif former[1] != newest:
                run = renewed(former[2])
            else:
                run = former[2]
            self._read[name] = (begun, newest, run)
            while len(self._read) > KEPT:
                del self._read[next(iter(self._read))]  # the one that was asked for longest ago
            return run

    def _workdirs(self) -> dict[str, Path]:
        if Workdir(self._folder).flags.is_file():
            return {self._folder.absolute().name: self._folder}
        return {path.parent.name: path.parent for path in self._folder.glob("*/flags.txt") if path.is_file()}
