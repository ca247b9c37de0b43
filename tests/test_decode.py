"""Pictures of every mode and format become the same pixels."""

import struct

import numpy as np
import pytest
from PIL import Image
from test_folder import BLUE, CORNERS, GREEN, RED, WHITE, large_corners, load_one, write_png

from jaxgan.data import decode
from jaxgan.host.errors import UserError


class TestModes:
    def test_rgb(self, tmp_path):
        np.testing.assert_array_equal(load_one(tmp_path, Image.fromarray(CORNERS).save), CORNERS)

    def test_grey(self, tmp_path):
        grey = np.array([[0, 127], [128, 255]], np.uint8)
        np.testing.assert_array_equal(load_one(tmp_path, Image.fromarray(grey).save)[..., 0], grey)

    def test_black_and_white(self, tmp_path):
        bits = Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert("1")
        np.testing.assert_array_equal(load_one(tmp_path, bits.save)[..., 0], [[0, 255], [255, 0]])

    def test_palette(self, tmp_path):
        picture = Image.fromarray(np.array([[0, 1], [2, 3]], np.uint8), "L").convert("P")
        picture.putpalette([*RED, *GREEN, *BLUE, *WHITE])
        np.testing.assert_array_equal(load_one(tmp_path, picture.save), CORNERS)

    def test_palette_of_greys_is_grey(self, tmp_path):
        picture = Image.fromarray(np.array([[0, 1], [2, 3]], np.uint8), "L").convert("P")
        picture.putpalette([v for grey in (0, 50, 100, 200) for v in (grey, grey, grey)])
        np.testing.assert_array_equal(load_one(tmp_path, picture.save)[..., 0], [[0, 50], [100, 200]])

    def test_palette_with_a_transparent_colour(self, tmp_path):
        picture = Image.fromarray(np.array([[0, 1], [2, 3]], np.uint8), "L").convert("P")
        picture.putpalette([*RED, *GREEN, *BLUE, 0, 0, 0])
        pixels = load_one(tmp_path, lambda path: picture.save(path, transparency=3))
        np.testing.assert_array_equal(pixels, CORNERS)  # the transparent black is white

    def test_rgba_over_white(self, tmp_path):
        rgba = np.array([[[255, 0, 0, 255], [9, 9, 9, 0]], [[0, 0, 0, 51], [0, 255, 0, 255]]], np.uint8)
        expected = [[RED, WHITE], [(204, 204, 204), GREEN]]  # 255 * (1 - 51 / 255) = 204
        np.testing.assert_array_equal(load_one(tmp_path, Image.fromarray(rgba).save), expected)

    def test_grey_with_alpha_over_white(self, tmp_path):
        grey_alpha = np.array([[[10, 255], [10, 0]], [[0, 51], [200, 255]]], np.uint8)
        pixels = load_one(tmp_path, Image.fromarray(grey_alpha, "LA").save)
        np.testing.assert_array_equal(pixels[..., 0], [[10, 255], [204, 200]])

    def test_hidden_colours_do_not_bleed_into_the_edge(self, tmp_path):
        rgba = np.zeros((8, 8, 4), np.uint8)  # transparent black beside white
        rgba[:, :4] = 255
        assert (load_one(tmp_path, Image.fromarray(rgba).save) == 255).all()

    def test_cmyk(self, tmp_path):
        picture = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
        pixels = load_one(tmp_path, lambda path: picture.save(path, quality=95), name="picture.jpg")
        np.testing.assert_allclose(pixels.reshape(-1, 3), np.tile(RED, (4, 1)), atol=3)

    def test_16_bit_grey(self, tmp_path):
        grey = np.array([[0, 0x7F80], [0x80FF, 0xFFFF]], np.uint16)
        pixels = load_one(tmp_path, Image.fromarray(grey).save)
        np.testing.assert_array_equal(pixels[..., 0], [[0, 127], [128, 255]])

    def test_more_than_16_bits_are_the_nearest_that_16_hold(self):
        picture = Image.fromarray(np.array([[-1, 70_000]] * 2, np.int32))
        np.testing.assert_array_equal(decode.fit(picture, 2, 1)[..., 0], [[0, 255]] * 2)

    def test_16_bit_rgb(self, tmp_path):
        deep = (CORNERS.astype(int) * 257).astype(">u2")
        deep[0, 0] = [0x7FFF, 0x8000, 0x0100]
        rows = [row.tobytes() for row in deep]
        pixels = load_one(tmp_path, lambda path: write_png(path, 2, 2, 16, 2, rows))
        expected = CORNERS.copy()
        expected[0, 0] = [127, 128, 1]
        np.testing.assert_array_equal(pixels, expected)

    def test_16_bit_grey_with_alpha_is_grey(self, tmp_path):
        deep = np.array([[[0x0AFF, 0xFFFF], [0x0A00, 0]], [[0, 0x3333], [0xC800, 0xFFFF]]], ">u2")
        pixels = load_one(tmp_path, lambda path: write_png(path, 2, 2, 16, 4, [row.tobytes() for row in deep]))
        assert pixels.shape == (2, 2, 1)
        np.testing.assert_array_equal(pixels[..., 0], [[10, 255], [204, 200]])

    def test_16_bit_colours_with_a_transparent_one(self, tmp_path):
        deep = (CORNERS.astype(int) * 257).astype(">u2")
        deep[0, 1] = [0x0102, 0x0304, 0x0506]
        key = struct.pack(">HHH", 0x0102, 0x0304, 0x0506)
        rows = [row.tobytes() for row in deep]
        pixels = load_one(tmp_path, lambda path: write_png(path, 2, 2, 16, 2, rows, key))
        np.testing.assert_array_equal(pixels, [[RED, WHITE], [BLUE, WHITE]])

    def test_16_bit_greys_with_a_transparent_one(self, tmp_path):
        deep = np.array([[0x0102, 0x0103], [0x8000, 0]], ">u2")
        rows = [row.tobytes() for row in deep]
        pixels = load_one(tmp_path, lambda path: write_png(path, 2, 2, 16, 0, rows, struct.pack(">H", 0x0102)))
        np.testing.assert_array_equal(pixels[..., 0], [[255, 1], [128, 0]])

    @pytest.mark.parametrize("alpha", [0, 255])
    def test_a_bitmap_of_32_bits_without_alpha_is_opaque(self, tmp_path, alpha):
        pixels = np.dstack([CORNERS[::-1, :, ::-1], np.full((2, 2), alpha, np.uint8)])  # from the bottom, BGRA
        masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
        header = struct.pack("<IiiHHIIiiII", 108, 2, 2, 1, 32, 3, 16, 0, 0, 0, 0) + masks + b"BGRs" + bytes(48)
        data = struct.pack("<2sIHHI", b"BM", 14 + 108 + 16, 0, 0, 14 + 108) + header + pixels.tobytes()
        np.testing.assert_array_equal(load_one(tmp_path, lambda path: path.write_bytes(data), name="a.bmp"), CORNERS)

    @pytest.mark.parametrize("dtype", [np.float32, np.int32])
    def test_a_tiff_of_32_bits_a_channel_is_no_picture(self, tmp_path, dtype):
        with pytest.raises(UserError, match=r"1 of 1 pictures in \S+ cannot be read: a.tif"):
            load_one(tmp_path, Image.fromarray(np.zeros((2, 2), dtype)).save, name="a.tif")

    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("a.webp", {"lossless": True}),
            ("a.bmp", {}),
            ("a.gif", {}),
            ("a.PNG", {}),
            ("a.JPeG", {"quality": 100}),
            ("a.tif", {}),
            ("a.TIFF", {"compression": "tiff_lzw"}),
        ],
    )
    def test_formats(self, tmp_path, name, options):
        pixels = load_one(tmp_path, lambda path: large_corners().save(path, **options), image_size=32, name=name)
        np.testing.assert_allclose(pixels[8::16, 8::16].astype(int), CORNERS, atol=2)

    @pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
    def test_the_first_frame_of_an_animation(self, tmp_path, name):
        frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, GREEN, BLUE)]
        options = {"lossless": True} if name == "a.webp" else {}

        def save(path):
            frames[0].save(path, save_all=True, append_images=frames[1:], **options)

        np.testing.assert_array_equal(load_one(tmp_path, save, name=name), np.full((2, 2, 3), RED))

    @pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation(self, tmp_path, orientation, name):
        upright = CORNERS.transpose(2, 0, 1)
        stored = {
            1: upright,
            2: upright[:, :, ::-1],
            3: upright[:, ::-1, ::-1],
            4: upright[:, ::-1],
            5: upright.transpose(0, 2, 1),
            6: np.rot90(upright, 1, (1, 2)),
            7: upright[:, ::-1, ::-1].transpose(0, 2, 1),
            8: np.rot90(upright, -1, (1, 2)),
        }[orientation].transpose(1, 2, 0)
        picture = Image.fromarray(np.ascontiguousarray(stored).repeat(16, 0).repeat(16, 1))
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = {"exif": exif} | ({"lossless": True} if name == "a.webp" else {})
        pixels = load_one(tmp_path, lambda path: picture.save(path, **options), image_size=32, name=name)
        np.testing.assert_allclose(pixels[8::16, 8::16].astype(int), CORNERS, atol=3)

    def test_damaged_exif_is_passed_over(self, tmp_path):
        def save(path):
            Image.fromarray(CORNERS).save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 20)

        np.testing.assert_array_equal(load_one(tmp_path, save), CORNERS)
