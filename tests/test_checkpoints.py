import errno
import json
import os
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.host.digest import digest, digest_leaves, host_leaves
from jaxgan.host.errors import UserError
from jaxgan.training.files import checkpoint_format, checkpoints
from jaxgan.training.files.checkpoints import CheckpointError, Checkpoints

# When one array cannot be read, Orbax leaves the loop in which TensorStore still reads the others: noise, no harm.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def make_state(seed=0):
    key = jax.random.key(seed)
    return {
        "step": jnp.int32(seed),
        "key": key,
        "params": {"kernel": jax.random.normal(key, (40, 30)), "half": jnp.arange(5, dtype=jnp.bfloat16)},
        "optimizer": (jnp.zeros((0, 3)), [jnp.ones(4), np.arange(3, dtype=np.int64)]),
    }


def open_checkpoints(directory, **options):
    messages = []
    options = {"report": messages.append, "retry_after": 0.0} | options
    return Checkpoints(directory / "run" / "checkpoints", **options), messages


def save_steps(saver, *steps, **options):
    for step in steps:
        saver.save(step, make_state(step), {"sum": step / 3}, **options)
    saver.wait()


@pytest.fixture(scope="module")
def two_saved(tmp_path_factory):
    """A run with checkpoints 1 and 2, to be copied."""
    directory = tmp_path_factory.mktemp("saved")
    saver, _ = open_checkpoints(directory)
    save_steps(saver, 1, 2)
    return directory


@pytest.fixture
def damageable(two_saved, tmp_path):
    shutil.copytree(two_saved / "run", tmp_path / "run")
    return tmp_path


# The digest


def test_digest_is_what_its_definition_says():
    import hashlib

    expected = hashlib.sha256(b"a/0\0float32\0(2,)\0" + np.float32([1, 2]).tobytes())
    expected.update(b"b\0int32\0()\0" + np.int32(7).tobytes())
    assert digest({"b": jnp.int32(7), "a": [jnp.float32([1, 2])]}) == expected.hexdigest()


@pytest.mark.parametrize(
    "other",
    [
        {"a": jnp.array([0.0, -0.0])},
        {"a": jnp.array([[0.0, 0.0]])},
        {"a": jnp.array([0, 0])},
        {"b": jnp.array([0.0, 0.0])},
        {"a": jnp.array([0.0, 0.0]), "b": jnp.zeros((0,))},
    ],
)
def test_digest_tells_bits_shapes_dtypes_and_names_apart(other):
    assert digest({"a": jnp.array([0.0, 0.0])}) != digest(other)


def test_digest_does_not_depend_on_the_order_of_the_arrays():
    leaves = {"b": np.zeros(2), "a": np.ones(2)}
    assert digest_leaves(leaves) == digest_leaves(dict(sorted(leaves.items()))) == digest(leaves)


def test_digest_of_a_key_is_of_its_data():
    key = jax.random.key(3)
    assert digest({"k": key}) == digest({"k": jax.random.key_data(key)}) != digest({"k": jax.random.key(4)})


def test_digest_does_not_depend_on_devices(two_devices):
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,), devices=two_devices)
    state = make_state(1)["params"]
    replicated = jax.device_put(state, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec()))
    assert digest(replicated) == digest(state) == digest(jax.device_put(state, two_devices[1]))


def test_two_leaves_of_one_name_are_refused():
    with pytest.raises(ValueError, match="same path"):
        host_leaves({"a": {"b": jnp.ones(1)}, "a/b": jnp.ones(1)})


# Saving and restoring


def test_restores_every_bit_with_key_and_metadata(tmp_path):
    saver, messages = open_checkpoints(tmp_path)
    state = make_state(5)
    saver.save(5, state, {"sum": 0.1, "names": ["ä", "b"]})
    saver.wait()
    step, restored, metadata = open_checkpoints(tmp_path)[0].restore_latest(make_state(0))
    assert (step, metadata, messages) == (5, {"sum": 0.1, "names": ["ä", "b"]}, [])
    assert digest(restored) == digest(state)
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    assert jax.tree.map(lambda leaf: (leaf.dtype, leaf.shape), restored) == jax.tree.map(
        lambda leaf: (leaf.dtype, leaf.shape), state
    )
    assert jax.random.normal(restored["key"]) == jax.random.normal(state["key"])


def test_saves_the_state_as_it_was_though_its_buffers_are_donated(tmp_path):
    saver, _ = open_checkpoints(tmp_path)
    state = {"a": jnp.arange(1000.0)}
    expected = digest(state)
    saver.save(1, state, {})
    add = jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)
    for _ in range(3):
        state = add(state)
    saver.wait()
    assert digest(saver.restore_latest(state)[1]) == expected


