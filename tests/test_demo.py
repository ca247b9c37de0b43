"""What the web page may be asked for and what comes of it, without Gradio."""

import asyncio
import contextlib
import os
import re
import shlex
import subprocess
import sys

import commands
import jax
import numpy as np
import pytest
from conftest import REPOSITORY
from PIL import Image
from small_run import NAMES, lay_out, save_checkpoint, small_run

from experiments import sample
from experiments.page import draw, guard, requests, status
from experiments.page.abilities import Abilities
from experiments.page.shelf import Shelf
from experiments.run import pretrained
from experiments.run.restore import load_run
from jaxgan.data import tags
from jaxgan.data.heads import Head
from jaxgan.host import images
from jaxgan.host.errors import UserError
from jaxgan.models import infogan
from jaxgan.systems.infogan_outputs import CodedLatentOutput
from jaxgan.systems.outputs import Outputs, TranslationOutput
from jaxgan.training.files.workdir import Workdir

TAGS = NAMES["tags"]


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    """The workdir of a run of tagged faces."""
    return small_run(tmp_path_factory.mktemp("runs") / "faces")


@pytest.fixture(scope="module")
def faces(tagged):
    return load_run(str(tagged))


def asked(**changed):
    usual = {"condition": None, "seed": 0, "count": 4, "candidates": 0, "std": 1.0}
    return requests.pictures("W", **{**usual, **changed})


def test_a_request_becomes_the_flags_of_sample():
    made = asked(condition="blue hair", seed=7, count=9, candidates=64, std=0.5)
    assert made == sample.Sample(workdir="W", num=9, best_of=64, seed=7, std=0.5, condition="blue hair")
    flags = "--workdir=W --num=9 --best_of=64 --seed=7 --std=0.5 '--condition=blue hair'"
    assert sample.command_line(made) == f"python -m experiments.sample {flags}"
    assert sample.command_line(asked(count=64)) == "python -m experiments.sample --workdir=W"


def walked(condition, first, second):
    return requests.walk(condition, first, 1, second, 1, 1.0, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"seed": 2**31},
        {"seed": 0.5},
        {"seed": "0"},
        {"seed": None},
        {"seed": True},
        {"seed": float("nan")},
        {"count": 0},
        {"count": 65},
        {"count": 10**9},
        {"count": True},
        {"count": "4"},
        {"count": [4]},
        {"candidates": -64},
        {"candidates": 10**6},
        {"candidates": False},
        {"std": -0.1},
        {"std": 1.6},
        {"std": float("inf")},
        {"std": float("nan")},
        {"std": "1"},
        {"std": {"path": "/etc/passwd"}},
    ],
)
def test_numbers_out_of_range_and_things_that_are_no_numbers_are_refused(wrong):
    with pytest.raises(UserError, match=r"choose one of|must be a"):
        asked(**wrong)


@pytest.mark.parametrize("seed", [0, 5, 5.0, requests.LARGEST_SEED])
@pytest.mark.parametrize("std", [0, 1, 0.7, requests.LARGEST_STD])
def test_numbers_in_range_pass(seed, std):
    made = asked(seed=seed, std=std)
    assert (made.seed, made.std) == (seed, std)
    assert type(made.seed) is int and type(made.std) is float


def test_drop_downs_become_conditions():
    assert requests.condition(TAGS, "blue", "red", "any") == "blue hair red eyes"
    assert requests.condition(TAGS, "any", "red", "any") == "red eyes"
    assert requests.condition(TAGS, "any", "any", "any") is None
    assert requests.condition(NAMES["digits"], "any", "any", "7") == "7"
    assert requests.condition(NAMES["digits"], "any", "any", "any") is None
    assert requests.condition((), "blue", "red", "7") is None


@pytest.mark.parametrize("wrong", ["pink eyes", "/etc/passwd", "", None, 3, ["blue"], {"path": "/etc/passwd"}])
def test_other_conditions_than_the_drop_downs_have_are_refused(wrong):
    for hair, eyes in ((wrong, "any"), ("any", wrong)):
        with pytest.raises(UserError, match="choose one of"):
            requests.condition(TAGS, hair, eyes, "any")
    with pytest.raises(UserError, match="class: choose one of any, 0, 1"):
        requests.condition(NAMES["digits"], "any", "any", wrong)


