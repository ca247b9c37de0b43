import os
import shutil
import struct
import subprocess
import sys
import tarfile
import zlib

import numpy as np
import pytest
from PIL import Image

from jaxgan.data import cache, decode, folder
from jaxgan.host.errors import UserError
from jaxgan.training.files.workdir import Workdir

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
CORNERS = np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8)  # one pixel a corner


def load(root, image_size=2, **options):
    return folder.load(root, image_size, cache_dir=root.parent / "cache", **options)


def load_one(tmp_path, save, image_size=2, name="picture.png", **options):
    """The pixels of a folder with one picture, which `save(path)` writes."""
    root = tmp_path / "pictures"
    root.mkdir()
    save(root / name)
    return load(root, image_size, **options).images[0]


def write_picture(path, value=7, size=2, mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (size, size), value).save(path)
    return path


def large_corners(cell=16):
    return Image.fromarray(CORNERS.repeat(cell, 0).repeat(cell, 1))


def write_png(path, width, height, bits, colour_type, rows, key=None):
    """A PNG file by hand, for the modes that Pillow does not write."""

    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    data = b"".join(b"\0" + row for row in rows)
    transparent = [] if key is None else [part(b"tRNS", key)]
    parts = [part(b"IHDR", header), *transparent, part(b"IDAT", zlib.compress(data)), part(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


class TestSize:
    def test_a_picture_of_the_right_size_is_not_touched(self, tmp_path):
        noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
        np.testing.assert_array_equal(load_one(tmp_path, Image.fromarray(noise).save, 32), noise)

    @pytest.mark.parametrize("wide", [True, False])
    def test_the_middle_is_cut_out(self, tmp_path, wide):
        strip = np.random.default_rng(0).integers(0, 256, (8, 15, 3), np.uint8)
        picture = strip if wide else strip.transpose(1, 0, 2)
        expected = strip[:, 3:11] if wide else strip[:, 3:11].transpose(1, 0, 2)
        pixels = load_one(tmp_path, Image.fromarray(np.ascontiguousarray(picture)).save, 8)
        np.testing.assert_array_equal(pixels, expected)

    def test_resizing_is_anti_aliased(self, tmp_path):
        stripes = np.zeros((64, 64), np.uint8)
        stripes[:, ::2] = 255
        pixels = load_one(tmp_path, Image.fromarray(stripes).save, 16)
        np.testing.assert_allclose(pixels, 127.5, atol=20)  # without, columns would be 0 or 255
        np.testing.assert_allclose(pixels[:, 2:-2], 127.5, atol=1)

    @pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
    def test_tiny_and_thin_pictures_are_enlarged(self, tmp_path, size):
        picture = Image.new("RGB", size, (10, 20, 30))
        np.testing.assert_array_equal(load_one(tmp_path, picture.save, 8), np.full((8, 8, 3), (10, 20, 30)))

    @pytest.mark.parametrize("side", [50, 129, 300, 1000])
    def test_the_quick_way_of_decoding_jpeg_shows_the_same(self, tmp_path, side):
        column, row = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side))
        waves = [np.sin(40 * column) * np.cos(9 * row), np.sin(25 * row), column * row]
        picture = Image.fromarray((127.5 + 127.5 * np.stack(waves, -1)).clip(0, 255).astype(np.uint8))
        path = tmp_path / "picture.jpg"
        picture.save(path, quality=95)
        with Image.open(path) as whole:
            expected = decode.fit(whole.convert("RGB"), 32, 3).astype(int)
        difference = np.abs(decode.decode(path, 32, 3) - expected)
        assert difference.mean() < 1.5
        assert difference.max() <= 12


