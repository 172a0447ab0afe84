"""From bytes to upright pixels: Pillow is the oracle, and what it reads is read bit for bit."""

from __future__ import annotations

import csv
import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngImageFile

import mixwell as mw
from mixwell.decode import DENOMS, decode, default_max_pixels, read_header
from mixwell.decode.jpeg import jpeg_header
from tests.data import shared_data

SCENE = np.random.default_rng(5).integers(0, 256, (7, 5, 3), np.uint8)
SIZES = [(1, 1), (8, 8), (17, 11), (33, 64), (100, 75)]
"""Heights and widths."""


def photo(hw=(61, 45), mode: str = "RGB") -> Image.Image:
    """A smooth picture with an arrow in it, so that no turn or flip looks like another."""
    image = Image.fromarray(SCENE).resize(hw[::-1], Image.Resampling.BICUBIC)
    image.paste((255, 0, 0), (0, 0, max(1, hw[1] // 3), max(1, hw[0] // 5)))
    return image.convert(mode)


def stored(image: Image.Image, kind: str = "JPEG", orientation: int | None = None, **more) -> bytes:
    out = io.BytesIO()
    if orientation is not None:
        exif = Image.Exif()
        exif[0x010F] = "a camera"
        exif[0x0112] = orientation
        more["exif"] = exif
    image.save(out, kind, **more)
    return out.getvalue()


def pillow(data: bytes, mode: str = "RGB") -> np.ndarray:
    """What Pillow makes of a file, upright."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        found = np.asarray(image.convert(mode))
    return found[..., None] if found.ndim == 2 else found


# JPEG


@pytest.mark.parametrize("hw", SIZES)
@pytest.mark.parametrize("subsampling", [0, 1, 2], ids=["444", "422", "420"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_is_pillows_to_the_bit(hw, subsampling, progressive):
    data = stored(photo(hw), subsampling=subsampling, progressive=progressive, quality=80)
    assert jpeg_header(data) is not None, "the fast way was not taken"
    for mode in ("RGB", "L", "RGBA"):
        np.testing.assert_array_equal(decode(data, "a", mode=mode), pillow(data, mode))


@pytest.mark.parametrize("kind", ["L", "CMYK"])
def test_grey_and_cmyk_jpeg(kind):
    data = stored(photo(mode=kind))
    header = read_header(data, "a")
    assert (header.mode, header.scalable) == (kind, kind == "L")
    for mode in ("RGB", "L", "RGBA"):
        np.testing.assert_array_equal(decode(data, "a", mode=mode), pillow(data, mode))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_images_are_turned_upright(kind, orientation):
    options = {"lossless": True} if kind == "WEBP" else {}
    data = stored(photo(), kind, orientation, **options)
    header, wanted = read_header(data, "a"), pillow(data)
    assert (header.height, header.width) == wanted.shape[:2]
    if kind != "TIFF":  # Pillow turns these by itself
        assert header.orientation == orientation and header.raw_size == (45, 61)
    np.testing.assert_array_equal(decode(data, "a", header=header), wanted)


def test_orientation_in_xmp_and_out_of_range():
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    data = stored(photo(), xmp=xmp)
    assert read_header(data, "a").orientation == 6
    np.testing.assert_array_equal(decode(data, "a"), pillow(data))
    assert read_header(stored(photo(), orientation=9), "a").orientation == 1


@pytest.mark.parametrize("hw", [*SIZES, (9, 16), (15, 7), (375, 500)])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_scaled_sizes_round_up(hw, orientation):
    data = stored(photo(hw), orientation=orientation)
    whole = decode(data, "a")
    for denom in DENOMS:
        small = decode(data, "a", scale_denom=denom)
        assert small.shape == (*(-(-side // denom) for side in whole.shape[:2]), 3)


def test_scaled_pixels_are_means_of_blocks():
    """A ramp across the image stays where it was; JPEG's own error is a few levels."""
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 48, 0).repeat(3, 2)
    for orientation in (1, 3, 6, 8):
        data = stored(Image.fromarray(ramp), orientation=orientation, quality=95)
        whole = decode(data, "a").astype(float)
        for denom in DENOMS:
            h, w = whole.shape[0] // denom, whole.shape[1] // denom
            mean = whole.reshape(h, denom, w, denom, 3).mean(axis=(1, 3))
            assert np.abs(decode(data, "a", scale_denom=denom) - mean).max() <= 4


def test_scales_that_cannot_be():
    png = stored(photo(), "PNG")
    for data, denom in ((png, 2), (stored(photo()), 3), (stored(photo(mode="CMYK")), 2)):
        with pytest.raises(mw.DataError, match=r"a\.x: scale_denom must be .* Decode it whole"):
            decode(data, "a.x", scale_denom=denom)
    with pytest.raises(mw.DataError, match="mode must be one of"):
        decode(png, "a.x", mode="HSV")  # type: ignore[arg-type]


# Other formats and modes


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("wanted", ["RGB", "L", "RGBA"])
def test_modes_of_png(mode, wanted):
    image = photo()
    if mode == "I;16":
        levels = np.arange(61 * 45, dtype=np.uint16).reshape(61, 45) * 23
        image = Image.fromarray(levels)
        by_hand = np.round(levels / 257).astype(np.uint8)
        oracle = np.asarray(Image.fromarray(by_hand).convert(wanted))
    else:
        image = image.convert(mode)
        oracle = np.asarray(image.convert(wanted))
    found = decode(stored(image, "PNG"), "a", mode=wanted)
    assert found.dtype == np.uint8 and found.ndim == 3
    np.testing.assert_array_equal(found.squeeze(), oracle)


def test_sixteen_bits_keep_their_whole_range():
    """Pillow's own conversion clips: everything above 255 becomes white."""
    levels = np.array([[0, 256, 32768, 65535]], np.uint16)
    found = decode(stored(Image.fromarray(levels), "PNG"), "a", mode="L")
    assert found[0, :, 0].tolist() == [0, 1, 128, 255]


def test_alpha_is_dropped_or_kept():
    image = photo(mode="RGBA")
    image.putalpha(Image.fromarray(np.arange(61 * 45).reshape(61, 45).astype(np.uint8)))
    data = stored(image, "PNG")
    np.testing.assert_array_equal(decode(data, "a"), np.asarray(image)[..., :3])
    np.testing.assert_array_equal(decode(data, "a", mode="RGBA"), np.asarray(image))


def test_levels_without_a_range_are_refused():
    data = stored(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF")
    with pytest.raises(mw.DataError, match=r"a\.tif: .* no fixed range .* Convert"):
        decode(data, "a.tif")


def test_a_png_header_is_read_without_its_pixels(monkeypatch):
    """Pillow's getexif decodes a whole PNG in search of late EXIF data; a header must not."""
    data = stored(photo(), "PNG")

    def refused(self: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(PngImageFile, "load", refused)
    assert (read_header(data, "a").width, read_header(data, "a").height) == (45, 61)
    with pytest.raises(AssertionError, match="decoded"):
        decode(data, "a")


def test_late_exif_in_a_png_is_found():
    data = stored(photo(), "PNG", 6)
    at = data.index(b"eXIf") - 4
    length = 12 + struct.unpack(">I", data[at : at + 4])[0]
    chunk, rest = data[at : at + length], data[:at] + data[at + length :]
    end = rest.index(b"IEND") - 4
    late = rest[:end] + chunk + rest[end:]
    assert read_header(late, "a").orientation == 6
    np.testing.assert_array_equal(decode(late, "a"), pillow(data))


# Damage


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_truncated_files_raise(kind, kept):
    data = stored(photo((200, 150)), kind)
    for denom in (1, 2) if kind == "JPEG" else (1,):
        with pytest.raises(mw.DataError, match=r"dir/a\.img: the file must hold a whole image"):
            decode(data[: int(len(data) * kept)], "dir/a.img", scale_denom=denom)


def test_a_jpeg_without_its_last_bytes_raises():
    data = stored(photo())
    for cut in (1, 2, 30):
        with pytest.raises(mw.DataError, match=r"(P|p)remature end"):
            decode(data[:-cut], "a")
    np.testing.assert_array_equal(decode(data + b"trailing", "a"), decode(data, "a"))


def test_damage_in_the_middle_of_a_jpeg():
    """libjpeg would fill the rest with grey and warn; a lost end of the data is an error here."""
    data = stored(photo((200, 150)))
    half = len(data) // 2
    with pytest.raises(mw.DataError, match="premature end of data segment"):
        decode(data[:half] + b"\xff\xd9" + data[half:], "a")


def test_stray_bytes_are_read_past_as_pillow_does():
    data = stored(photo((64, 48)))
    stray = data[:-2] + b"stray bytes" + data[-2:]
    np.testing.assert_array_equal(decode(stray, "a"), pillow(stray))
    assert decode(stray, "a", scale_denom=2).shape == (32, 24, 3)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"GIF89a", b"no image at all" * 100])
def test_what_is_no_image(data):
    with pytest.raises(mw.DataError, match=r"x\.jpg: .*(an empty file|no image that Pillow)"):
        read_header(data, "x.jpg")


# Bombs


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims a size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_bombs_are_refused_by_their_header():
    with pytest.raises(mw.DataError, match="nothing was decoded"):
        read_header(png_claiming(60000, 60000), "bomb.png")
    data = bytearray(stored(photo()))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 65000, 65000)
    for limit in ({}, {"max_pixels": 10**6}):
        with pytest.raises(mw.DataError, match=r"65000x65000 = 4225000000.* nothing was decoded"):
            read_header(bytes(data), "bomb.jpg", **limit)
    assert default_max_pixels() == 2 * Image.MAX_IMAGE_PIXELS


def test_a_limit_of_ones_own():
    data = stored(photo((10, 10)), "PNG")
    assert read_header(data, "a", max_pixels=100).width == 10
    with pytest.raises(mw.DataError, match="images may have 99 pixels"):
        read_header(data, "a", max_pixels=99)


# Real files


DIFFERENT = {"pillow/16_bit_noise.tif", "torchcodec/grayscale_16bit.png"}
"""16-bit grey: scaled here, clipped by Pillow."""


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_odd_images_are_read_rightly_or_reported():
    root = shared_data("odd_images", "that odd files are read as Pillow reads them")
    read = refused = 0
    for row in csv.DictReader((root / "manifest.csv").read_text().splitlines()):
        data = (root / row["file"]).read_bytes()
        try:
            wanted = pillow(data)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            with pytest.raises(mw.DataError, match=row["file"]):
                decode(data, row["file"])
            refused += 1
            continue
        header = read_header(data, row["file"])
        found = decode(data, row["file"], header=header)
        assert found.shape == (header.height, header.width, 3), row["file"]
        if row["file"] not in DIFFERENT:
            np.testing.assert_array_equal(found, wanted, err_msg=row["file"])
        read += 1
    assert read >= 40 and refused >= 5


def test_photos_are_pillows_to_the_bit():
    root = shared_data("imagenet_sample", "that photographs decode as Pillow decodes them")
    for path in sorted((root / "images").rglob("*.*"))[:60]:
        data = path.read_bytes()
        assert jpeg_header(data) is not None
        np.testing.assert_array_equal(decode(data, path.name), pillow(data), err_msg=path.name)
