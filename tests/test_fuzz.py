"""Damaged inputs of every kind: a clear error or a right result, in bounded time and memory, and no file elsewhere."""

import contextlib
import io
import json
import os
import random
from unittest.mock import MagicMock

import jax.numpy as jnp
import numpy as np
import pytest
from fuzzing import bounded, in_time, mutated
from PIL import Image
from reference.cases import CASES, random_variables

from experiments.cli import command, schema
from experiments.run.recipes import read_recipe_flags, recipe_class, resolve
from jaxgan import interop, models, systems
from jaxgan.data import cache, decode, folder, own_tags, tags
from jaxgan.host import arrays, images
from jaxgan.host.arrays import parse_arrays
from jaxgan.host.digest import digest, digest_leaves
from jaxgan.host.errors import UserError, one_line
from jaxgan.metrics import store
from jaxgan.systems.gan import AdversarialSettings, build_gan
from jaxgan.systems.settings import flag_lines
from jaxgan.training.files import checkpoint_format, metrics_log, plots
from jaxgan.training.files.checkpoints import Checkpoints
from jaxgan.training.files.description import read_description
from jaxgan.training.files.metrics_log import MetricsLog
from jaxgan.training.files.tensorboard import EventLog

TARGETS = {}

# When one array cannot be read, Orbax leaves the loop in which TensorStore still reads the others: noise, no harm.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def target(share=1.0):
    """Names a function `(directory) -> (corpus, check)`; its share of the inputs."""

    def register(function):
        TARGETS[function.__name__] = (function, share)
        return function

    return register


def is_clear(error):
    """A message that a person can read: one line, no novel."""
    assert str(error) and "\n" not in str(error) and len(str(error)) < 2000, str(error)


