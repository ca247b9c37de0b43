"""Flags as people write them: names of other libraries, and flag files of every editor and shell."""

import dataclasses
import io
import re

import pytest
from absl import flags
from test_commands import run

from experiments.cli import command, messages, process, schema
from experiments.evaluate import Evaluate
from experiments.run.recipes import recipe_class, resolve
from experiments.sample import Sample
from jaxgan import models
from jaxgan.host.errors import UserError
from jaxgan.systems import settings
from jaxgan.systems.gan import AdversarialSettings

FLAGS = recipe_class(AdversarialSettings)


def refused(capsys, kind, *arguments):
    """The line that refuses arguments."""
    with pytest.raises(SystemExit) as left:
        command.parse(["program", *arguments], schema.flag_values(kind))
    assert left.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    return line.removeprefix("error: ")


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("lr", FLAGS, "use --generator_learning_rate and --discriminator_learning_rate"),
        ("learning_rate", FLAGS, "use --generator_learning_rate and --discriminator_learning_rate"),
        ("lr_g", FLAGS, "use --generator_learning_rate"),
        ("resolution", FLAGS, "use --image_size"),
        ("latent", FLAGS, "use --latent_dim"),
        ("z_dim", FLAGS, "use --latent_dim"),
        ("z-dim", FLAGS, "use --latent_dim"),
        ("gpus", FLAGS, "a run uses every device"),
        ("batch", FLAGS, "use --batch_size"),
        ("num_steps", FLAGS, "use --steps"),
        ("iterations", FLAGS, "use --steps"),
        ("output", FLAGS, "use --workdir"),
        ("output", Sample, "use --out"),
        ("outdir", FLAGS, "use --workdir"),
        ("resume", FLAGS, "the same command with the same --workdir and larger --steps or --epochs resumes a run"),
        ("checkpoint", Sample, "--workdir names the run"),
        ("bs", FLAGS, "use --batch_size"),
        ("size", FLAGS, "use --image_size"),
        ("logdir", FLAGS, "use --workdir"),
        ("gamma", FLAGS, "use --penalty_weight"),
        ("augment", FLAGS, "use --diffaugment or --ada"),
        ("pretrained", FLAGS, "use --init_from"),
        ("eval-every", FLAGS, "use --evaluate_every"),
        ("save_best", FLAGS, "use --keep_best"),
        ("kimg", FLAGS, "use --steps, each of which takes --batch_size pictures"),
        ("num_classes", FLAGS, "a model of experiments.cgan takes conditions"),
        ("NZ", FLAGS, "use --latent_dim"),
    ],
)
def test_a_name_of_another_library_is_answered_with_ours(capsys, name, kind, said):
    line = refused(capsys, kind, f"--{name}=3")
    assert line.startswith(f"--{name}: no such flag; {said}") and line.endswith("; --help lists all")


def test_every_answer_fits_a_command_and_names_no_flag_that_is_none():
    known = {field.name for kind in (FLAGS, Sample, Evaluate) for field in dataclasses.fields(kind)}
    known |= {"flagfile", "learning_rate"}
    for name, answers in messages.OTHER_NAMES.items():
        assert name not in {field.name for field in dataclasses.fields(FLAGS)}, name
        for answer in answers:
            assert set(re.findall(r"--(\w+)", answer)) <= known, name


def test_a_name_whose_flags_the_command_lacks_has_the_nearest_one(capsys):
    assert refused(capsys, Sample, "--batch=3") == "--batch: no such flag; --help lists all"
    assert refused(capsys, Sample, "--outt=3") == "--outt: no such flag; did you mean --out? --help lists all"


@pytest.mark.parametrize("length", [200, 5000])
def test_a_name_that_is_too_long_for_one_is_refused_at_once(tmp_path, capsys, monkeypatch, length):
    monkeypatch.setattr(flags.FlagValues, "__call__", lambda *arguments: pytest.fail("absl would compute for minutes"))
    name = "x" * length
    said = f"--{'x' * 40}...: no such flag; --help lists all"
    assert refused(capsys, FLAGS, f"--{name}=3") == said
    path = tmp_path / "flags.txt"
    path.write_text(f"--{name}\n")
    assert refused(capsys, FLAGS, f"--flagfile={path}") == said
    with pytest.raises(UserError, match=r"not the flags of a run \(x{40}\.\.\.: no such flag"):
        schema.read_flag_lines(FLAGS, path)