def test_what_is_restored_can_be_donated(tmp_path):
    saver, _ = open_checkpoints(tmp_path)
    saver.save(1, {"a": jnp.arange(1000.0)}, {})
    saver.wait()
    _, state, _ = saver.restore_latest({"a": jnp.zeros(1000)})
    add = jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)
    np.testing.assert_array_equal(add(add(state))["a"], np.arange(1000.0) + 2)


def test_resumes_on_another_number_of_devices(tmp_path, two_devices):
    saver, _ = open_checkpoints(tmp_path)
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,), devices=two_devices)
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    replicated = {"a": jax.device_put(jnp.arange(4.0), everywhere), "k": jax.device_put(jax.random.key(1), everywhere)}
    saver.save(1, replicated, {})
    saver.wait()
    _, on_one, _ = saver.restore_latest({"a": jnp.zeros(4), "k": jax.random.key(0)})
    assert digest(on_one) == digest(replicated)
    assert len(on_one["a"].devices()) == 1 and not on_one["a"].committed
    _, on_two, _ = saver.restore_latest(replicated)
    assert digest(on_two) == digest(replicated)
    assert on_two["a"].sharding == on_two["k"].sharding == everywhere


def test_nothing_saved_restores_nothing(tmp_path):
    saver, messages = open_checkpoints(tmp_path)
    assert saver.restore_latest(make_state()) is None
    assert saver.steps() == messages == []
    assert not saver.directory.exists()


def test_reads_without_a_template(damageable):
    stored = open_checkpoints(damageable)[0].read_latest()
    assert stored.step == 2 and stored.digest == digest(make_state(2))
    np.testing.assert_array_equal(stored.leaves["params/kernel"], make_state(2)["params"]["kernel"])


def test_restores_at_most_a_step(damageable):
    saver, _ = open_checkpoints(damageable)
    assert saver.restore_latest(make_state(), at_most=1)[0] == 1
    assert saver.restore_latest(make_state(), at_most=0) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["params"].update(kernel=jnp.zeros((30, 40))),
        lambda s: s["params"].update(kernel=jnp.zeros((40, 30), jnp.float16)),
        lambda s: s["params"].update(bias=jnp.zeros(3)),
        lambda s: s["params"].pop("kernel"),
        lambda s: s.update(optimizer=(jnp.zeros((0, 4)), s["optimizer"][1])),
    ],
)
def test_another_model_is_the_users_mistake(damageable, change):
    template = make_state()
    change(template)
    saver, messages = open_checkpoints(damageable)
    with pytest.raises(UserError, match=r"workdir=.*run: checkpoint 2 is of another model") as raised:
        saver.restore_latest(template)
    assert "\n" not in str(raised.value)
    assert messages == []  # It is not damaged.


# What is kept


def test_keeps_the_newest_every_so_many_steps_and_the_last_good_one(tmp_path):
    saver, _ = open_checkpoints(tmp_path, keep=2, keep_every=4)
    save_steps(saver, 1, 2, 3)
    assert saver.steps() == [2, 3]
    save_steps(saver, 4, 5, 6, 7, good_until=3)
    assert saver.steps() == [3, 4, 6, 7]
    save_steps(saver, 8, 9, good_until=9)
    assert saver.steps() == [4, 8, 9]


def test_a_good_one_is_the_newest_up_to_a_step(tmp_path):
    saver, _ = open_checkpoints(tmp_path, keep=1)
    save_steps(saver, 10, 20, 30, good_until=25)
    assert saver.steps() == [20, 30]
    save_steps(saver, 40)
    assert saver.steps() == [40]


def test_later_checkpoints_can_be_deleted_and_saved_anew(damageable):
    saver, messages = open_checkpoints(damageable)
    saver.delete_after(1)
    assert os.listdir(saver.directory) == ["1"]
    save_steps(saver, 2)
    assert saver.restore_latest(make_state())[0] == 2
    assert messages == []


def test_the_newest_of_a_future_that_is_given_up_goes_first(tmp_path, monkeypatch):
    saver, _ = open_checkpoints(tmp_path)
    for step in (1, 2, 10):
        (saver.directory / str(step)).mkdir(parents=True)
    removed = []
    monkeypatch.setattr(checkpoints, "_remove", lambda path: removed.append(path.name))
    saver.delete_after(1)
    assert removed == ["10", "2"]  # If this is killed between them, the run goes on from what is nearest to its past.


def test_only_plain_numbers_are_checkpoints(damageable):
    saver, messages = open_checkpoints(damageable)
    for name in ("3.damaged", "007", "best", "٣", "-4"):
        (saver.directory / name).mkdir()
    (saver.directory / "9").write_text("a file")
    assert saver.steps() == [1, 2]
    save_steps(saver, 3)
    assert saver.restore_latest(make_state())[0] == 3 and messages == []


