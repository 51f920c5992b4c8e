"""Bad input of `evaluate`: each a sentence, and nothing lost."""

import base64
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medbench.cli import finish
from medbench.core.sample_set import write_image
from medbench.evaluate import main as command
from medbench.report.evaluation import as_uri

OUTSIDE = str(Path(__file__).parents[1] / "outside")


def squares(folder: Path, n: int = 24, shift: int = 0) -> Path:
    """Grey squares with one bright column, no two alike."""
    for index in range(n):
        image = np.full((1, 8, 8), -0.5 + index / 255, np.float32)
        image[:, :, (index + shift) % 8] = 0.5
        write_image(folder / f"{index}.png", image, 8)
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder whose extractor is fitted, and where a real set was measured once."""
    root = tmp_path_factory.mktemp("input")
    real, fake = squares(root / "real"), squares(root / "fake", shift=3)
    assert evaluate(root, fake=fake, real=real) == 0
    return root


def evaluate(root: Path, *flags: str, **settings: object) -> int:
    given = {"protocol": "dots_quick", "out": root / "out"} | settings
    words = [f"{key}={value}" for key, value in given.items()]
    return finish(command, [*words, "--config-dir", OUTSIDE, "--quiet", *flags])


def said(capsys: pytest.CaptureFixture[str], root: Path, **settings: object) -> str:
    """What a command that stops for a user's mistake says."""
    capsys.readouterr()
    assert evaluate(root, **({"real": root / "real", "fake": root / "fake"} | settings)) == 2
    return capsys.readouterr().err