class TestChannels:
    def test_one_if_every_picture_is_grey(self, tmp_path):
        for index in range(5):
            write_picture(tmp_path / "pictures" / f"{index}.png", index)
        images = load(tmp_path / "pictures").images
        np.testing.assert_array_equal(images[:, 0, 0], [[0], [1], [2], [3], [4]])

    def test_three_if_one_has_colours(self, tmp_path):
        for index in range(5):
            write_picture(tmp_path / "pictures" / f"{index}.png", index)
        write_picture(tmp_path / "pictures" / "9.png", RED, mode="RGB")
        images = load(tmp_path / "pictures").images
        assert images.shape == (6, 2, 2, 3)
        np.testing.assert_array_equal(images[3], np.full((2, 2, 3), 3))
        np.testing.assert_array_equal(images[5], np.full((2, 2, 3), RED))

    def test_as_many_as_asked_for(self, tmp_path):
        root = tmp_path / "pictures"
        write_picture(root / "a.png", RED, mode="RGB")
        np.testing.assert_array_equal(load(root, channels=1).images, np.full((1, 2, 2, 1), 76))  # 0.299 * 255
        shutil.rmtree(root)
        write_picture(root / "a.png", 5)
        np.testing.assert_array_equal(load(root, channels=3).images, np.full((1, 2, 2, 3), 5))
        with pytest.raises(ValueError, match="channels"):
            load(root, channels=2)


class TestFiles:
    def test_any_nesting_and_names_in_the_order_of_the_paths(self, tmp_path):
        root = tmp_path / "pictures"
        names = ["a b/c.png", "deep/er/and/deeper/still/x.png", "new\nline.png", "z-猫-é.png", "z🎨/--help.png"]
        names += [os.fsdecode(b"z-not-utf8-\xff.png"), "'quotes\".png", "%s{}.png"]
        for value, name in enumerate(sorted(names)):
            write_picture(root / name, value)
        np.testing.assert_array_equal(load(root).images[:, 0, 0, 0], np.arange(len(names)))

    def test_hidden_and_other_files_are_passed_over(self, tmp_path, capsys):
        root = tmp_path / "pictures"
        write_picture(root / "a.png")
        write_picture(root / ".hidden.png")
        write_picture(root / ".hidden" / "b.png")
        (root / "notes.txt").write_text("not a picture")
        (root / "no_extension").write_bytes(b"\x89PNG")
        (root / "folder.png").mkdir()
        os.mkfifo(root / "pipe.png")
        assert len(load(root)) == 1
        assert "cannot be read" not in capsys.readouterr().err

    def test_links_are_not_followed_and_counted(self, tmp_path, capsys):
        root = tmp_path / "pictures"
        write_picture(root / "real" / "a.png")
        outside = write_picture(tmp_path / "outside" / "secret.png")
        (root / "loop").symlink_to(root)
        (root / "real" / "up").symlink_to("..")
        (root / "linked.png").symlink_to(outside)
        (root / "linked").symlink_to(outside.parent)
        (root / "dangling.png").symlink_to("nowhere")
        (root / "text.txt").symlink_to("nowhere")
        assert len(load(root)) == 1
        assert "5 symbolic links" in capsys.readouterr().err
        (tmp_path / "link").symlink_to(root)
        assert len(load(tmp_path / "link")) == 1  # the folder itself may be one
        shutil.rmtree(root / "real")
        with pytest.raises(UserError, match=r"4 symbolic links.*give the folder that they lead to"):
            load(root)

    @pytest.mark.parametrize("kind", ["missing", "empty", "file", "texts"])
    def test_a_folder_without_pictures_is_the_users_to_mend(self, tmp_path, kind):
        root = tmp_path / kind
        if kind == "file":
            root.write_text("")
        elif kind != "missing":
            root.mkdir()
        if kind == "texts":
            (root / "readme.txt").write_text("")
        with pytest.raises(UserError, match=f"data_dir=.*{kind}") as caught:
            load(root)
        assert str(caught.value).isprintable()