# Damage


def files_of(directory):
    return sorted(path for path in directory.rglob("*") if path.is_file())


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def zero(path):
    path.write_bytes(bytes(path.stat().st_size))


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, zero, empty, Path.unlink])
def test_damage_to_any_file_never_yields_wrong_values(two_saved, tmp_path, damage):
    fell_back = 0
    for number, original in enumerate(files_of(two_saved / "run" / "checkpoints" / "2")):
        root = tmp_path / str(number)
        shutil.copytree(two_saved / "run", root / "run")
        path = root / original.relative_to(two_saved)
        damage(path)
        saver, messages = open_checkpoints(root)
        step, state, metadata = saver.restore_latest(make_state())
        assert digest(state) == digest(make_state(step)) and metadata == {"sum": step / 3}, path
        if step == 1:
            fell_back += 1
            assert len(messages) == 1 and f"{saver.directory / '2'} is damaged" in messages[0], messages
            assert "\n" not in messages[0]
    assert fell_back >= 3


@pytest.mark.parametrize("name", ["state", "record"])
def test_every_byte_that_carries_values_is_guarded(damageable, name):
    saver, messages = open_checkpoints(damageable)
    largest = max(files_of(saver.directory / "2" / name), key=lambda path: path.stat().st_size)
    flip_a_bit(largest)
    assert saver.restore_latest(make_state())[0] == 1
    assert len(messages) == 1


def test_what_is_saved_again_with_other_metadata_takes_the_place_of_the_old(damageable):
    saver, _ = open_checkpoints(damageable)
    saver.save(2, make_state(2), {"sum": "another"})
    saver.wait()
    step, state, metadata = open_checkpoints(damageable)[0].restore_latest(make_state())
    assert (step, digest(state), metadata) == (2, digest(make_state(2)), {"sum": "another"})


def test_a_changed_record_is_noticed(damageable):
    saver, messages = open_checkpoints(damageable)
    [path] = (path for path in files_of(saver.directory / "2" / "record") if b"digest" in path.read_bytes())
    record = json.loads(path.read_text())
    record["metadata"]["sum"] += 1
    path.write_text(json.dumps(record))
    assert saver.restore_latest(make_state())[0] == 1
    assert "does not match its seal" in messages[0]


def test_a_renamed_checkpoint_is_not_taken_for_another(damageable):
    saver, messages = open_checkpoints(damageable)
    (saver.directory / "1").rename(saver.directory / "3")
    assert saver.restore_latest(make_state())[0] == 2
    assert "record is of step 1" in messages[0]


def test_empty_directories_and_temporaries_are_passed_over(damageable):
    saver, messages = open_checkpoints(damageable)
    (saver.directory / "4").mkdir()
    (saver.directory / "5.orbax-checkpoint-tmp" / "state").mkdir(parents=True)
    assert saver.restore_latest(make_state())[0] == 2
    assert len(messages) == 1 and str(saver.directory / "4") in messages[0]
    saver.set_aside([4])
    (saver.directory / "0").mkdir()
    save_steps(saver, 3)
    assert sorted(os.listdir(saver.directory)) == ["1", "2", "3"]  # the empty one took nobody's place


def test_without_an_intact_one_each_reason_is_told(damageable):
    saver, messages = open_checkpoints(damageable)
    for step in (1, 2):
        shutil.rmtree(saver.directory / str(step) / "state")
    assert saver.restore_latest(make_state()) is None
    assert [f"/{step} is damaged" in message for step, message in zip((2, 1), messages, strict=True)] == [True, True]


def test_a_damaged_one_is_set_aside_and_saved_anew(damageable):
    saver, _ = open_checkpoints(damageable)
    shutil.rmtree(saver.directory / "2" / "state")
    saver.set_aside([2])
    assert saver.steps() == [1]
    save_steps(saver, 2)
    assert saver.restore_latest(make_state())[0] == 2
    assert (saver.directory / "2.damaged").is_dir()


def test_of_those_set_aside_too_only_the_newest_stay(tmp_path):
    saver, _ = open_checkpoints(tmp_path, keep=2)
    (saver.directory / "old.damaged").mkdir(parents=True)
    for step in (3, 20, 100, 4):
        (saver.directory / str(step) / "state").mkdir(parents=True)
        saver.set_aside([step])
    assert sorted(os.listdir(saver.directory)) == ["100.damaged", "20.damaged", "old.damaged"]


def test_a_damaged_one_in_the_way_of_a_save_is_set_aside(damageable):
    saver, messages = open_checkpoints(damageable)
    shutil.rmtree(saver.directory / "2" / "state")
    save_steps(saver, 2)
    assert saver.restore_latest(make_state())[0] == 2 and messages == []