def test_walks_and_places_are_checked():
    ends = requests.Place(1, 7), requests.Place(2, 512)
    assert requests.walk(None, 1, 7, 2.0, 512, 0.5, 0.25) == requests.Walk(None, *ends, 0.5, 0.25)
    right = (1, 7, 2, 512, 0.5, 0.25)
    for place, wrong in ((0, -1), (1, 0), (1, 513), (2, "2"), (3, 1.5), (3, True), (4, 1.6), (5, 1.01), (5, None)):
        with pytest.raises(UserError, match=r"picture|spread|way"):
            requests.walk(None, *right[:place], wrong, *right[place + 1 :])
    assert [requests.position(index, 3) for index in (1, 3, 4, 2.0)] == [1, 3, 3, 2]
    for index in (0, -1, 1.5, None, "1", True):
        with pytest.raises(UserError, match="grid"):
            requests.position(index, 3)


@pytest.mark.slow
def test_a_shelf_knows_runs_by_name_alone(tagged, tmp_path):
    assert Shelf(str(tagged)).names() == ["faces"]
    shelf = Shelf(str(tagged.parent))
    assert shelf.names() == ["faces"]
    assert shelf.run("faces").step == 10
    (tagged.parent / "empty").mkdir(exist_ok=True)
    for wrong in ("", ".", "..", "empty", "../runs/faces", str(tagged), "faces/", "faces\0", None, 0, ["faces"]):
        with pytest.raises(UserError, match="run: there is none"):
            shelf.run(wrong)
    with pytest.raises(UserError, match=r"workdir.*holds no run \(no flags.txt in it"):
        Shelf(str(tmp_path))
    with pytest.raises(UserError, match=rf"workdir.*holds no run \(there is no directory {tmp_path}/x\)"):
        Shelf(str(tmp_path / "x"))


def test_the_length_of_a_run_and_the_time_that_is_left_are_told(tmp_path, monkeypatch):
    lay_out(tmp_path / "run")
    workdir = Workdir(tmp_path / "run")
    workdir.flags.write_text(re.sub("--epochs=.*", "--steps=1000", workdir.flags.read_text()))
    workdir.metrics.write_text('{"step": 400, "images_per_sec": 64.0}\n')
    told = [status.describe(workdir, status.read(workdir))]
    with workdir:  # a process that trains
        told.append(status.describe(workdir, status.read(workdir)))
    told.append(status.describe(workdir, status.read(workdir)))
    batch = status.system_of(workdir.path).schedule.batch_size
    assert "left" not in told[2]  # though this process goes on
    assert "step 400 of 1,000" in told[0] and "left" not in told[0]
    assert f"about {round(600 * batch / 64 / 60)} min left" in told[1]


def test_only_a_run_that_takes_conditions_is_asked_for_them():
    shelf = Shelf(str(pretrained.FOLDER))
    assert shelf.condition_names("faces") == ()  # whose pictures have tags, all the same
    assert shelf.condition_names("tagged_faces") == TAGS
    assert len(shelf.condition_names("digits")) == 10


@pytest.mark.slow
def test_a_shelf_reads_a_run_again_when_it_has_gone_on(tmp_path):
    recipe = lay_out(tmp_path / "run")
    shelf = Shelf(str(tmp_path))
    with pytest.raises(UserError, match="no intact checkpoint yet"):
        shelf.run("run")
    save_checkpoint(tmp_path / "run", recipe, 10)
    first = shelf.run("run")
    assert shelf.run("run") is first
    save_checkpoint(tmp_path / "run", recipe, 20)
    second = shelf.run("run")
    assert (first.step, second.step) == (10, 20)
    request = asked()
    again = load_run(str(tmp_path / "run"))
    before, after, read_anew = (draw.created(run, request)[0] for run in (first, second, again))
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(after, read_anew)
    begun = (tmp_path / "run" / "flags.txt").stat().st_mtime_ns
    os.utime(tmp_path / "run" / "flags.txt", ns=(begun, begun + 1))  # another run was begun in its place
    assert shelf.run("run") is not second