def encoded(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def file_of(path, data):
    path.write_bytes(data)
    return path


# Pictures


@target(2.0)
def pictures(directory):
    noise = np.random.default_rng(0).integers(0, 256, (24, 20, 4), np.uint8)
    rgb = Image.fromarray(np.ascontiguousarray(noise[..., :3]))
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb_with_alpha, deep = Image.fromarray(noise), Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    corpus = [
        encoded(rgb, "JPEG", exif=exif),
        encoded(rgb, "JPEG", progressive=True),
        encoded(rgb.convert("CMYK"), "JPEG"),
        encoded(rgb, "PNG"),
        encoded(rgb_with_alpha, "PNG"),
        encoded(rgb.convert("P"), "PNG", transparency=3),
        encoded(deep, "PNG"),
        encoded(rgb.convert("1"), "PNG"),
        encoded(rgb, "WEBP", lossless=True, exif=exif),
        encoded(rgb_with_alpha, "WEBP"),
        encoded(rgb, "BMP"),
        encoded(rgb, "GIF", save_all=True, append_images=[rgb.rotate(90)]),
    ]

    def check(data):
        path = file_of(directory / "picture.png", data)
        chunk = folder._decode_files(["picture.png"], root=str(directory), image_size=8, channels=3)
        assert len(chunk.images) + len(chunk.notes) == 1
        assert decode.is_colour(path) in (True, False)

    return corpus, check


@target(0.3)
def earlier_grids(directory):
    grids = [encoded(Image.new("RGB", (16, 16), colour), "PNG") for colour in ("red", "blue")]
    for step, data in enumerate(grids):
        (directory / f"{step:08d}.png").write_bytes(data)

    def check(data):
        (directory / "00000001.png").write_bytes(data)
        assert images.save_evolution(directory / "evolution.gif", directory)

    return grids, check


# Text


@target()
def tag_files(directory):
    def check(data):
        try:
            found = tags.read_tags(file_of(directory / "tags.csv", data))
        except UserError as error:
            return is_clear(error)
        assert all(condition.shape == (23,) and condition.max() <= 1 for condition in found.values())

    return [
        b"2,blonde hair pink eyes\n3,long hair blue eyes, smile\n\n4,red hair\r\n",
        "\ufeff5,aqua hair".encode(),
    ], check


@target()
def own_tag_files(directory):
    def check(data):
        path = file_of(directory / "tags.csv", data)
        for read in (own_tags.read_table, own_tags.read_words):
            with contextlib.redirect_stderr(io.StringIO()):
                try:
                    found = read(path)
                except UserError as error:
                    is_clear(error)
                    continue
            if found is not None:
                conditions, names = found
                assert len(set(names)) == len(names) <= own_tags.MOST and all(names)
                assert all(row.shape == (len(names),) and row.max(initial=0) <= 1 for row in conditions.values())

    table = b"id,smile,hair,age\n1,1,red,3\n2,-1,blue hair,\n3,0,,4\n"
    return [table, b'1,striped tail\n2,"long, short"\n\n3,asleep\r\n'], check


@target()
def condition_files(directory):
    def check(data):
        try:
            found = tags.read_conditions(file_of(directory / "conditions.txt", data))
        except UserError as error:
            return is_clear(error)
        assert found.shape[1:] == (23,) and found.any(axis=1).all()

    return [b"blue hair red eyes\r\n\r\nblack hair\n", b"Gray EYES, pink hair\n" * 3], check


@target()
def conditions(_directory):
    def check(data):
        try:
            found = tags.parse_condition(data.decode("utf-8", "surrogateescape"))
        except UserError as error:
            return is_clear(error)
        assert found.any()

    return [b"blue hair red eyes", b"Gray EYES, pink hair", b"blonde hair"], check


@target(2.0)
def flag_files(directory):
    corpus = [flag_lines(resolve({"model": name}, systems.names())).encode() for name in models.names()]
    corpus += [b"# a comment\n--model=mlp_b\n--steps=100\n--generator_width=3\n--nojoint_batch\n--epochs=0.5\n"]

    def check(data):
        path = file_of(directory / "flags.txt", data)
        try:
            given = read_recipe_flags(path)
            recipe = resolve(given, systems.names())
            gan = build_gan(recipe, 3, 23)
        except UserError as error:
            return is_clear(one_line(str(error)))
        assert all(0 < side < 1 << 20 for side in gan.image_shape)

    return corpus, check


@target()
def flag_files_of_users(directory):
    """Those that `--flagfile` names, which may name others."""
    (directory / "other.flags").write_text(f"--flagfile={directory}/flags\n--steps=3\n")
    corpus = [f"# run\n--flagfile={directory}/other.flags\n--model=mlp_b\n\n--flip\n--beta1=0.5\n".encode()]

    def check(data):
        values, said = schema.flag_values(recipe_class(AdversarialSettings)), io.StringIO()
        file_of(directory / "flags", data)
        try:
            with contextlib.redirect_stderr(said):
                command.parse(["train", f"--flagfile={directory}/flags"], values)
        except SystemExit as left:
            assert left.code == 2
            is_clear(said.getvalue().rpartition("error: ")[2].strip())

    return corpus, check


# What a run leaves


@target(2.0)
def checkpoint_files(directory):
    state = {"w": jnp.arange(600.0).reshape(20, 30), "n": {"count": jnp.int32(3), "empty": jnp.zeros((0, 2))}}
    saver = Checkpoints(directory / "run" / "checkpoints", report=lambda message: None)
    saver.save(1, state, {"sums": {"d_loss": 0.5}})
    saver.wait()
    files = sorted(path for path in saver.directory.rglob("*") if path.is_file())
    whole, turn = [path.read_bytes() for path in files], iter(range(10**9))

    def check(data):
        index = next(turn) % len(files)
        files[index].write_bytes(data)
        messages = []
        restored = Checkpoints(saver.directory, report=messages.append).restore_latest(state)
        if restored is None:
            is_clear(*messages)
        else:
            assert restored[2] == {"sums": {"d_loss": 0.5}} and digest(restored[1]) == digest(state)
        files[index].write_bytes(whole[index])

    return whole, check


@target(0.7)
def checkpoint_records(directory):
    """Records whose seal is right and whose content is not: of another version, or by a hostile hand."""
    state = {"w": jnp.arange(6.0), "empty": jnp.zeros((0, 2))}
    saver = Checkpoints(directory / "run" / "checkpoints", report=lambda message: None)
    saver.save(1, state, {"sums": {"d_loss": 0.5}})
    saver.wait()
    [path] = [path for path in (saver.directory / "1" / "record").rglob("*") if b'"seal"' in path.read_bytes()]
    record = json.loads(path.read_bytes())
    record.pop("seal")

    def check(data):
        try:
            changed = json.loads(data)
            changed["seal"] = checkpoint_format.seal_of(changed)
        except (ValueError, TypeError, RecursionError):
            return None
        path.write_text(json.dumps(changed))
        try:
            restored = Checkpoints(saver.directory, report=is_clear).restore_latest(state)
        except UserError as error:
            return is_clear(error)
        assert restored is None or digest(restored[1]) == digest(state)

    return [json.dumps(record).encode()], check


@target()
def logs(directory):
    path = directory / "metrics.jsonl"

    def check(data):
        path.write_bytes(data)
        with MetricsLog(path, 20) as log:
            log.append(21, {"d_loss": 1.0})
        lines = metrics_log.read(path)
        assert lines[-1] == {"step": 21, "d_loss": 1.0} and all(line["step"] <= 21 for line in lines)
        axes = MagicMock()  # drawing takes Matplotlib a tenth of a second
        plots._plot(axes, lines, {"d_loss": ("", ""), "g_loss": ("", "")})
        assert all(np.isfinite(call.args).all() for call in axes.plot.call_args_list)

    with MetricsLog(path, 0) as log:
        for step in range(5, 30, 5):
            log.append(step, {"d_loss": step / 3, "g_loss": np.nan if step == 20 else 1.0})
    return [path.read_bytes()], check


@target(0.5)
def events(directory):
    with EventLog(directory, 0) as log:
        for step in (1, 2, 3):
            log.add_scalars(step, {"d_loss": 0.5})
    [path] = directory.iterdir()

    def check(data):
        path.write_bytes(data)
        with EventLog(directory, 2) as log:
            log.add_scalars(3, {"d_loss": 0.5})

    return [path.read_bytes()], check


@target(0.5)
def descriptions_of_data(directory):
    recipe = resolve({"model": "cgan_anime"}, ("cgan_anime",))
    known = {"dataset": "avatars", "pictures": 64, "shape": [64, 64, 3], "condition_names": ["red hair"], "sha256": "0"}

    def check(data):
        try:
            found = read_description(file_of(directory / "dataset.json", data).parent)
            build_gan(recipe, found.shape[-1], len(found.condition_names))
        except UserError as error:
            is_clear(error)

    return [json.dumps(known, indent=1).encode()], check


# The cache


@target()
def cached_pictures(directory):
    values = np.random.default_rng(0).integers(0, 256, (6, 3, 3, 1), np.uint8)
    chunks = [cache.Chunk(values, np.eye(6, 2, dtype=np.uint8))]
    made = cache.build(
        "x", {}, (c for c in chunks), 6, (3, 3, 1), condition_names="ab", cache_dir=directory, description=""
    )
    [entry] = directory.iterdir()
    files, turn = sorted(entry.iterdir()), iter(range(10**9))
    whole = [path.read_bytes() for path in files]

    def check(data):
        index = next(turn) % len(files)
        # The entry is memory-mapped: like any writer, this one replaces the file.
        os.replace(file_of(directory / "new", data), files[index])
        found = cache.find("x", {}, cache_dir=directory)
        assert found is None or (found.digest == made.digest and (found.images == values).all())
        os.replace(file_of(directory / "new", whole[index]), files[index])

    return whole, check


@target()
def feature_networks(directory):
    path = directory / "network"
    arrays = {"a/kernel": np.arange(12.0).reshape(3, 4), "a/bias": np.zeros(4, np.float32)}
    store.write(path, arrays, {"accuracy": 0.9})
    files, turn = sorted(directory.iterdir()), iter(range(10**9))
    whole = [file.read_bytes() for file in files]

    def check(data):
        index = next(turn) % len(files)
        files[index].write_bytes(data)
        found = store.read(path)
        assert found is None or digest_leaves(found[0]) == digest_leaves(arrays)
        files[index].write_bytes(whole[index])

    return whole, check


@target()
def npz_files(_directory):
    buffers = [io.BytesIO(), io.BytesIO()]
    np.savez(buffers[0], a=np.arange(12.0).reshape(3, 4), b=np.zeros(4, np.float32))
    np.savez_compressed(buffers[1], a=np.zeros((100, 100)), o=np.array([{}, None], object))

    def check(data):
        try:
            assert all(isinstance(array, np.ndarray) for array in parse_arrays(data).values())
        except ValueError as error:
            is_clear(" ".join(str(error).split()))

    return [buffer.getvalue() for buffer in buffers], check


# Weights of other frameworks


VALUES = {
    "nan": lambda a: np.full_like(a, np.nan),
    "inf": lambda a: np.full_like(a, np.inf),
    "transposed": lambda a: a.T if a.ndim > 1 and len(set(a.shape)) > 1 else a[None],
    "shorter": lambda a: a[:-1],
    "scalar": lambda a: np.float32(1.0),
    "enormous": lambda a: np.broadcast_to(np.float32(0), (10**6, 10**6)),
    "integers": lambda a: np.zeros(a.shape, int),
    "half": lambda a: np.zeros(a.shape, np.float16),
    "complex": lambda a: np.zeros(a.shape, complex),
    "texts": lambda a: np.full(a.shape, "x"),
    "objects": lambda a: np.full(a.shape, None),
    "bytes": lambda a: a.tobytes(),
    "none": lambda a: None,
    "dictionary": lambda a: {"weight": a},
    "ragged": lambda a: [[1.0], [1.0, 2.0]],
}
NAMES = ["", ".", "weight", "main.0.bias", "../../x", "a\nb", "main.1.num_batches_tracked", "\udcff", 7, None, ("a",)]


def shuffled(items, chance):
    """Removes, repeats, exchanges or renames one of a list of (name, array), or changes the values of some."""
    items = list(items)
    place = chance.randrange(len(items))
    kind = chance.choice(["values", "values", "values", "remove", "repeat", "swap", "rename"])
    if kind == "values":
        for _ in range(chance.choice((1, 1, 3))):
            place = chance.randrange(len(items))
            change = VALUES[chance.choice(sorted(VALUES))]
            if isinstance(items[place][1], np.ndarray) and items[place][1].ndim and items[place][1].size < 1e6:
                items[place] = (items[place][0], change(items[place][1]))
    elif kind == "remove":
        del items[place:]
    elif kind == "repeat":
        items.insert(place, items[chance.randrange(len(items))])
    elif kind == "swap":
        other = chance.randrange(len(items))
        items[place], items[other] = items[other], items[place]
    else:
        items[place] = (chance.choice(NAMES), items[place][1])
    return items


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_weights_that_do_not_fit_are_refused_or_right(count):
    chance = random.Random(0)
    for name in ("mlp_b", "dcgan_mnist_a", "cgan_mnist"):
        module = models.build(name, **CASES[name].narrow).generator
        variables = random_variables(module)
        weights = interop.keras.export_weights(module, variables)
        state = named_as_in_torch(module, variables)
        for _ in range(count // 3):
            items = shuffled(state.items(), chance)
            with in_time():
                check_import(interop.torch, module, dict(items), variables)
            items = [value for _, value in shuffled(enumerate(weights), chance)]
            with in_time():
                check_import(interop.keras, module, items, variables)


def named_as_in_torch(module, variables):
    like = {}
    for index, layer in enumerate(interop.definition.layers(module)):
        for entry in layer:
            name = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}
            shape = interop.torch._torch_shape(entry)
            like[f"main.{index}.{name.get(entry.name, 'bias')}"] = np.zeros(shape, np.float32)
    return interop.torch.export_state_dict(module, variables, like=like)


def check_import(framework, module, weights, variables):
    import jax

    try:
        found = framework.import_variables(module, weights)
    except UserError as error:
        return is_clear(" ".join(str(error).split()))
    leaves = jax.tree.leaves(found)
    assert all(leaf.dtype in (np.float32, np.float64) and np.isfinite(leaf).all() for leaf in leaves)
    assert jax.tree.map(np.shape, found) == jax.tree.map(np.shape, variables)
    return None


# The tests


def survive(name, count, directory, monkeypatch):
    function, share = TARGETS[name]
    elsewhere = directory / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for variable in ("HOME", "TMPDIR", "JAXGAN_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(elsewhere))
    (directory / "here").mkdir()
    corpus, check = function(directory / "here")
    with bounded():
        for data in mutated(0, round(count * share), corpus):
            with in_time():
                check(data)
    assert os.listdir(elsewhere) == []
    assert sorted(os.listdir(directory)) == ["elsewhere", "here"]


@pytest.mark.parametrize("name", TARGETS)
def test_a_few_damaged_inputs(name, tmp_path, monkeypatch):
    survive(name, 30, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_many_damaged_inputs(name, tmp_path, monkeypatch):
    survive(name, 700, tmp_path, monkeypatch)


def test_an_npz_file_that_unpacks_to_too_much_is_refused(monkeypatch):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=np.zeros(10_000, np.uint8))
    assert len(buffer.getvalue()) < 1000 and parse_arrays(buffer.getvalue())["a"].shape == (10_000,)
    monkeypatch.setattr(arrays, "LARGEST", 10_000)
    with pytest.raises(ValueError, match=r"take 10128 bytes, and more than 10000 are not unpacked"):
        parse_arrays(buffer.getvalue())