class TestCache:
    def test_a_second_run_does_not_read_the_pictures(self, tmp_path):
        root = tmp_path / "pictures"
        for index in range(3):
            write_picture(root / f"{index}.png", index)
        digest = load(root).digest
        for path in root.iterdir():  # other bytes, but the listing is the same
            status = path.stat()
            path.write_bytes(bytes(status.st_size))
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert load(root).digest == digest

    @pytest.mark.parametrize("change", ["content", "time", "name", "another", "removed", "size", "channels"])
    def test_what_changes_the_pictures_changes_the_entry(self, tmp_path, change):
        root = tmp_path / "pictures"
        for index in range(3):
            write_picture(root / f"{index}.png", index)
        load(root)
        options = {"size": {"image_size": 3}, "channels": {"channels": 3}}.get(change, {})
        if change == "content":
            write_picture(root / "1.png", 100, size=3)
        elif change == "time":
            os.utime(root / "1.png", (1, 1))
        elif change == "name":
            (root / "1.png").rename(root / "9.png")
        elif change == "another":
            write_picture(root / "3.png", 3)
        elif change == "removed":
            (root / "1.png").unlink()
        values = load(root, **options).images[:, 0, 0, 0].tolist()
        expected = {"content": [0, 100, 2], "name": [0, 2, 1], "another": [0, 1, 2, 3], "removed": [0, 2]}
        assert values == expected.get(change, [0, 1, 2])
        assert len(list((tmp_path / "cache").iterdir())) == 2

    def test_folders_with_the_same_listing_are_not_mixed_up(self, tmp_path):
        for name, value in (("one", 1), ("two", 2)):
            path = write_picture(tmp_path / name / "a.bmp", value)
            os.utime(path, (1, 1))
        assert load(tmp_path / "one").images[0, 0, 0, 0] == 1
        assert load(tmp_path / "two").images[0, 0, 0, 0] == 2

    def test_the_digest_is_of_the_pixels(self, tmp_path):
        for name in ("one", "two"):
            write_picture(tmp_path / name / f"{name}.png", 3)
        write_picture(tmp_path / "three" / "a.png", 4)
        one, two, three = (load(tmp_path / name).digest for name in ("one", "two", "three"))
        assert one == two != three

    def test_cached_pictures_need_neither_tensorflow_nor_jax(self, tmp_path):
        root = tmp_path / "pictures"
        for index in range(3):
            write_picture(root / f"{index}.png", index)
        load(root)
        program = """
import sys
sys.modules |= dict.fromkeys(["tensorflow", "tensorflow_datasets", "jax", "orbax"])
from jaxgan import data
print(data.load("folder", data_dir=sys.argv[1], image_size=2, cache_dir=sys.argv[2]).digest)
"""
        command = [sys.executable, "-c", program, str(root), str(tmp_path / "cache")]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        assert result.stdout.strip() == load(root).digest
        assert not result.stderr


