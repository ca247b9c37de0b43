"""The commands as a user runs them: train, go on, sample, inspect; and each mistake in one line."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import commands
import numpy as np
import pytest
from commands import REPOSITORY
from PIL import Image

TINY = [
    *("--dataset=avatars", "--num_examples=64", "--image_size=16", "--model=dcgan_64", "--latent_dim=4"),
    *("--generator_width=2", "--discriminator_width=2", "--batch_size=8"),
    *("--log_every=2", "--sample_every=10", "--checkpoint_every=10"),
]


def run(command, *arguments, environment=None, timeout=300):
    """The finished process of `python -m experiments.COMMAND`: a new one where the environment is another."""
    if environment is None:
        return commands.run(command, *arguments, timeout=timeout)
    return subprocess.run(
        [sys.executable, "-m", f"experiments.{command}", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "XLA_FLAGS": "", **environment},  # one device, optimised: as users run it
        timeout=timeout,
    )


def trained(workdir, *arguments, command="dcgan", environment=None):
    done = run(command, *TINY, f"--workdir={workdir}", *arguments, environment=environment)
    assert done.returncode == 0, done.stderr
    return done


def inspected(workdir):
    done = run("inspect", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def logged(workdir):
    """The log without its timings."""
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    timings = ("images_per_sec", "data_wait")
    return [{key: value for key, value in json.loads(line).items() if key not in timings} for line in lines]


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image)


def arrays_of(path):
    with np.load(path) as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of 20 steps without a break."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    trained(workdir, "--steps=20")
    return workdir


def test_the_workdir_holds_what_is_promised(whole):
    names = {path.name for path in whole.iterdir()}
    assert {
        "flags.txt",
        "metrics.jsonl",
        "samples",
        "checkpoints",
        "tensorboard",
        "evolution.gif",
        "losses.png",
    } <= names
    assert sorted(path.name for path in (whole / "samples").iterdir()) == [
        f"{step:08d}.png" for step in (1, 2, 5, 10, 20)
    ]
    assert min(pixels_of(whole / "samples" / "00000020.png").shape[:2]) >= 8 * 16
    assert [line["step"] for line in logged(whole)] == list(range(2, 21, 2))
    for line in logged(whole):
        assert set(line) == {"step", "d_loss", "g_loss", "d_real", "d_fake"}
        assert all(np.isfinite(value) for value in line.values())
    with Image.open(whole / "evolution.gif") as animation:
        assert 2 <= animation.n_frames <= 5  # Pillow makes one of frames that are alike
    assert {"10", "20"} <= {path.name for path in (whole / "checkpoints").iterdir()}


def test_ten_steps_a_restart_and_ten_more_are_twenty_to_the_bit(whole, tmp_path):
    workdir = tmp_path / "halves"
    trained(workdir, "--steps=10")
    assert "step 10 to 20" in trained(workdir, "--steps=20").stdout
    assert inspected(workdir)["digest"] == inspected(whole)["digest"]
    assert logged(workdir) == logged(whole)
    assert (workdir / "samples" / "00000020.png").read_bytes() == (whole / "samples" / "00000020.png").read_bytes()


@pytest.mark.slow
def test_a_finished_run_says_so_and_changes_nothing(whole):
    before = inspected(whole)
    done = run("dcgan", *TINY, f"--workdir={whole}", "--steps=20")
    assert done.returncode == 0
    assert "already at step 20: finished" in done.stdout
    assert inspected(whole) == before


@pytest.mark.slow
def test_steps_per_call_and_streaming_change_no_bit(whole, tmp_path):
    digest = inspected(whole)["digest"]
    for name, *flags in (("calls", "--steps_per_call=5"), ("stream", "--placement=stream")):
        trained(tmp_path / name, "--steps=20", *flags)
        assert inspected(tmp_path / name)["digest"] == digest, name
        assert logged(tmp_path / name) == logged(whole), name


@pytest.mark.slow
def test_another_seed_is_another_run(whole, tmp_path):
    kept = ("--checkpoint_every=5", "--keep_checkpoints=1", "--keep_checkpoints_every=10")
    trained(tmp_path / "run", "--steps=20", "--seed=1", *kept)
    assert inspected(tmp_path / "run")["digest"] != inspected(whole)["digest"]
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == ["10", "20"]


@pytest.mark.slow
def test_flags_txt_repeats_the_run(whole, tmp_path):
    done = run("dcgan", f"--flagfile={whole / 'flags.txt'}", f"--workdir={tmp_path / 'again'}")
    assert done.returncode == 0, done.stderr
    assert inspected(tmp_path / "again")["digest"] == inspected(whole)["digest"]


@pytest.mark.slow
def test_a_run_on_cached_pictures_needs_no_tensorflow(whole, tmp_path):
    """TensorFlow's import is blocked by a module of its name that refuses."""
    for name in ("tensorflow", "tensorflow_datasets"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('blocked')\n")
    path = {"PYTHONPATH": str(tmp_path)}
    trained(tmp_path / "run", "--steps=20", environment=path)
    assert inspected(tmp_path / "run")["digest"] == inspected(whole)["digest"]
    done = run("dcgan", *TINY, f"--workdir={tmp_path / 'x'}", "--steps=2", "--placement=stream", environment=path)
    assert done.returncode == 2, "the block does not block"


def test_inspect_describes_the_run(whole):
    found = inspected(whole)
    assert found["step"] == 20
    assert len(found["digest"]) == 64
    assert found["parameters"]["generator"] == 16 * 4 * 4 + 2 * 4 + 16 * 4 * 2 + 2 * 2 + 16 * 2 * 3
    assert found["flags"]["batch_size"] == 8


def test_samples_in_every_form(whole, tmp_path):
    for out in ("grid.png", "arrays.npz", "folder"):
        done = run("sample", f"--workdir={whole}", "--num=6", f"--out={tmp_path / out}")
        assert done.returncode == 0, done.stderr
    assert pixels_of(tmp_path / "grid.png").shape[1] >= 3 * 16
    arrays = arrays_of(tmp_path / "arrays.npz")
    assert arrays["images"].shape == (6, 16, 16, 3) and arrays["images"].dtype == np.uint8
    assert "labels" not in arrays
    files = sorted((tmp_path / "folder").iterdir())
    assert len(files) == 6
    np.testing.assert_array_equal(pixels_of(files[4]), arrays["images"][4])


@pytest.mark.slow
def test_best_of_keeps_the_discriminators_favourites(whole, tmp_path):
    for out, flags in (("all.npz", ["--num=32"]), ("best.npz", ["--num=4", "--best_of=32"])):
        done = run("sample", f"--workdir={whole}", f"--out={tmp_path / out}", *flags)
        assert done.returncode == 0, done.stderr
    everyone, best = (arrays_of(tmp_path / name)["images"] for name in ("all.npz", "best.npz"))
    assert all(any(np.array_equal(one, other) for other in everyone) for one in best)


@pytest.mark.slow
def test_one_channel_pictures_of_a_folder(tmp_path):
    folder = tmp_path / "grey pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(20):
        Image.fromarray(random.integers(0, 256, (20, 24)).astype(np.uint8)).save(folder / f"{number}.png")
    done = run("dcgan", *TINY[2:], f"--data_dir={folder}", f"--workdir={tmp_path / 'run'}", "--steps=2")
    assert done.returncode == 0, done.stderr
    assert inspected(tmp_path / "run")["image_shape"] == [16, 16, 1]


MISTAKES = {
    "an unknown flag": (["--widht=3"], "widht"),
    "a missing folder": (["--dataset=folder", "--data_dir=/nowhere/at/all"], "--data_dir"),
    "an empty folder": (["--dataset=folder", "--data_dir={empty}"], "--data_dir"),
    "a folder without a name": (["--dataset=folder"], "--data_dir"),
    "a size that the network cannot make": (["--image_size=20"], "--image_size=20"),
    "a number that is none": (["--steps=many"], "steps"),
    "more than there is": (["--batch_size=65"], "--batch_size=65"),
    "no folder at all": (["--data_dir="], "--data_dir=: is empty"),
    "a workdir on two lines": (["--workdir=a\nb"], "--workdir=a?b: has a line break"),
    "a workdir of bytes that are no text": (["--workdir=a\udcff"], "--workdir=a?: its full name is not UTF-8"),
    "an unwritable workdir": (["--workdir=/proc/run"], "--workdir"),
    "a missing flag file": (["--flagfile=/nowhere.flags"], "/nowhere.flags"),
    "no model at all": (["--model="], "--model=: is empty"),
    "an unknown way to spread": (["--parallel=threads"], "--parallel"),
    "a word without dashes": (["steps=3"], "steps=3"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake, tmp_path):
    (tmp_path / "empty").mkdir()
    flags, named = MISTAKES[mistake]
    flags = [flag.format(empty=tmp_path / "empty") for flag in flags]
    done = run("dcgan", *TINY, "--steps=2", f"--workdir={tmp_path / 'run'}", *flags)
    assert done.returncode in (1, 2), done.stdout
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if "error:" in line]
    assert len(said) == 1 and named in said[0], done.stderr


def inspect_into(output, workdir):
    """Status and errors of ``experiments.inspect`` that writes into a file or a pipe."""
    command = [sys.executable, "-m", "experiments.inspect", f"--workdir={workdir}"]
    done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY, timeout=300)
    return done.returncode, done.stderr


