"""Both levels of looking at files, the journal, counts, and what may be left out."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.inspection import (
    Funnel,
    check_counts,
    describe_bad_files,
    inspect_files,
    look_fully,
    read_bad_files,
    split_missing,
)
from medbench.core.errors import UserError
from tests.datamodules.handmade import dicom, nifti
from tests.datamodules.test_pictures import RIGHT_HANDED, bad_files

NOISE = np.random.default_rng(0).integers(0, 255, (40, 40), np.uint8)


def good_files(folder: Path) -> list[Path]:
    for name in ("a.png", "b.jpg", "c.JPEG"):
        Image.fromarray(NOISE).save(folder / name)
    (folder / "d.jpg").write_bytes((folder / "b.jpg").read_bytes() + b"\0" * 500)
    (folder / "e.dcm").write_bytes(dicom(NOISE))
    np.savez(folder / "f.npz", NOISE)
    volume = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    nifti(folder / "g.nii.gz", volume, np.array(RIGHT_HANDED))
    nifti(folder / "h.nii", volume, np.array(RIGHT_HANDED))
    return sorted(folder.iterdir())


def test_good_files_pass_both_levels(tmp_path: Path) -> None:
    paths = good_files(tmp_path)
    assert len(paths) == 8
    for level in ("fast", "full"):
        found = inspect_files(paths, level, quiet=True)  # type: ignore[arg-type]
        assert (found.looked, found.bad) == (8, {}) and found.sentences(tmp_path) == []


def test_bad_files_are_named_with_what_to_do(tmp_path: Path) -> None:
    paths = list(bad_files(tmp_path))
    full = inspect_files(paths, "full", quiet=True)
    assert set(full.bad) == set(paths)
    fast = inspect_files(paths, "fast", quiet=True)
    unseen = {"cut.dcm", "note.txt"}  # their ends are as they should be
    assert {path.name for path in fast.bad} == {path.name for path in paths} - unseen
    assert fast.bad[tmp_path / "cut.jpg"].endswith(
        "is cut off: its end is missing. Fetch it again."
    )
    first = fast.sentences(tmp_path)[0]
    assert first.startswith(f"{len(fast.bad)} of {len(paths)} files under {tmp_path} are bad")
    assert "data.bad_files=FILE" in first


def test_a_page_in_place_of_an_image_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(b"<!DOCTYPE html><title>Sign in</title>")
    assert "it is a web page" in inspect_files([path], quiet=True).bad[path]
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert "Git LFS" in inspect_files([path], quiet=True).bad[path]
    Image.fromarray(NOISE).save(path, format="PNG")
    assert "it starts as PNG" in inspect_files([path], quiet=True).bad[path]
    path.write_bytes(b"")
    assert "is empty" in inspect_files([path], quiet=True).bad[path]


def test_an_all_black_image_is_bad_when_looked_at_fully(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(NOISE * 0).save(path)
    assert (
        look_fully(path) == f"{path} is all black (every pixel is 0). Replace it, or leave it out."
    )
    Image.fromarray(NOISE * 0 + 9).save(path)
    assert "is one grey value (every pixel is 9)" in str(look_fully(path))


def test_a_full_look_goes_on_where_it_stopped(tmp_path: Path) -> None:
    folder, work, seen = tmp_path / "data", tmp_path / "work", []
    folder.mkdir()
    paths = good_files(folder)

    def look(path: Path) -> str | None:
        if len(seen) == 5:
            raise KeyboardInterrupt
        seen.append(path)
        return f"{path} is bad" if path == paths[1] else None

    with pytest.raises(KeyboardInterrupt):
        inspect_files(paths, "full", work=work, look=look, workers=1, quiet=True)
    [journal] = work.iterdir()
    with journal.open("a") as file:
        file.write('["cut off by a ki')
    seen.clear()
    found = inspect_files(paths, "full", work=work, look=look, workers=1, quiet=True)
    assert seen == [paths[1], *paths[5:]] and list(found.bad) == [paths[1]]
    Image.fromarray(NOISE[::-1]).save(paths[0])  # a file that changed is looked at again
    seen.clear()
    inspect_files(paths, "full", work=work, look=look, workers=1, quiet=True)
    assert seen == paths[:2]


def test_many_files_are_decoded_by_several_processes(tmp_path: Path) -> None:
    paths = []
    for index in range(70):
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(NOISE).save(paths[-1])
    paths[3].write_bytes(b"no image")
    found = inspect_files(paths, "full", workers=2, quiet=True)
    assert list(found.bad) == [paths[3]] and found.looked == 70


# counts, funnels, lists ---------------------------------------------------------------
def test_counts_are_those_of_the_release_or_announced_as_fewer() -> None:
    release = {"images": 10, "subjects": 4}
    assert check_counts({"images": 10, "subjects": 4}, release, "full") == []
    assert check_counts({"images": 3, "subjects": 2}, release, "full")[0] == (
        "images: 3 where the release has 10. A partial or resized copy is read with "
        "data.expect=subset."
    )
    assert check_counts({"images": 3, "subjects": 2}, release, "subset") == []
    assert check_counts({"images": 11, "subjects": 2}, release, "subset") == [
        "images: 11 where the release has 10."
    ]
    assert check_counts({}, release, "full", phantom=True) == []


def test_missing_files_are_counted_or_announced(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "1.png", tmp_path / "b" / "2.png"]
    paths[0].parent.mkdir()
    paths[0].write_bytes(b"")
    missing, [text] = split_missing(paths, tmp_path, "full")
    assert missing == {paths[1]} and text.startswith("1 of 2 files are missing")
    assert "b/2.png" in text and "data.expect=subset" in text
    assert split_missing(paths, tmp_path, "subset") == ({paths[1]}, [])


def test_a_funnel_says_what_each_filter_took() -> None:
    funnel = Funnel(100, "images")
    funnel.keep("views PA and AP", 70)
    funnel.keep("impressions of at most 74 tokens", 60)
    assert funnel.lines() == [
        "100 images in the tables",
        "70 after views PA and AP (-30)",
        "60 after impressions of at most 74 tokens (-10)",
    ]


def test_bad_files_are_left_out_by_a_list_that_is_checked_and_said(tmp_path: Path) -> None:
    listed = tmp_path / "bad.txt"
    listed.write_text("# found by the doctor\na.png\n\nsub/b.png\n")
    names = read_bad_files(str(listed), {"a.png", "sub/b.png", "c.png"})
    assert names == {"a.png", "sub/b.png"} and read_bad_files(None, set()) == set()
    assert describe_bad_files(names) == ["2 files are left out by data.bad_files: a.png, sub/b.png"]
    assert describe_bad_files(set()) == []
    with pytest.raises(UserError, match="names 'sub/b.png' \\(entry 2\\), which is no file"):
        read_bad_files(str(listed), {"a.png"})
    with pytest.raises(UserError, match="bad_files=.*nowhere.* cannot be read"):
        read_bad_files(str(tmp_path / "nowhere"), set())
