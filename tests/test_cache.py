import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from jaxgan.data import cache, workers
from jaxgan.data.workers import Chunk
from jaxgan.host.errors import UserError

SHAPE = (4, 5, 3)
NAMES = ("a", "b", "c")
COUNT = 150  # three chunks of 64, so that worker processes draw them


def draw(index, *, seed, log=None):
    """Runs in worker processes, which import this file."""
    if log is not None:
        Path(log, str(index)).touch()
    pixels = np.random.default_rng([seed, index]).integers(0, 256, SHAPE, np.uint8)
    return pixels, np.eye(3, dtype=np.uint8)[index % 3]


def draw_without_condition(index):
    return np.full(SHAPE, index, np.uint8), None


def one_pixel(index):
    return Chunk(np.full((1, 1, 1, 1), index, np.uint8))


def draw_slowly(index):
    time.sleep(0.02)
    return draw_without_condition(index)


def draw_large(index):
    return np.full((256, 256, 3), index % 251, np.uint8), None


def fail_at_100(index):
    if index == 100:
        raise ArithmeticError("the hundredth")
    return draw_without_condition(index)


def die_at_100(index):
    if index == 100:
        os._exit(7)
    return draw_without_condition(index)


def load(directory, *, count=COUNT, seed=1, log=None):
    function = functools.partial(draw, seed=seed, log=log and str(log))
    settings = {"seed": seed, "count": count}
    return cache.load_or_build(
        "test", settings, count, SHAPE, function, condition_names=NAMES, cache_dir=directory, description="drawing"
    )


def load_unconditional(directory, function, count=COUNT, shape=SHAPE):
    return cache.load_or_build("plain", {}, count, shape, function, cache_dir=directory, description="drawing")