@pytest.mark.slow
def test_a_shelf_keeps_few_runs_in_memory(tagged, tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.page.shelf.KEPT", 1)
    for name in "ab":
        (tmp_path / name).symlink_to(tagged)
    shelf = Shelf(str(tmp_path))
    first = shelf.run("a")
    assert shelf.run("a") is first
    second = shelf.run("b")
    assert shelf.run("b") is second
    assert shelf.run("a") is not first
    monkeypatch.setattr("experiments.page.shelf.KEPT", 2)
    (tmp_path / "c").symlink_to(tagged)
    first, _, again, _ = (shelf.run(name) for name in "abac")  # b was asked for longest ago
    assert again is first and shelf.run("a") is first


@pytest.mark.slow
def test_the_downloaded_picture_holds_the_command_that_draws_it_again(tagged, faces, tmp_path):
    request = requests.pictures(str(tagged), "blue hair red eyes", 3, 4, 64, 0.7)
    path, enlarged = draw.save(tmp_path / "pictures", draw.created(faces, request)[0], request, faces.step)
    assert path.name == "blue-hair-red-eyes-seed-3-step-10.png"
    with Image.open(path) as picture:
        assert picture.text["Step"] == "10"
        program, *flags = shlex.split(picture.text["Comment"])
    assert program == "python"
    command = [sys.executable, *flags, f"--out={tmp_path / 'again.png'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    with Image.open(path) as first, Image.open(tmp_path / "again.png") as again:
        assert first.size == (2 * 16, 2 * 16)
        np.testing.assert_array_equal(np.asarray(first), np.asarray(again))
    with Image.open(path) as first, Image.open(enlarged) as large:
        assert large.size == (1024, 1024) and large.text == first.text
        np.testing.assert_array_equal(np.asarray(large)[::32, ::32], np.asarray(first))


def test_old_downloads_are_removed(faces, tmp_path, monkeypatch):
    monkeypatch.setattr(draw, "FILES_KEPT", 3)
    pictures = np.zeros((1, 2, 2, 3), np.uint8)
    paths = []
    for seed in range(5):
        paths.append(draw.save(tmp_path, pictures, asked(seed=seed), 1)[0])
        os.utime(paths[-1].parent, (seed, seed))  # systems may give what is made in a hurry the same time
    assert [path.exists() for path in paths] == [False, False, True, True, True]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_class_with_a_path_in_its_name_stays_in_the_folder(tmp_path):
    path, _ = draw.save(tmp_path, np.zeros((1, 2, 2, 1), np.uint8), asked(condition="../T-shirt/top"), 1)
    assert path.parent.parent == tmp_path
    assert path.name == "t-shirt-top-seed-0-step-1.png"


def test_a_walk_leads_from_the_first_face_of_one_seed_to_that_of_another(faces):
    walk = walked("blue hair red eyes", 3, 5)
    way = draw.on_the_way(faces, walk, np.linspace(0, 1, 4))
    assert way.shape == (4, 16, 16, 3)
    for seed, face in ((3, way[0]), (5, way[-1])):
        [alone], *_ = draw.created(faces, asked(condition="blue hair red eyes", seed=seed, count=1))
        assert np.abs(alone.astype(int) - face).max() <= 1  # other rounding in a batch of another size
    assert not np.array_equal(way[1], way[0]) and not np.array_equal(way[1], way[2])
    turned = draw.on_the_way(faces, walked("blue hair red eyes", 5, 3), np.linspace(0, 1, 4))
    assert np.abs(turned[::-1].astype(int) - way).max() <= 1
    other = draw.on_the_way(faces, walked("pink hair green eyes", 3, 5), np.linspace(0, 1, 4))
    assert not np.array_equal(other, way)


def test_a_walk_without_a_condition_keeps_one_all_the_way(faces):
    walk = walked(None, 3, 5)
    way = draw.on_the_way(faces, walk, np.linspace(0, 1, 4))
    for face, fraction in zip(way, np.linspace(0, 1, 4), strict=True):
        alone = draw.on_the_way(faces, walk, np.array([fraction]))[0]
        assert np.abs(alone.astype(int) - face).max() <= 1  # other rounding in a batch of another size


@pytest.mark.slow
def test_models_of_classes_and_models_without_conditions_draw_too(tmp_path):
    digits = load_run(str(small_run(tmp_path / "digits", model="cgan_mnist", names="digits", channels=1)))
    plain = load_run(str(small_run(tmp_path / "plain", model="dcgan_64", names="none")))
    walk = walked(None, 0, 1)
    assert draw.on_the_way(digits, walk, np.array([0.5])).shape == (1, 16, 16, 1)
    assert draw.on_the_way(plain, walk, np.array([0.5])).shape == (1, 16, 16, 3)
    sevens, nines = (draw.created(digits, asked(condition=digit))[0] for digit in "79")
    assert sevens.shape == (4, 16, 16, 1) and not np.array_equal(sevens, nines)
    assert draw.created(plain, asked(count=9))[0].shape == (9, 16, 16, 3)


def test_a_picture_is_taken_to_explore_as_it_was_drawn(faces):
    request = asked(candidates=64, std=0.5, seed=9)
    drawn, labels, order = draw.created(faces, request)
    assert len(set(order)) == 4 and set(order) != {0, 1, 2, 3}
    for picture, label, number in zip(drawn, labels, order, strict=True):
        hair, eyes, kind = requests.choices(TAGS, label)
        sent = requests.Pick(9, int(number) + 1, 0.5, hair, eyes, kind)._asdict()
        seed, place, std, *choice = requests.pick(TAGS, sent)
        walk = requests.walk(requests.condition(TAGS, *choice), seed, place, 0, 1, std, 0)
        again = draw.on_the_way(faces, walk, np.zeros(1))[0]
        assert np.abs(again.astype(int) - picture).max() <= 1  # other rounding in a batch of another size


@pytest.mark.parametrize("wrong", [None, {}, [], {"seed": 1}, "x"])
def test_no_other_picture_can_be_taken_to_explore(wrong):
    right = requests.Pick(1, 1, 1.0, "any", "any", "any")._asdict()
    assert requests.pick((), right) == tuple(right.values())
    for sent in (wrong, {**right, "number": 513}, {**right, "seed": wrong}, {**right, "more": 1}):
        with pytest.raises(UserError, match="picture"):
            requests.pick((), sent)
    with pytest.raises(UserError, match="choose one of"):
        requests.pick(TAGS, {**right, "hair": "<img>"})


def test_what_the_drop_downs_show_of_a_condition():
    assert requests.choices(TAGS, tags.parse_condition("blue hair red eyes", TAGS)) == ("blue", "red", "any")
    assert requests.choices(TAGS, tags.parse_condition("red eyes", TAGS)) == ("any", "red", "any")
    assert requests.choices(NAMES["digits"], np.eye(10)[7]) == ("any", "any", "7")
    assert requests.choices((), np.zeros(0)) == ("any", "any", "any")


def test_codes_are_checked():
    known = infogan.Codes(2, (10, 3), 2)
    found = requests.codes(known, 5, (9, "any", "beyond"), (0.5, -2, "beyond"))
    assert found == requests.Codes(5, {0: 9}, {0: 0.5, 1: -2.0})
    for classes, values in (((10, 0), (0, 0)), ((0, 3), (0, 0)), ((True, 0), (0, 0)), ((0, 0), (2.1, 0))):
        with pytest.raises(UserError, match="code"):
            requests.codes(known, 5, classes, values)


def test_codes_change_what_they_stand_for_and_nothing_else():
    codes = infogan.Codes(2, (3, 2), 2)
    output = CodedLatentOutput(None, None, codes)
    z = output.latents(jax.random.key(0), 4)
    other = np.asarray(output.with_codes(z, {1: 1}, {0: 1.5}))
    changed = np.zeros(9, bool)
    changed[[5, 6, 7]] = True  # the second of the categorical codes, and the first continuous one
    np.testing.assert_array_equal(other[:, ~changed], np.asarray(z)[:, ~changed])
    np.testing.assert_array_equal(other[:, changed], [[0, 1, 1.5]] * 4)


def test_translations_are_asked_for_as_the_run_can_make_them():
    directions = Abilities((), Outputs(translate={"a_to_b": None, "b_to_a": None}))
    assert requests.translation(directions, "b_to_a", None) == ("b_to_a", None)
    kind = Head("hair", ("blue hair", "red hair"))
    classes = Abilities((), Outputs(translate_to=TranslationOutput((kind,), None)))
    assert requests.translation(classes, None, "red hair") == (None, "red hair")
    assert requests.translation(classes, None, "any") == (None, None)
    for able, direction, into in ((directions, "c", None), (classes, None, "c"), (Abilities(), None, None)):
        with pytest.raises(UserError, match=r"choose one of|translates no pictures"):
            requests.translation(able, direction, into)


def test_what_a_run_can_be_asked_for_is_known_without_its_weights():
    shelf = Shelf(str(pretrained.FOLDER))
    faces, parts = shelf.abilities("tagged_faces"), shelf.abilities("parts")
    assert (faces.draws, faces.translates, faces.condition_names, faces.codes) == (True, False, TAGS, None)
    assert (parts.draws, parts.translates, parts.classes, len(parts.directions)) == (False, True, (), 1)


def test_words_are_shown_and_never_read_as_a_page(faces):
    from experiments.page import pictures

    assert pictures.text("<b>${x}{{y}}") == "&lt;b&gt;&#36;&#123;x}&#123;&#123;y}}"
    picture = np.zeros((1, 2, 2, 3), np.uint8)
    shown = pictures.pickable(picture, ['"><script>'], [{"hair": '"><script>'}], 1)
    assert "<script" not in shown and 'alt="Picture 1, &quot;&gt;&lt;script&gt;"' in shown
    assert 'alt="before"' in pictures.comparison(picture[0], picture[0])


def test_progress_is_read_while_a_run_goes_on(tmp_path):
    recipe = lay_out(tmp_path / "run")
    workdir = Workdir(tmp_path / "run")
    found = status.read(workdir)
    assert (found.lines, found.grids, found.checkpoint) == ([], [], None)
    assert status.curves(workdir, found) is None
    assert "no step logged yet · no checkpoint yet" in status.describe(workdir, found)
    seen = [status.signature(workdir)]
    workdir.metrics.write_text('{"step": 50, "d_loss": 1.0, "g_loss": 2.0, "images_per_sec": 1234.5}\n{"step": 1')
    seen.append(status.signature(workdir))
    images.save_png(workdir.sample(50), np.full((4, 4, 1), 7, np.uint8))
    seen.append(status.signature(workdir))
    save_checkpoint(tmp_path / "run", recipe, 40)
    seen.append(status.signature(workdir))
    assert len(set(seen)) == 4
    assert status.signature(workdir) == seen[-1]
    found = status.read(workdir)
    told = "**cgan_anime** on avatars, 16×16 · step 50 · newest checkpoint 40 · 1,234 pictures/s"
    assert status.describe(workdir, found) == told
    assert "d_loss 1" in status.curves_in_words(found) and "step 50" in status.curves_in_words(found)
    light, dark = (status.curves(workdir, found, dark=dark) for dark in (False, True))
    assert sum(light.get_facecolor()[:3]) > 2.5 > 1 > sum(dark.get_facecolor()[:3])
    losses = light.axes[0]
    assert sorted(float(line.get_ydata()[0]) for line in losses.lines) == [1.0, 2.0]
    assert [step for step, _ in found.grids] == [50]
    assert (status.read_grid(found.grids[0][1]) == 7).all()
    whole = workdir.sample(50).read_bytes()
    for position in range(8, len(whole)):  # the first bytes say that it is a PNG
        workdir.sample(50).write_bytes(whole[:position] + bytes([whole[position] ^ 0x40]) + whole[position + 1 :])
        with contextlib.suppress(OSError):  # all that it may raise
            status.read_grid(workdir.sample(50))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--workdir=RUN", "--port=0"], "--port=0: must be from 1 to 65535"),
        (["--workdir=RUN", "--host=::1"], "--host=::1"),
        (["--workdir=RUN", "--host=192.0.2.1"], "Cannot assign requested address"),
    ],
)
def test_mistakes_are_one_line(tagged, flags, message):
    done = commands.run("demo", *(flag.replace("RUN", str(tagged)) for flag in flags))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and message in done.stderr


