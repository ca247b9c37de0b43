"""When a run begins: as soon as nothing refuses it, and before anything of it is written."""

import os

import pytest
from test_training import make_job, run, several_steps

from jaxgan.host.errors import UserError


@pytest.mark.parametrize("on_collapse", ["warn", "rollback"])
def test_a_run_begins_once_nothing_refuses_it_and_before_it_writes(tmp_path, on_collapse):
    begun = []

    def step_fn(state, first_step, count):
        assert begun
        return several_steps(state, first_step, count)

    job = make_job(step_fn, begin=lambda: begun.append(os.listdir(tmp_path)))
    run(tmp_path, job=job, on_collapse=on_collapse)
    assert begun == [[".lock"]]
    run(tmp_path, job=job, on_collapse=on_collapse)  # is finished
    assert len(begun) == 1
    for path in (tmp_path / "checkpoints").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    with pytest.raises(UserError, match="none is intact"):
        run(tmp_path, job=job, steps=30, on_collapse=on_collapse)
    assert len(begun) == 1