def test_an_answer_may_lose_its_reader_as_behind_head(whole):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as pipe:
        assert inspect_into(pipe, whole) == (0, "")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full to write to")
def test_an_answer_that_cannot_be_written_is_said(whole):
    with open("/dev/full", "wb") as full:
        said = "error: the answer cannot be written to the standard output (No space left on device)\n"
        assert inspect_into(full, whole) == (2, said)


def test_conditions_that_are_nowhere_are_refused_before_ten_million_faces_are_drawn(tmp_path):
    few = ("--generator_width=2", "--discriminator_width=2", "--image_size=16", "--num_examples=10000000")
    done = run("cgan", *few, f"--conditions={tmp_path / 'nowhere'}", f"--workdir={tmp_path / 'run'}")
    said = f"error: --conditions={tmp_path / 'nowhere'}: cannot be read (No such file or directory)"
    assert (done.returncode, done.stderr.strip()) == (2, said)


@pytest.mark.slow
def test_a_batch_that_the_devices_cannot_share_is_refused(tmp_path):
    two = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done = run("dcgan", *TINY, "--steps=2", "--batch_size=7", f"--workdir={tmp_path / 'run'}", environment=two)
    assert done.returncode == 2
    assert done.stderr.strip() == "error: --batch_size=7: must be a positive multiple of the 2 devices that share it"