# Failing saves


class FullDisk:
    """Lets saves fail, half-written, a number of times."""

    def __init__(self, monkeypatch, failures):
        self.failures, self.attempts = failures, 0
        original = checkpoint_format.ocp.CheckpointManager.save

        def save(manager, step, **options):
            self.attempts += 1
            if self.attempts <= self.failures:
                (Path(manager.directory) / f"{step}.orbax-checkpoint-tmp").mkdir(exist_ok=True)
                raise OSError(errno.ENOSPC, "No space left on device")
            return original(manager, step, **options)

        monkeypatch.setattr(checkpoint_format.ocp.CheckpointManager, "save", save)


def test_a_failed_save_is_retried(tmp_path, monkeypatch):
    disk = FullDisk(monkeypatch, failures=1)
    saver, messages = open_checkpoints(tmp_path)
    save_steps(saver, 1)
    assert disk.attempts == 2 and os.listdir(saver.directory) == ["1"]
    assert len(messages) == 1 and "checkpoint 1 failed (attempt 1 of 2): OSError" in messages[0]


def test_orbax_is_silent_about_what_is_reported(damageable, caplog):
    saver, messages = open_checkpoints(damageable)
    (saver.directory / "3").mkdir()
    for path in files_of(saver.directory / "2" / "state"):
        path.unlink()
    assert saver.restore_latest(make_state())[0] == 1
    assert len(messages) == 2
    assert [record for record in caplog.records if record.name == "absl"] == []


def test_training_goes_on_until_the_next_save_fails_too(damageable, monkeypatch):
    FullDisk(monkeypatch, failures=4)
    saver, messages = open_checkpoints(damageable)
    saver.save(3, make_state(3), {})
    saver.save(4, make_state(4), {})  # Waits for the first, which failed twice: no error yet.
    with pytest.raises(CheckpointError, match=r"workdir=.*run: saving failed again .*No space left.* step 2$"):
        saver.save(5, make_state(5), {})
    assert len(messages) == 4
    assert saver.restore_latest(make_state())[0] == 2


def test_what_comes_first_is_tried_twice_and_then_the_save_has_failed(damageable):
    saver, messages = open_checkpoints(damageable)
    attempts = []

    def first():
        attempts.append(0)
        if len(attempts) != 4:
            raise OSError(errno.ENOSPC, "No space left on device")

    saver.save(3, make_state(3), {}, first=first)
    assert len(attempts) == len(messages) == 2 and "checkpoint 3 failed (attempt 2 of 2)" in messages[1]
    saver.save(4, make_state(4), {}, first=first)  # its second attempt succeeds
    saver.save(5, make_state(5), {}, first=first)
    assert len(attempts) == 6
    with pytest.raises(CheckpointError):
        saver.wait()
    assert saver.steps() == [1, 2, 4]


def test_a_save_that_succeeds_forgives(damageable, monkeypatch):
    FullDisk(monkeypatch, failures=2)
    saver, _ = open_checkpoints(damageable)
    saver.save(3, make_state(3), {})
    save_steps(saver, 4)
    assert saver.steps() == [1, 2, 4]


def test_the_last_save_must_succeed(tmp_path, monkeypatch):
    FullDisk(monkeypatch, failures=2)
    saver, _ = open_checkpoints(tmp_path)
    saver.save(1, make_state(1), {})
    with pytest.raises(CheckpointError):
        saver.wait()


def test_failures_show_without_waiting(tmp_path, monkeypatch):
    FullDisk(monkeypatch, failures=4)
    saver, _ = open_checkpoints(tmp_path)
    saver.save(1, make_state(1), {})
    saver.save(2, make_state(2), {})
    while not saver._saving.done():
        pass
    with pytest.raises(CheckpointError):
        saver.check()
    saver.check()  # Told once.


def test_a_directory_that_vanished_is_made_again(damageable):
    saver, messages = open_checkpoints(damageable)
    shutil.rmtree(saver.directory.parent)
    save_steps(saver, 3)
    assert saver.steps() == [3] and messages == []


def test_a_file_in_the_way_is_reported_and_left_alone(tmp_path):
    (tmp_path / "run").write_text("precious")
    saver, messages = open_checkpoints(tmp_path)
    saver.save(1, make_state(1), {})
    with pytest.raises(CheckpointError):
        saver.wait()
    assert len(messages) == 2 and (tmp_path / "run").read_text() == "precious"


def test_a_save_that_failed_after_its_last_rename_counts(tmp_path, monkeypatch):
    saver, messages = open_checkpoints(tmp_path)
    save_steps(saver, 1)
    save_steps(saver, 1)
    assert saver.restore_latest(make_state())[0] == 1 and os.listdir(saver.directory) == ["1"] and messages == []