def test_a_missing_page_library_is_named_with_what_installs_it(tagged, tmp_path):
    (tmp_path / "gradio.py").write_text("raise ModuleNotFoundError('blocked', name='gradio')\n")
    done = subprocess.run(
        [sys.executable, "-m", "experiments.demo", f"--workdir={tagged}"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "pip install 'jaxgan[demo]'" in done.stderr


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("/", False),
        ("/gradio_api/queue/join", False),
        ("/gradio_api/file=/tmp/a.png", False),
        ("/assets/upload.js", False),
        ("/gradio_api/upload", True),
        ("//gradio_api/upload", True),
        ("/upload_progress", True),
        ("/gradio_api/file=https://example.com/a.png", True),
        ("/gradio_api/proxy=http://example.com/", True),
        ("/gradio_api/component_server", True),
    ],
)
def test_the_guard_lets_through_what_the_page_needs_and_nothing_else(path, refused):
    sent = []

    async def application(scope, receive, send):
        await send("through")

    async def send(message):
        sent.append(message)

    asyncio.run(guard.Guard(application)({"type": "http", "path": path}, None, send))
    if refused:
        assert [message.get("status") for message in sent] == [403, None]
    else:
        assert sent == ["through"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"content-length", b"100")], None),
        ([(b"content-length", str(guard.LARGEST).encode())], None),
        ([(b"content-length", str(guard.LARGEST + 1).encode())], 413),
        ([(b"content-length", b"9" * 5000)], 413),
        ([(b"content-length", b"-1")], 411),
        ([(b"transfer-encoding", b"chunked")], 411),
        ([(b"content-length", b"10"), (b"transfer-encoding", b"chunked")], 411),  # of which the second counts
    ],
    ids=range(7),
)
def test_the_guard_refuses_what_is_larger_than_a_picture(headers, status):
    sent = []

    async def application(scope, receive, send):
        await send({"status": None})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/gradio_api/queue/join", "headers": headers}
    asyncio.run(guard.Guard(application)(scope, None, send))
    assert sent[0]["status"] == status


def test_the_guard_hands_on_what_has_no_path():
    seen = []

    async def application(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(guard.Guard(application)({"type": "lifespan"}, None, None))  # as a server says that it begins
    assert seen == ["lifespan"]