@pytest.mark.slow
def test_a_workdir_of_another_model_is_refused(whole):
    before = inspected(whole)
    done = run("dcgan", *TINY, "--steps=30", f"--workdir={whole}", "--generator_width=4")
    assert done.returncode == 2
    assert "--generator_width=4" in done.stderr and "holds a run with --generator_width=2" in done.stderr
    assert inspected(whole) == before


@pytest.mark.slow
def test_nothing_of_a_refused_or_needless_start_is_remembered(whole):
    files = [whole / "flags.txt", whole / "dataset.json"]
    before = [path.read_bytes() for path in files]
    done = run("dcgan", *TINY, "--steps=30", f"--workdir={whole}", "--log_every=5", "--placement=nowhere")
    assert done.returncode == 2 and "--placement=nowhere" in done.stderr
    assert [path.read_bytes() for path in files] == before
    done = run("dcgan", *TINY, "--steps=10", f"--workdir={whole}")
    assert done.returncode == 0 and "already at step 20" in done.stdout
    assert [path.read_bytes() for path in files] == before


@pytest.mark.slow
def test_after_a_start_that_was_refused_any_flags_begin_the_run(tmp_path):
    done = run("dcgan", *TINY, "--steps=2", f"--workdir={tmp_path}", "--batch_size=70")
    assert done.returncode == 2 and "only 64 pictures" in done.stderr
    trained(tmp_path, "--steps=2")


def test_a_run_is_exported_with_its_card(whole, tmp_path):
    done = run("export", f"--workdir={whole}", "--format=stablehlo", f"--out={tmp_path / 'g.stablehlo'}")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"g.stablehlo", "g.stablehlo.md"}
    assert (tmp_path / "g.stablehlo.md").read_text().startswith("# dcgan_64, step 20\n")
    for flags, said in ((["--network=critic"], "--network"), ([f"--out={tmp_path}"], f"error: --out={tmp_path}: ")):
        done = run("export", f"--workdir={whole}", *flags)
        assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.parametrize("name", ["flags.txt", "dataset.json"])
def test_checkpoints_without_what_describes_them_are_refused(whole, tmp_path, name):
    shutil.copytree(whole, tmp_path / "run")
    (tmp_path / "run" / name).unlink()
    done = run("dcgan", *TINY, "--steps=30", f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 2
    said = f"error: {tmp_path / 'run' / name}: is missing beside the checkpoints of a run; bring it back, or choose"
    assert done.stderr.startswith(said), done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_other_pictures_are_refused(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(10):
        Image.new("RGB", (16, 16), (number * 20, 0, 0)).save(folder / f"{number}.png")
    flags = [*TINY[2:], f"--data_dir={folder}", f"--workdir={tmp_path / 'run'}"]
    assert run("dcgan", *flags, "--steps=2").returncode == 0
    Image.new("RGB", (16, 16), (0, 255, 0)).save(folder / "3.png")
    done = run("dcgan", *flags, "--steps=4")
    assert done.returncode == 2
    assert "other pictures" in done.stderr


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--workdir={empty}"], "--workdir"),
        ([], "--workdir"),
        (["--workdir={run}", "--num=0"], "--num=0"),
        (["--workdir={run}", "--num=8", "--best_of=4"], "--best_of=4"),
        (["--workdir={run}", "--condition=blue hair"], "--condition"),
        (["--workdir={run}", "--out=/proc/x.png"], "--out"),
    ],
)
def test_mistakes_of_sampling(whole, tmp_path, flags, named):
    done = run("sample", *(flag.format(empty=tmp_path, run=whole) for flag in flags))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert named in done.stderr and done.stderr.count("error:") == 1


@pytest.mark.slow
def test_no_answer_is_lost_to_a_character_that_the_terminal_lacks(whole, tmp_path):
    narrow = {"PYTHONIOENCODING": "ascii"}
    table = ("--num=200", "--features=thumbnails", "--format=table")
    done = run("evaluate", f"--workdir={whole}", *table, environment=narrow)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert len(done.stdout.splitlines()) > 5 and "distance from real pictures" in done.stdout
    done = run("sample", f"--workdir={whole}", "--num=4", f"--out={tmp_path / '猫.png'}", environment=narrow)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.startswith("4 pictures from step 20") and done.stdout.endswith("?.png\n")
    assert (tmp_path / "猫.png").exists()
