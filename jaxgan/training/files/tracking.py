"""Trackers, which get what a run logs besides its own files; that of Weights & Biases, by its public client."""

import importlib
import os
import secrets
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from jaxgan.host import console
from jaxgan.host.errors import UserError, named
from jaxgan.host.files import write_text
from jaxgan.training.files.workdir import Workdir


class Tracker(Protocol):
    """What the recorder of a run tells, line by line and grid by grid."""

    def add_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        """Takes numbers by name at a step."""

    def add_image(self, step: int, name: str, image: np.ndarray) -> None:
        """Takes a picture, uint8 (height, width, channels), at a step."""


class WandbTracker:
    """Logs a run to a project of Weights & Biases, in the mode that its client is set to.

    The run there begins with the first thing that is logged. A resumed run continues it: its id is kept in the workdir,
    beside the client's own files. Whatever the client raises is said in a line, and training goes on without it.

    Args:
      project: the name of the project.
      workdir: the directory of the run.
      settings: the settings of the run by name.

    Raises:
      UserError: if the client is not installed, or cannot be loaded.
    """

    def __init__(self, project: str, workdir: Workdir, settings: Mapping[str, Any]) -> None:
        without = "--wandb_project=none trains without it"
        try:
            self._client: Any = importlib.import_module("wandb")
        except ImportError as error:
            self._client = None
            if error.name not in (None, "wandb"):
                raise UserError(
                    f"--wandb_project={project}: the client cannot be loaded ({named(error)}); {without}"
                ) from error
        except Exception as error:  # what the client needs may raise anything in another version
            raise UserError(
                f"--wandb_project={project}: the client cannot be loaded ({named(error)}); {without}"
            ) from error
        if not hasattr(self._client, "init"):  # a mere folder of that name, which the client makes, can be imported too
            raise UserError(
                f"--wandb_project={project}: needs the client; run pip install 'jaxgan[wandb]', or {without}"
            )
        self._project, self._workdir, self._settings = project, workdir, dict(settings)
        self._run: Any = None
        self._failed = False

    def add_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        """Logs numbers by name at a step."""
        self._log(step, lambda: dict(scalars))

    def add_image(self, step: int, name: str, image: np.ndarray) -> None:
        """Logs a picture, uint8 (height, width, channels), at a step."""
        self._log(step, lambda: {name: self._client.Image(image)})

    def close(self, *, failed: bool = False) -> None:
        """Ends the session, so that everything is sent; another one may continue the run."""
        if self._run is not None:
            self._guarded(lambda: self._run.finish(exit_code=int(failed)))

    def __enter__(self) -> "WandbTracker":
        """Logs in, where that is needed: later, a question would come in the midst of training."""
        if os.environ.get("WANDB_MODE", "online") == "online":
            self._guarded(lambda: self._client.login(timeout=60))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(failed=kind is not None)

    def _log(self, step: int, values: Any) -> None:
        def log() -> None:
            if self._run is None:
                self._run = self._begin()
            self._run.log({"step": step, **values()})

        if not self._failed:
            self._guarded(log)

    def _begin(self) -> Any:
        run = self._client.init(
            project=self._project,
            id=self._id(),
            resume="allow",
            name=self._workdir.path.name,
            dir=str(self._workdir.path),
            config=self._settings,
        )
        # The client drops what is logged at an earlier step than the last; after a rollback that is what counts.
        run.define_metric("*", step_metric="step")
        return run

    def _id(self) -> str:
        path = self._workdir.wandb / "id.txt"
        if not path.exists():
            write_text(path, secrets.token_hex(4))
        return path.read_text(encoding="utf-8").strip()

    def _guarded(self, action: Any) -> None:
        try:
            action()
        except Exception as error:
            self._failed = True
            tqdm.write(f"Weights & Biases: {named(error)}. Training goes on without it.", file=console.err)