class TestUnreadable:
    def broken_folder(self, tmp_path, good, broken):
        root = tmp_path / "pictures"
        for index in range(good):
            write_picture(root / f"good{index:03}.png", index)
        for index in range(broken):
            (root / f"broken\n{index}.png").write_bytes(b"no picture")
        return root

    def test_they_are_counted_the_first_are_named_and_the_run_goes_on(self, tmp_path, capsys):
        root = self.broken_folder(tmp_path, 63, 7)
        images = load(root).images
        np.testing.assert_array_equal(images[:, 0, 0, 0], np.arange(63))
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "cannot be read" in line]
        assert "7 of 70" in line
        assert [f"broken?{index}.png" in line for index in range(7)] == [True] * 5 + [False] * 2

    def test_more_than_a_tenth_is_an_error(self, tmp_path):
        root = self.broken_folder(tmp_path, 62, 7)
        with pytest.raises(UserError, match=r"data_dir=.*7 of 69 pictures") as caught:
            load(root)
        assert str(caught.value).isprintable()
        assert not list((tmp_path / "cache").iterdir())

    def test_conditions_stay_with_their_pictures(self, tmp_path):
        root = tmp_path / "pictures"
        lines = []
        for index in range(80):
            write_picture(root / f"{index:02}.png", index)
            lines.append(f"{index:02},{'red' if index % 2 else 'blue'} hair")
        for index in (3, 64, 70):
            (root / f"{index:02}.png").write_bytes(b"")
        (root / "tags.csv").write_text("\n".join(lines))
        pictures = load(root, tags=True)
        assert len(pictures) == 77
        is_red = pictures.conditions[:, pictures.condition_names.index("red hair")]
        np.testing.assert_array_equal(is_red, pictures.images[:, 0, 0, 0] % 2)

    @pytest.mark.parametrize("damage", ["cut", "garbage", "claims", "huge", "other format", "directory vanished"])
    def test_each_kind_of_damage(self, tmp_path, damage):
        path = tmp_path / "picture.png"
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(path)
        data = path.read_bytes()
        if damage == "cut":
            path.write_bytes(data[: len(data) // 2])
        elif damage == "garbage":
            path.write_bytes(data[:16] + bytes(len(data) - 16))
        elif damage == "claims":  # a few bytes that claim 2^62 pixels
            write_png(path, 2**31 - 1, 2**31 - 1, 8, 2, [b"\0" * 100])
        elif damage == "huge":  # a real decompression bomb: 100 megapixels of black
            write_png(path, 10_000, 10_000, 8, 0, [bytes(10_000)] * 10_000)
        elif damage == "other format":
            Image.fromarray(noise).save(path, "TGA")
        else:
            path.unlink()
        decoded = folder._decode_files(["picture.png"], root=str(tmp_path), image_size=8, channels=3)
        assert decoded.notes == (["unreadable", "picture.png"],)
        assert decoded.images.shape == (0, 8, 8, 3)


class TestOtherFormats:
    def test_they_are_counted_and_named(self, tmp_path, capsys):
        root = tmp_path / "pictures"
        write_picture(root / "1.png")
        for name in ("a.heic", "more/b.AVIF", "notes.txt"):
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_bytes(b"")
        assert len(load(root)) == 1
        said = capsys.readouterr().err
        assert said == f"{root}: 2 pictures of other formats were left out: a.heic, more/b.AVIF (save them as PNG)\n"
        (root / "1.png").unlink()
        with pytest.raises(UserError, match=r"no pictures in this folder \(2 pictures of other formats were left out"):
            load(root)


class TestClasses:
    def test_each_subfolder_is_a_class(self, tmp_path):
        root = tmp_path / "pictures"
        for index, name in enumerate(("dogs/1.png", "cats/1.png", "cats/more/2.png")):
            write_picture(root / name, index)
        pictures = load(root, tags=True)
        assert pictures.condition_names == ("cats", "dogs")
        np.testing.assert_array_equal(pictures.images[:, 0, 0, 0], [1, 2, 0])
        np.testing.assert_array_equal(pictures.conditions, [[1, 0], [1, 0], [0, 1]])
        (root / "dogs").rename(root / "hounds")
        assert load(root, tags=True).condition_names == ("cats", "hounds")
        assert load(root).conditions is None
        write_picture(root / "stray.png")
        with pytest.raises(UserError, match=r"a conditional model needs tags.csv there, .*, or a folder of pictures"):
            load(root, tags=True)

    def test_a_file_is_no_folder(self, tmp_path):
        (tmp_path / "pictures.zip").write_bytes(b"PK")
        with pytest.raises(UserError, match=r"pictures.zip: is a file; give a folder of pictures, or a .npz or .npy"):
            load(tmp_path / "pictures.zip")


class TestRuns:
    def test_a_run_in_the_folder_is_no_picture(self, tmp_path):
        root = tmp_path / "pictures"
        for name in ("1.png", "runs/2.png", "losses.png"):
            write_picture(root / name)
        before = load(root).digest
        for run in (root / "runs" / "mine", root):
            workdir = Workdir(run)
            for path in (workdir.real, workdir.sample(1000), workdir.losses, workdir.evolution):
                write_picture(path, 99)
            write_picture(workdir.tensorboard / "x.png")
            write_picture(workdir.checkpoints / "1000" / "x.png")
            workdir.dataset.write_text("{}")
        (root / "losses.png").unlink()
        assert len(load(root)) == 2
        assert len(load(root / "runs")) == 1
        write_picture(root / "samples" / "mine.png")
        (root / "dataset.json").unlink()  # no run any more, but a folder with a file of that name
        assert before != load(root).digest and len(load(root)) > 3


class TestTags:
    def test_pictures_and_conditions_are_matched_by_name(self, tmp_path):
        root = tmp_path / "pictures"
        write_picture(root / "images" / "2.jpg", 2)
        write_picture(root / "images" / "deeper" / "10.png", 10)
        write_picture(root / "images" / "5.png", 5)
        lines = ["10,blue hair red eyes", "2,blonde hair", "5,nothing known", "404,red hair"]
        (root / "tags.csv").write_text("\n".join(lines))
        pictures = load(root, tags=True)
        np.testing.assert_array_equal(pictures.images[:, 0, 0, 0], [2, 10])
        named = [np.array(pictures.condition_names)[row == 1].tolist() for row in pictures.conditions]
        assert named == [["blonde hair"], ["blue hair", "red eyes"]]
        assert load(root).conditions is None
        assert len(load(root)) == 3

        (root / "tags.csv").write_text("10,red hair\n2,blonde hair\n5,smile")
        changed = load(root, tags=True)
        assert changed.digest != pictures.digest
        assert changed.conditions[1].argmax() == changed.condition_names.index("red hair")

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            (None, r"a conditional model needs tags.csv there"),
            ("1,red hair\nwrong", r"tags\.csv, line 2"),
            ("7,red hair", "no line with one or two of the tags"),
            ("1,long hair", "no line with one or two of the tags"),
            ("2,red hair", "belongs to two files"),
        ],
    )
    def test_wrong_tags_are_the_users_to_mend(self, tmp_path, lines, message):
        root = tmp_path / "pictures"
        for name in ("1.png", "a/2.png", "b/2.jpg"):
            write_picture(root / name)
        if lines is not None:
            (root / "tags.csv").write_text(lines)
        with pytest.raises(UserError, match=message):
            load(root, tags=True)

    def test_pictures_without_a_line_are_counted_and_named(self, tmp_path, capsys):
        root = tmp_path / "pictures"
        for index in range(20):
            write_picture(root / f"{index:04}.png", index)
        lines = [f"{index},red hair" for index in range(19)] + ["lost,blue hair"]
        (root / "tags.csv").write_text("\n".join(lines))
        assert len(load(root, tags=True)) == 19
        said = capsys.readouterr().err
        assert "1 of 20 pictures have no line and are left out: 0019.png" in said
        assert "1 of 20 lines belong to no picture: lost" in said

    def test_more_than_a_tenth_without_a_line_is_refused(self, tmp_path):
        root = tmp_path / "pictures"
        for index in range(20):
            write_picture(root / f"{index}.png", index)
        (root / "tags.csv").write_text("\n".join(f"face{index},red hair" for index in range(18)) + "\n18,red hair")
        with pytest.raises(UserError, match=r"19 of 20 pictures have no line: .*18 lines belong to no picture: face0"):
            load(root, tags=True)