def run_program(program, directory, *arguments):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    program = f"import test_cache\nfrom pathlib import Path\ndirectory = Path({str(directory)!r})\n{program}"
    return subprocess.Popen(
        [sys.executable, *arguments, "-c", program],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output.strip()


def entry_of(directory):
    (entry,) = directory.iterdir()
    return entry


def expected_images(count=COUNT, seed=1):
    return np.stack([draw(index, seed=seed)[0] for index in range(count)])


def test_examples_are_drawn_in_order_by_worker_processes(tmp_path):
    pictures = load(tmp_path)
    np.testing.assert_array_equal(pictures.images, expected_images())
    np.testing.assert_array_equal(pictures.conditions, np.eye(3, dtype=np.uint8)[np.arange(COUNT) % 3])
    assert pictures.images.dtype == pictures.conditions.dtype == np.uint8
    assert isinstance(pictures.images, np.memmap)
    assert not pictures.images.flags.writeable
    assert pictures.condition_names == NAMES
    assert (len(pictures), pictures.image_shape, pictures.condition_dim) == (COUNT, SHAPE, 3)


def test_one_core_draws_the_same(tmp_path, monkeypatch):
    digest = load(tmp_path / "several").digest
    monkeypatch.setattr(workers, "cpu_count", lambda: 1)
    assert load(tmp_path / "one").digest == digest


def test_a_good_entry_is_opened_and_not_drawn_again(tmp_path):
    log = tmp_path / "log"
    log.mkdir()
    first = load(tmp_path / "cache", log=log)
    assert len(list(log.iterdir())) == COUNT
    shutil.rmtree(log)
    again = load(tmp_path / "cache", log=log)  # drawing would fail: there is no log
    assert again.digest == first.digest
    np.testing.assert_array_equal(again.images, first.images)
    np.testing.assert_array_equal(again.conditions, first.conditions)


def test_settings_and_pixels_decide_the_entry_and_the_digest(tmp_path):
    digests = {load(tmp_path, seed=seed, count=count).digest for seed in (1, 2) for count in (3, 4)}
    assert len(digests) == 4
    assert len(list(tmp_path.iterdir())) == 4
    assert re.fullmatch("[0-9a-f]{64}", digests.pop())


def test_pictures_under_other_conditions_have_another_digest(tmp_path):
    digests = set()
    for number in (0, 1):
        chunks = (chunk for chunk in [Chunk(np.zeros((1, *SHAPE), np.uint8), np.eye(3, dtype=np.uint8)[[number]])])
        options = {"condition_names": NAMES, "cache_dir": tmp_path, "description": "drawing"}
        digests.add(cache.build("test", {"number": number}, chunks, 1, SHAPE, **options).digest)
    assert len(digests) == 2


def flip_a_bit(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def edit_meta(entry, change):
    meta = json.loads((entry / "meta.json").read_text())
    change(meta)
    (entry / "meta.json").write_text(json.dumps(meta))


def replace_array(entry, name, change):
    np.save(entry / name, change(np.load(entry / name)))


def cut_with_its_description(entry):
    """As many pictures as another entry has: whole in themselves, but not those of the conditions."""
    images = np.load(entry / "images.npy")[:-1]
    np.save(entry / "images.npy", images)
    digest = hashlib.sha256(images.tobytes()).hexdigest()
    edit_meta(entry, lambda meta: meta.update(images={"shape": list(images.shape), "sha256": digest}))


FAULTS = {
    "pictures of other conditions": cut_with_its_description,
    "a flipped pixel": lambda e: flip_a_bit(e / "images.npy", -1),
    "the first pixel": lambda e: flip_a_bit(e / "images.npy", 128),
    "a flipped condition": lambda e: flip_a_bit(e / "conditions.npy", -1),
    "a damaged header": lambda e: flip_a_bit(e / "images.npy", 1),
    "a cut file": lambda e: os.truncate(e / "images.npy", 1000),
    "one byte less": lambda e: os.truncate(e / "images.npy", (e / "images.npy").stat().st_size - 1),
    "one byte more": lambda e: (e / "images.npy").open("ab").write(b"x"),
    "an empty file": lambda e: os.truncate(e / "conditions.npy", 0),
    "no pictures": lambda e: (e / "images.npy").unlink(),
    "no conditions": lambda e: (e / "conditions.npy").unlink(),
    "no meta": lambda e: (e / "meta.json").unlink(),
    "meta cut": lambda e: os.truncate(e / "meta.json", 50),
    "meta of another kind": lambda e: (e / "meta.json").write_text("[1, 2]"),
    "meta without a field": lambda e: edit_meta(e, lambda meta: meta.pop("images")),
    "another format": lambda e: edit_meta(e, lambda meta: meta.update(format=0)),
    "other settings": lambda e: edit_meta(e, lambda meta: meta.update(settings={"seed": 2})),
    "another digest": lambda e: edit_meta(e, lambda meta: meta["images"].update(sha256="0" * 64)),
    "other names": lambda e: edit_meta(e, lambda meta: meta.update(condition_names=["a", "b"])),
    "fewer pictures": lambda e: replace_array(e, "images.npy", lambda array: array[:-1]),
    "another dtype": lambda e: replace_array(e, "images.npy", lambda array: array.view(np.int8)),
    "another layout": lambda e: replace_array(e, "images.npy", np.asfortranarray),
    "nothing in it": lambda e: [path.unlink() for path in list(e.iterdir())],
    "a file in its place": lambda e: (shutil.rmtree(e), e.write_text("not a directory")),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_entry_is_made_again_and_never_trusted(tmp_path, capsys, fault):
    digest = load(tmp_path, count=20).digest
    FAULTS[fault](entry_of(tmp_path))
    capsys.readouterr()
    pictures = load(tmp_path, count=20)
    assert pictures.digest == digest
    np.testing.assert_array_equal(pictures.images, expected_images(20))
    lines = [line for line in capsys.readouterr().err.splitlines() if "made again" in line]
    assert len(lines) == 1
    assert str(entry_of(tmp_path)) in lines[0]
    assert load(tmp_path, count=20).digest == digest  # the new entry is good
    assert "made again" not in capsys.readouterr().err


def test_a_killed_build_leaves_nothing_that_is_taken_for_whole(tmp_path, monkeypatch):
    program = "test_cache.load_unconditional(directory, test_cache.draw_slowly, 2000)"
    process = run_program(program, tmp_path)
    while not any(path.stat().st_size > 128 for path in tmp_path.glob(".plain-*/images.npy")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".")
    assert cache.find("plain", {}, cache_dir=tmp_path) is None

    assert len(load_unconditional(tmp_path, draw_without_condition)) == COUNT
    assert left.exists()  # it could belong to a build that still goes on
    entry = next(path for path in tmp_path.iterdir() if path != left)
    shutil.rmtree(entry)
    for path in (*left.iterdir(), left):
        os.utime(path, (time.time() - 7200,) * 2)
    load_unconditional(tmp_path, draw_without_condition)
    assert not left.exists()


def test_a_build_that_still_writes_is_left_alone_and_one_that_ceased_is_removed(tmp_path):
    load(tmp_path, count=20)
    entry = entry_of(tmp_path)
    shutil.rmtree(entry)
    writing, ceased = (tmp_path / f".{entry.name}.{name}" for name in ("writing", "ceased"))
    for build, times in ((writing, None), (ceased, (1, 1))):
        build.mkdir()
        (build / "images.npy").touch()
        os.utime(build / "images.npy", times)
        os.utime(build, (1, 1))  # made long ago: a big data set takes hours
    load(tmp_path, count=20)
    assert sorted(tmp_path.iterdir()) == sorted([entry, writing])


def test_worker_processes_end_with_a_parent_that_is_killed(tmp_path):
    process = run_program("test_cache.load_unconditional(directory, test_cache.draw_slowly, 5000)", tmp_path)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        process.kill()
        process.communicate()
        pytest.skip("this system does not list child processes")
    while not any(path.stat().st_size > 128 for path in tmp_path.glob(".plain-*/images.npy")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    started = [Path("/proc", child) for child in children.read_text().split()]
    assert len(started) >= 2 or workers.cpu_count() == 1
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 30
    while any(child.exists() for child in started):
        assert time.monotonic() < deadline, "a worker process outlived its parent"
        time.sleep(0.05)


def test_two_processes_that_build_at_once_both_get_a_good_entry(tmp_path):
    directory = tmp_path / "cache"
    digest = load(directory).digest
    flip_a_bit(entry_of(directory) / "images.npy", -1)
    processes = [run_program("print(test_cache.load(directory).digest)", directory) for _ in range(3)]
    assert {finished(process) for process in processes} == {digest}
    assert entry_of(directory).is_dir()  # one, and nothing temporary beside it
    found = cache.find("test", {"seed": 1, "count": COUNT}, cache_dir=directory)
    assert found is not None
    assert found.digest == digest


def test_the_entry_of_another_process_that_was_first_is_used(tmp_path):
    def chunks():
        load(tmp_path, count=20)  # the other process
        yield Chunk(expected_images(20), np.eye(3, dtype=np.uint8)[np.arange(20) % 3])

    settings = {"seed": 1, "count": 20}
    pictures = cache.build(
        "test", settings, chunks(), 20, SHAPE, condition_names=NAMES, cache_dir=tmp_path, description="drawing"
    )
    assert Path(pictures.images.filename).parent == entry_of(tmp_path)


def test_a_function_that_raises_is_shown_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "cpu_count", lambda: 2)  # a single core would draw in this process
    with pytest.raises(RuntimeError, match="ArithmeticError: the hundredth"):
        load_unconditional(tmp_path, fail_at_100)
    with pytest.raises(RuntimeError, match=r"died \(status 7\)"):
        load_unconditional(tmp_path, die_at_100)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "chunk",
    [
        Chunk(np.zeros((2, 4, 4, 3), np.uint8)),
        Chunk(np.zeros((2, *SHAPE), np.float32)),
        Chunk(np.zeros((2, *SHAPE), np.uint8), np.zeros((2, 3), np.uint8)),
    ],
)
def test_chunks_of_another_form_are_refused(tmp_path, chunk):
    with pytest.raises(ValueError, match=r"expected uint8|go together"):
        cache.build("x", {}, (part for part in [chunk]), 2, SHAPE, cache_dir=tmp_path, description="drawing")
    assert not list(tmp_path.iterdir())


def test_each_picture_has_a_condition(tmp_path):
    chunk = Chunk(np.zeros((2, *SHAPE), np.uint8), np.zeros((1, 3), np.uint8))
    parts = (part for part in [chunk])
    with pytest.raises(ValueError, match="1 conditions for 2 pictures"):
        cache.build("x", {}, parts, 2, SHAPE, condition_names=NAMES, cache_dir=tmp_path, description="drawing")


def test_only_functions_that_another_process_can_import_are_accepted():
    with pytest.raises(TypeError, match="top level"):
        workers.reference(lambda index: index)
    with pytest.raises(TypeError, match="keyword arguments only"):
        workers.reference(functools.partial(draw, 1))
    with pytest.raises(TypeError, match="JSON"):
        workers.reference(functools.partial(draw, seed=object()))
    same = workers.resolve(workers.reference(functools.partial(draw, seed=4)))
    np.testing.assert_array_equal(same(2)[0], draw(2, seed=4)[0])


@pytest.fixture
def heeding_ctrl_c():
    """As in a terminal: a shell that starts something in the background lets it, and what it starts, ignore Ctrl-C."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


def test_ctrl_c_is_the_parents_to_handle(heeding_ctrl_c):
    with workers._Worker(workers.reference(one_pixel)) as worker:
        assert worker.run(7).images.tolist() == [[[[7]]]]  # It has begun.
        worker._process.send_signal(signal.SIGINT)  # as the terminal does to all of a program's processes
        assert worker.run(8).images.tolist() == [[[[8]]]]


def test_the_directory_is_the_users_and_the_owners_alone(tmp_path, monkeypatch):
    monkeypatch.delenv("JAXGAN_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_directory() == tmp_path / ".cache" / "jaxgan"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_directory() == tmp_path / "xdg" / "jaxgan"
    load_unconditional(None, draw_without_condition, count=2)
    for directory in (tmp_path / "xdg" / "jaxgan", entry_of(tmp_path / "xdg" / "jaxgan")):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    monkeypatch.setenv("JAXGAN_CACHE_DIR", str(tmp_path / "named"))
    assert cache.cache_directory() == tmp_path / "named"
    assert cache.cache_directory("given") == Path("given")


@pytest.mark.parametrize(("name", "inside"), [("JAXGAN_CACHE_DIR", ""), ("XDG_CACHE_HOME", "jaxgan")])
def test_a_tilde_in_a_variable_is_the_home_directory(tmp_path, monkeypatch, name, inside):
    monkeypatch.delenv("JAXGAN_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    for value, place in (("~/x", "x"), ("~", ""), ("~/a ~b", "a ~b")):
        monkeypatch.setenv(name, value)
        assert cache.cache_directory() == tmp_path / place / inside
    monkeypatch.setenv(name, "~nobody-of-this-name/x")
    with pytest.raises(UserError, match=r"no home directory .*\$JAXGAN_CACHE_DIR to a full path"):
        cache.cache_directory()


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_what_was_drawn_before_an_interruption_is_not_drawn_again(tmp_path, monkeypatch, interruption):
    def interrupted(function, tasks):
        for number, chunk in enumerate(map(function, tasks)):
            if number == 2:
                raise interruption
            yield chunk

    (tmp_path / "log").mkdir()
    whole = load(tmp_path / "other")
    with monkeypatch.context() as patch:
        patch.setattr(workers, "ordered_map", interrupted)
        with pytest.raises(interruption):
            load(tmp_path / "cache")
        (begun,) = (tmp_path / "cache").iterdir()
        assert begun.name.endswith(".partial")
    pictures = load(tmp_path / "cache", log=tmp_path / "log")
    assert pictures.digest == whole.digest
    assert sorted(int(path.name) for path in (tmp_path / "log").iterdir()) == list(range(128, COUNT))
    assert not begun.exists()


@pytest.mark.parametrize("damage", ["meta.json", "images.npy", "conditions.npy"])
def test_a_damaged_beginning_is_drawn_again(tmp_path, monkeypatch, damage):
    def interrupted(function, tasks):
        yield function(tasks[0])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(workers, "ordered_map", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load(tmp_path / "cache")
    (begun,) = (tmp_path / "cache").iterdir()
    data = (begun / damage).read_bytes()
    (begun / damage).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert load(tmp_path / "cache").digest == load(tmp_path / "other").digest
    assert not begun.exists()


def test_an_unwritable_cache_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file.*\$JAXGAN_CACHE_DIR"):
        load(tmp_path / "file")
    with pytest.raises(UserError, match=r"file/below.*\$JAXGAN_CACHE_DIR"):
        load(tmp_path / "file" / "below")


def test_a_disk_without_room_is_noticed_before_the_work(tmp_path):
    with pytest.raises(UserError, match=r"GB are needed.*\$JAXGAN_CACHE_DIR"):
        load_unconditional(tmp_path, draw_without_condition, shape=(1 << 20, 1 << 20, 3))


@pytest.mark.parametrize(("free", "enough"), [(20 * (4 * 5 * 3 + 3), True), (20 * (4 * 5 * 3 + 3) - 1, False)])
def test_room_is_needed_for_pictures_and_conditions(tmp_path, monkeypatch, free, enough):
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda directory: SimpleNamespace(free=free))
    with contextlib.nullcontext() if enough else pytest.raises(UserError, match="GB are needed"):
        load(tmp_path, count=20)


def test_an_entry_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done, rename = [], os.rename
    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append("file"))
    monkeypatch.setattr(cache, "sync", lambda path: done.append(path.name.partition("-")[0]))
    monkeypatch.setattr(os, "rename", lambda *paths: (done.append("rename"), rename(*paths)))
    load(tmp_path / "cache", count=20)
    # Pictures, conditions and description, and their names; then the entry's own name.
    assert done == ["file", "file", "file", ".test", "rename", "cache"]


def test_a_disk_that_fills_up_is_the_users_to_mend(tmp_path):
    program = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))  # as a full disk does, it makes write fail
try:
    test_cache.load_unconditional(directory, test_cache.draw_without_condition)
except test_cache.UserError as error:
    print(error)
"""
    message = finished(run_program(program, tmp_path))
    assert str(tmp_path) in message
    assert "$JAXGAN_CACHE_DIR" in message
    assert not list(tmp_path.iterdir())


def test_memory_does_not_grow_with_the_pictures(tmp_path):
    program = """
import resource
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
test_cache.load_unconditional(directory, test_cache.draw_large, 1500, (256, 256, 3))  # 295 MB
test_cache.load_unconditional(directory, test_cache.draw_large, 1500, (256, 256, 3))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    assert int(finished(run_program(program, tmp_path))) < 100


def test_a_script_without_a_guard_builds_a_cache(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import jaxgan.data.cache as cache, test_cache, sys\n"
        "print('imported')\n"
        "print(len(test_cache.load_unconditional(sys.argv[1], test_cache.draw_without_condition)))\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, str(script), str(tmp_path / "cache")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout.split() == ["imported", str(COUNT)]