def test_an_empty_folder(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    text = said(capsys, out, fake=tmp_path)
    assert f"{tmp_path} holds no images; .png" in text


def test_images_of_another_modality(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    squares(tmp_path / "mixed")
    volume = np.zeros((4, 8, 8), np.uint8)
    np.savez(tmp_path / "mixed" / "volume.npz", image=volume)
    text = said(capsys, out, fake=tmp_path / "mixed")
    assert "volume.npz has the shape (1, 4, 8, 8)" in text and "another modality?" in text


def test_captions_of_other_files(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["file,text", *(f"{index}.png,a dot" for index in range(23)), "24.png,a dot"]
    (tmp_path / "captions.csv").write_text("\n".join(lines))
    text = said(capsys, out, captions=tmp_path / "captions.csv")
    assert "does not match the images: 1 images without a line, 1 lines without an image" in text
    (tmp_path / "captions.csv").write_text("\n".join(["name,text", "0.png,a dot"]))
    assert "no column for the file name; call it file" in said(
        capsys, out, captions=tmp_path / "captions.csv"
    )


@pytest.fixture
def judged(out: Path, tmp_path: Path) -> dict[str, Path]:
    """A protocol of two columns, and captions of 24 generated and real images that agree."""
    lines = ["metrics:", "  - {metric: fid}", "  - metric: auroc", "    by: [sex, age_band]"]
    lines.append("    settings: {findings: [column=0, column=1]}")
    whole = (Path(OUTSIDE) / "protocols/dots_quick.yaml").read_text()
    protocol = tmp_path / "judged.yaml"
    protocol.write_text("\n".join([whole.partition("metrics:")[0], *lines]))
    rows = [f"{i}.png,{int((i + 3) % 8 == 0)},{int((i + 3) % 8 == 1)}" for i in range(24)]
    fake, real = tmp_path / "fake.csv", tmp_path / "real.csv"
    about = [f"{row},{'FM'[i // 12]},{20 + i}" for i, row in enumerate(rows)]
    fake.write_text("\n".join(["file,column=0,column=1,Sex,Age", *about]))
    real.write_text("\n".join(["file,column=0,column=1", *rows]))
    return {"protocol": protocol, "captions": fake, "real_captions": real}


def test_scores_go_by_group_and_pairs_must_agree(
    out: Path, judged: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"fake": out / "fake", "real": out / "real"} | judged
    capsys.readouterr()
    assert evaluate(out, "--json", **given) == 0
    printed = capsys.readouterr()
    values = {value["name"]: value for value in json.loads(printed.out)["values"]}
    for name, n in {"sex=F": 12, "sex=M": 12, "age_band=18-39": 20}.items():
        assert values[f"auroc [{name}]"]["n"] == n
    few = values["auroc [age_band=40-59]"]
    assert few["n"] == 4 and few["value"] is None and "fewer than 8" in few["note"]
    assert values["auroc"]["ceiling"] is not None
    assert "auroc: each generated image is compared with the real one of the same name" in (
        printed.err
    )
    text = judged["real_captions"].read_text()
    judged["real_captions"].write_text(text.replace("0.png,0,0", "0.png,1,0", 1))
    assert evaluate(out, "--json", **given) == 0
    printed = capsys.readouterr()
    assert "share their names but not their labels, such as 0.png" in printed.err
    assert all(value["ceiling"] is None for value in json.loads(printed.out)["values"])


def test_findings_without_a_column_are_named(
    out: Path, judged: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"fake": out / "fake", "real": out / "real"} | judged
    text = judged["captions"].read_text()
    judged["captions"].write_text(text.replace("column=1", "colum1", 1))
    capsys.readouterr()
    assert evaluate(out, "--json", **given) == 0
    printed = capsys.readouterr()
    assert "auroc is of 1 findings: the table has no column column=1; did you mean colum1?" in (
        printed.err
    )
    names = [value["name"] for value in json.loads(printed.out)["values"]]
    assert "auroc/column=0" in names and "auroc/column=1" not in names


def test_what_may_not_be_read_is_named(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the tests run as root, no mode of a file binds: the system's answers are replaced."""
    opened = Path.open

    def refuse(path: Path, *given: Any, **more: Any) -> Any:
        if path == out / "fake" / "7.png":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *given, **more)

    monkeypatch.setattr(Path, "open", refuse)
    assert f"{out / 'fake' / '7.png'} is closed to you (Permission denied)" in said(capsys, out)


def test_the_front_of_a_volume_is_drawn_above() -> None:
    volume = np.full((1, 3, 4, 4), -1, np.float32)
    volume[:, :, -1] = 1  # the last row of H is the front
    picture = Image.open(io.BytesIO(base64.b64decode(as_uri(volume).partition(",")[2])))
    assert np.asarray(picture)[:, 0].tolist() == [255, 0, 0, 0]


def test_too_few_images(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, out, fake=squares(tmp_path / "few", 1))
    assert "can measure nothing of these folders" in text
    assert "fid is left out: it needs at least 2 generated images; there are 1" in text


def test_pixels_that_are_no_numbers(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(out / "fake", tmp_path / "nan")
    picture = np.full((1, 8, 8), 0.5, np.float32)
    picture[0, 3, 3] = np.nan
    np.savez(tmp_path / "nan" / "sick.npz", image=picture)
    text = said(capsys, out, fake=tmp_path / "nan", window="0,1")
    assert "sick.npz holds values that are no finite numbers" in text


def test_values_without_a_range(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "floats").mkdir()
    for index in range(24):
        picture = np.full((1, 8, 8), 0.02 * index, np.float32)
        picture[0, 0, index % 8] = 1
        np.savez(tmp_path / "floats" / f"{index}.npz", image=picture)
    text = said(capsys, out, fake=tmp_path / "floats")
    assert "holds values from 0 to 1" in text and "window=LOW,HIGH" in text
    assert "window=1,0 must be two numbers" in said(capsys, out, window="1,0")
    real = out / "real"
    capsys.readouterr()
    both = {"fake": tmp_path / "floats", "real": tmp_path / "floats", "window": "0,1"}
    assert evaluate(out, **both) == 0 and real.is_dir()


def test_sixteen_bits_are_read_as_such_and_dark_ones_are_told(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole range of 16 bits measures as 8 bits do; 12-bit values in 16 bits are warned of."""
    for name, factor in (("deep", 257), ("dark", 16)):
        (tmp_path / name).mkdir()
        for path in (out / "fake").glob("*.png"):
            grey = np.asarray(Image.open(path)).astype(np.uint16) * factor
            Image.fromarray(grey).save(tmp_path / name / path.name)
    values = []
    for fake in (out / "fake", tmp_path / "deep"):
        capsys.readouterr()
        assert evaluate(out, "--json", fake=fake, real=out / "real") == 0
        printed = capsys.readouterr()
        values.append([value["value"] for value in json.loads(printed.out)["values"]])
        assert "perhaps 12-bit" not in printed.err
    assert values[0] == pytest.approx(values[1], rel=1e-4, abs=1e-6)
    assert evaluate(out, "--json", fake=tmp_path / "dark", real=out / "real") == 0
    told = json.loads(capsys.readouterr().out)["provenance"]["warnings"]
    assert any("perhaps 12-bit values in 16-bit files" in line for line in told)


def test_copies_are_told(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert evaluate(out, fake=out / "real", real=out / "real") == 0
    text = capsys.readouterr().err
    assert "24 of 24 generated images are real ones, byte for byte" in text
    squares(tmp_path / "twice", 23)
    shutil.copy(tmp_path / "twice" / "0.png", tmp_path / "twice" / "again.png")
    assert evaluate(out, fake=tmp_path / "twice", real=out / "real") == 0
    assert "Only 23 of the 24 generated images differ" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["damaged", "old"])
def test_cached_features_that_cannot_be_used_are_made_again(
    out: Path, kind: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"fake": out / "fake", "real": out / "real"}
    capsys.readouterr()
    assert evaluate(out, "--json", **given) == 0
    first = json.loads(capsys.readouterr().out)["values"]
    for path in (out / "out" / "features").glob("*.json" if kind == "old" else "*.npy"):
        content = path.read_bytes()
        path.write_bytes(
            content.replace(b'"version": 2', b'"version": 1') if kind == "old" else content[:-3]
        )
    caplog.clear()
    assert evaluate(out, "--json", **given) == 0
    assert json.loads(capsys.readouterr().out)["values"] == first
    assert "they are made again" in caplog.text