def test_the_anime_faces(tmp_path, real_data):
    root = tmp_path / "faces"
    with tarfile.open(real_data / "anime_faces.tar") as archive:
        members = [member for member in archive.getmembers() if member.name.endswith((".jpg", ".csv"))]
        wanted = members[:300] + [member for member in members[300:] if member.name.endswith(".csv")]
        for member in wanted:
            member.name = os.path.basename(member.name)
        archive.extractall(root, wanted, filter="data")
    pictures = load(root, 64, tags=True)
    assert pictures.images.shape == (300, 64, 64, 3)
    np.testing.assert_array_equal(pictures.conditions.sum(1), 2)
    names = sorted(path.name for path in root.glob("*.jpg"))
    for index in (0, 150, 299):
        with Image.open(root / names[index]) as picture:
            expected = np.asarray(picture.resize((64, 64), Image.Resampling.BICUBIC))
        np.testing.assert_array_equal(pictures.images[index], expected)
    lines = dict(line.split(",") for line in (root / "tags.csv").read_text().splitlines())
    for name, condition in zip(names, pictures.conditions, strict=True):
        words = " ".join(np.array(pictures.condition_names)[condition == 1])
        assert words == lines[name.removesuffix(".jpg")]


def test_chunks_hold_a_few_megabytes():
    assert cache.chunk_length((96, 96, 3)) == 64
    assert cache.chunk_length((1024, 1024, 3)) == 1
    assert cache.chunk_length((4096, 4096, 3)) == 1
