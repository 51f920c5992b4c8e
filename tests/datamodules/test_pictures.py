"""Every kind of file in its own range, and every bad one in one sentence."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.base import check_root, read_marker, within
from datamodules.nifti import from_code, read_nifti, to_las
from datamodules.pictures import check_window, decode, kind_of, to_unit
from medbench.core.errors import UserError
from tests.datamodules.handmade import dicom, nifti

RAMP = np.arange(12, dtype=np.uint16).reshape(3, 4) * 300
RIGHT_HANDED = [[2, 0, 0, 0], [0, 3, 0, 0], [0, 0, 4, 0]]


def test_sixteen_bits_are_never_read_as_eight(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(RAMP).save(path)
    pixels, info = decode(path)
    assert np.array_equal(pixels[0], RAMP) and (info.bottom, info.top) == (0, 65535)
    Image.fromarray((RAMP // 16).astype(np.uint8)).save(path)
    pixels, info = decode(path)
    assert np.array_equal(pixels[0], RAMP // 16) and info.top == 255
    assert to_unit(pixels, info, None, path).max() < 1


def test_an_inverted_dicom_is_turned_once(tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(dicom(RAMP, stored=12, spacing="0.14\\0.15"))
    plain, info = decode(path)
    assert np.array_equal(plain[0], RAMP) and (info.bottom, info.top) == (0, 4095)
    assert np.allclose(info.spacing_mm, [0.14, 0.15]) and not info.inverted  # type: ignore[arg-type]
    path.write_bytes(dicom(RAMP, "MONOCHROME1", stored=12))
    turned, info = decode(path)
    assert np.array_equal(turned[0], 4095 - RAMP.astype(int)) and info.inverted
    assert np.allclose(to_unit(turned, info, None, path), -to_unit(plain, info, None, path))


def test_a_ct_slice_has_a_unit_and_needs_a_window(tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(dicom(RAMP, modality="CT", rescale=(1, -1024)))
    pixels, info = decode(path)
    assert pixels[0, 0, 0] == -1024 and pixels[0, 2, 3] == 2276 and info.top is None
    with pytest.raises(UserError, match=r"from -1024 to 2276.*Set data\.window=\[LOW,HIGH\]"):
        to_unit(pixels, info, None, path)
    unit = to_unit(pixels, info, (-1024, 600), path)
    assert unit.min() == -1 and unit.max() == 1 and unit[0, 0, 1] == pytest.approx(-1 + 600 / 1624)
    assert check_window([600, -1024]) == [
        "window=[600, -1024] must be two numbers, the lower first, as [-1024,600]."
    ]


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_volume_comes_with_its_axes_and_rescaled(tmp_path: Path, suffix: str) -> None:
    volume = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    path = nifti(tmp_path / f"x{suffix}", volume, np.array(RIGHT_HANDED), 2, -1000)
    pixels, info = decode(path)
    assert kind_of(path) == "nifti" and info.axes == "LAS" and info.top is None
    assert np.array_equal(pixels[0], volume[:, :, ::-1] * 2.0 - 1000)  # i ran to the right
    assert info.spacing_mm is not None and info.spacing_mm.tolist() == [4, 3, 2]


def test_axes_are_permuted_as_the_affine_says() -> None:
    volume = np.random.default_rng(0).integers(0, 99, (2, 3, 4))
    affine = from_code("IPL", np.array([5.0, 6.0, 7.0]))  # i down, j back, k left
    turned, spacing = to_las(volume, affine)
    # (k, j, i) = (left, back, down) to (up, front, left)
    assert np.array_equal(turned, volume.transpose(2, 1, 0)[::-1, ::-1])
    assert spacing.tolist() == [5, 6, 7]
    with pytest.raises(UserError, match="axes='LAX' is no orientation"):
        from_code("LAX", np.ones(3))


def test_another_reader_sees_the_same_volume(tmp_path: Path) -> None:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    image.SetSpacing((0.5, 1.5, 2.5))
    image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    path = tmp_path / "x.nii.gz"
    sitk.WriteImage(image, str(path))
    stored, header = read_nifti(path)
    assert np.array_equal(stored, sitk.GetArrayFromImage(image)) and header.affine is not None
    lps = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()  # type: ignore[operator]
    assert np.allclose(header.affine[:3, :3], np.diag([1, -1, 1]) @ lps, atol=1e-5)
    las = sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LAS"))
    assert np.array_equal(decode(path)[0][0], las)


def test_arrays_are_read_under_a_known_name(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, ct=np.zeros((4, 5, 6), np.int16), other=np.zeros(3))
    assert decode(path)[0].shape == (1, 4, 5, 6) and decode(path)[1].top is None
    np.savez(path, np.full((3, 5, 6), 7, np.uint8))
    assert decode(path)[0].shape == (3, 5, 6) and decode(path)[1].top == 255
    np.savez(path, a=np.zeros(2), b=np.zeros(2))
    with pytest.raises(UserError, match="it has the arrays a, b; call one of them image"):
        decode(path)
    np.savez(path, np.array([[np.nan, 1.0]]))
    with pytest.raises(UserError, match="no finite numbers"):
        decode(path)


def bad_files(folder: Path) -> dict[Path, str]:
    """A file of each kind of damage, with what is said of it."""
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(
        folder / "cut.jpg"
    )
    volume = np.zeros((2, 3, 4), np.int16)
    sheared = [[1, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:-200])
    (folder / "note.txt").write_bytes(b"a note")
    (folder / "cut.dcm").write_bytes(dicom(RAMP)[:-10])
    whole = nifti(folder / "whole.nii", volume, np.array(RIGHT_HANDED)).read_bytes()
    (folder / "cut.nii").write_bytes(whole[:-5])
    (folder / "cut.nii.gz").write_bytes(gzip.compress(whole)[:-9])
    (folder / "odd.npz").write_bytes(b"PK\3\4 and no more")
    (folder / "odd.nii").write_bytes(b"n+1" * 200)
    return {
        folder / "cut.jpg": "cannot be read .*truncated",
        folder / "cut.dcm": "cannot be read .*Replace it",
        folder / "cut.nii": "it is cut short: 395 of 400 bytes",
        folder / "cut.nii.gz": "cannot be read",
        folder / "odd.npz": "cannot be read",
        folder / "odd.nii": "does not start as a NIfTI-1 file does",
        nifti(folder / "sheared.nii", volume, np.array(sheared)): "sheared affine .* Resample it",
        nifti(folder / "none.nii", volume, None): "has no affine",
        folder / "gone.png": "is missing",
        folder / "note.txt": "is not read; files end with .png",
    }


def test_every_bad_file_has_its_sentence(tmp_path: Path) -> None:
    for path, message in bad_files(tmp_path).items():
        with pytest.raises(UserError, match=message) as caught:
            decode(path)
        assert str(path) in str(caught.value)


# roots and paths -------------------------------------------------------------------
def test_a_root_that_is_no_folder_is_explained(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "data.zip").write_bytes(b"PK")
    (tmp_path / "file").write_bytes(b"")
    assert check_root(tmp_path, "tree") == [] and read_marker(tmp_path) is None
    assert "does not exist" in check_root(tmp_path / "no", "tree")[0]
    assert "is an archive. Unpack it" in check_root(tmp_path / "data.zip", "tree")[0]
    assert check_root(tmp_path / "file", "tree")[0].endswith("holds:\ntree")
    monkeypatch.setattr("os.access", lambda *_: False)  # the tests may run as root, who may all
    assert "may not be read by you" in check_root(tmp_path, "tree")[0]


def test_a_manifest_cannot_reach_outside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "x.png").write_bytes(b"")
    (tmp_path / "secret.png").write_bytes(b"")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "inner.png").symlink_to(root / "sub" / "x.png")
    (root / "folder").symlink_to(tmp_path)
    assert within(root, "sub/x.png", "t, row 2") == root / "sub/x.png"
    assert within(root, "inner.png", "t, row 2").name == "inner.png"
    for name in ("../secret.png", "/etc/passwd", "sub\\x.png", "", "sub/../../secret.png"):
        with pytest.raises(UserError, match="t, row 2: .* leads outside the folder"):
            within(root, name, "t, row 2")
    for name in ("link.png", "folder/secret.png"):
        with pytest.raises(UserError, match="is a link to .*secret.png, outside the folder"):
            within(root, name, "t, row 2")