def parsed(path, *arguments):
    values = schema.flag_values(FLAGS)
    assert command.parse(["program", f"--flagfile={path}", *arguments], values) == ["program"]
    return values


TEXT = (
    '# made by hand\r\n--model=mlp_b\r\n\r\n  --workdir="my run"  \r\n--data_dir=\'a b\'\r\n--seed="5"\r\n// more\r\n'
)


@pytest.mark.parametrize("begins", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte-order mark"])
def test_a_flag_file_of_windows_and_with_quotes_is_read_right(tmp_path, begins):
    path = tmp_path / "my.flags"
    path.write_bytes(begins + TEXT.encode())
    values = parsed(path)
    assert (values.model, values.workdir, values.data_dir, values.seed) == ("mlp_b", "my run", "a b", 5)
    path.write_bytes(begins + b"--model=mlp_b\n--workdir='x'\n")
    assert schema.read_flag_lines(FLAGS, path) == {"model": "mlp_b", "workdir": "x"}
    path.write_bytes(begins + b"--model=mlp_b\n")
    assert parsed(path).model == "mlp_b"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_flag_file_in_utf_16_is_refused_in_words(tmp_path, capsys, encoding):
    path = tmp_path / "my.flags"
    path.write_text(TEXT, encoding=encoding)
    said = "it is in UTF-16 (as PowerShell's > writes it); save it as UTF-8"
    assert refused(capsys, FLAGS, f"--flagfile={path}") == f"--flagfile={path}: {said}"
    with pytest.raises(UserError, match=re.escape(f"{path}: not the flags of a run ({said})")):
        schema.read_flag_lines(FLAGS, path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"--seed=1\n--workdir=caf\xe9\n", "{file}: line 2 is not UTF-8; save it as UTF-8"),
        (b"--seed=1\n" * 200_000, "{file}: it is no flag file: it has more than 1,000,000 bytes"),
        (b"--flagfile=other\n", "--flagfile=other: No such file or directory"),
        (
            b"--flagfile=mnist_beter.flag\n",
            "--flagfile=mnist_beter.flag: No such file or directory; did you mean --flagfile=mnist_better.flags?",
        ),
        (b"--flagfile\n", "--flagfile=: is empty"),
        (b"--seed 1\n", "--seed 1: write --seed=1"),
    ],
)
def test_what_is_wrong_with_a_flag_file_is_said(tmp_path, capsys, content, said):
    path = tmp_path / "my.flags"
    path.write_bytes(content)
    assert refused(capsys, FLAGS, f"--flagfile={path}").startswith(said.format(file=f"--flagfile={path}"))


def test_flag_files_that_name_each_other_are_refused(tmp_path, capsys):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text(f"--flagfile={two}\n")
    two.write_text(f"--flagfile={one}\n")
    assert "would be read without end" in refused(capsys, FLAGS, f"--flagfile={one}")


def test_a_flag_file_may_name_another_in_quotes_or_one_that_comes_with_the_commands(tmp_path):
    (tmp_path / "the other").write_text("--seed=3\n--flagfile=wgan.flags\n--log_every=7\n")
    (tmp_path / "one").write_text(f'--flagfile="{tmp_path}/the other"\n--batch_size=9\n')
    values = parsed(tmp_path / "one", "--seed=4")
    assert (values.seed, values.model, values.batch_size, values.log_every) == (4, "wgan_anime", 9, 7)


@pytest.mark.parametrize("name", ["'a'", '"a"', '""', " a ", "a ", "'", "a'b'", "plain", "it's"])
def test_flags_txt_repeats_a_name_with_quotes_or_spaces(tmp_path, name):
    path = tmp_path / "flags.txt"
    recipe = resolve({"model": "mlp_b", "workdir": name}, tuple(models.names()))
    path.write_text(settings.flag_lines(recipe), encoding="utf-8")
    assert schema.read_flag_lines(FLAGS, path)["workdir"] == name
    assert parsed(path).workdir == name
    assert settings.quote("runs/a b") == "runs/a b"  # as ever where it can be


def test_the_streams_take_every_character(monkeypatch):
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="ascii") for _ in range(2))
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    process.accept_any_character()
    for stream, written in ((out, b"8?8"), (err, b"8\\xd78")):
        stream.write("8×8")
        stream.flush()
        assert stream.buffer.getvalue() == written
    monkeypatch.setattr("sys.stdout", None)
    process.accept_any_character()


def test_a_refusal_in_ascii_is_one_line():
    done = run("inspect", "--workdir=猫", environment={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: --workdir=")
