"""`--dry_run` says what a start would do, and does nothing of it."""

import pytest

from experiments.run import dry_run, start
from experiments.run.recipes import resolve
from jaxgan import systems
from jaxgan.host.errors import UserError

SMALL = {"model": "mlp_a", "image_size": 16, "num_examples": 64, "batch_size": 8, "generator_width": 4}


def test_a_plan_names_sizes_and_times_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(dry_run, "SECONDS", 0.0)
    workdir = tmp_path / "run"
    given = {**SMALL, "discriminator_width": 4, "epochs": 2.5, "workdir": str(workdir)}
    said = start.foresee(resolve(given, systems.names()))
    assert not workdir.exists()
    lines = said.splitlines()
    assert lines[0].startswith("mlp_a (generator ") and "on 64 pictures 16×16×3 of avatars" in lines[0]
    assert lines[1].startswith("parameters: generator ") and "discriminator" in lines[1]
    assert lines[2].startswith("memory: ") and ", 0.1 MB of pictures" in lines[2]
    assert lines[3] == "steps: 20, or 2.5 passes over the pictures"
    assert lines[4].startswith("time: about 0:") and " s a step" in lines[4]
    assert lines[5] == f"files: in {workdir}, a checkpoint each 1,000 steps, of which 3 are kept"
    assert "--epochs=2.5" in lines and lines[-1] == "Nothing was written."
    assert "error" not in capsys.readouterr().err


def test_what_a_start_refuses_a_plan_refuses(tmp_path):
    with pytest.raises(UserError, match="batch_size=100"):
        start.foresee(resolve({**SMALL, "batch_size": 100, "workdir": str(tmp_path)}, systems.names()))
