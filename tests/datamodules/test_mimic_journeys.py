"""BiomedJourney's pairs, through the writer of MIMIC-CXR-JPG and the files."""

import csv
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.mimic_journey_samples import CONSTANT
from datamodules.mimic_journeys import MimicJourneys
from datamodules.mimic_pairs import in_time
from datamodules.phantom.writing import write_layout
from datamodules.preparing import prepare
from medbench.core.errors import UserError

SIZE = 48


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("journeys") / "root"
    return write_layout("mimic_cxr_jpg", dest, 64, size=SIZE)


def data(root: Path, **settings: Any) -> MimicJourneys:
    given: dict[str, Any] = {"image_size": SIZE, "registration": "none"}
    return MimicJourneys(str(root), **(given | settings))


def samples(module: MimicJourneys, *splits: str) -> dict[str, dict[str, Any]]:
    found = {}
    for name in splits or module.splits:
        journeys = module._journeys(name)
        found |= {journeys[i]["sample_id"]: journeys[i] for i in range(len(journeys))}
    return found


def test_pairs_go_forward_in_time_and_not_by_id(root: Path) -> None:
    module = data(root, min_findings=0)
    pairs = module.candidates
    assert len(pairs) > 5
    assert all(pairs.days(row) > 0 for row in range(len(pairs)))
    ids = pairs.images.study.astype(int)
    assert (ids[pairs.later] < ids[pairs.prior]).any()  # an order by id would turn these over
    assert (pairs.images.subject[pairs.prior] == pairs.images.subject[pairs.later]).all()
    assert any("1 at one time dropped" in line for line in module.funnel())


def test_time_of_day_orders_two_studies_of_one_day(root: Path) -> None:
    images = data(root).source.images.take(np.arange(3))
    date = np.array([b"21500101"] * 3)
    time = np.array([b"100000.5", b"93000.0", b"1530.0"])
    same = {"subject": images.subject[[0, 0, 0]], "date": date, "time": time}
    changed = type(images)(**{**vars(images), **same})
    assert in_time(changed).tolist() == [2, 1, 0]


def test_a_sample_has_both_images_and_says_what_happened(root: Path) -> None:
    module = data(root)
    assert module.check() == []
    for sample in samples(module).values():
        assert sample["image"].shape == sample["prior_image"].shape == (1, SIZE, SIZE)
        assert sample["prior_valid"] and sample["text"] == sample["texts"]["progression"]
        assert sample["text"] and sample["meta"]["view"] == "PA"
        assert (sample["labels"][1:-1] == 1).any()  # a finding in the later study
        first, second = sample["sample_id"].split("__")
        assert first == sample["meta"]["dicom_id_prior"] and second in sample["meta"]["path"]


def test_p19_is_the_test(root: Path) -> None:
    module = data(root, min_findings=0)
    assert all(s["subject_id"].startswith("19") for s in samples(module, "test").values())
    others = samples(module, "train", "validation").values()
    assert others and not any(s["subject_id"].startswith("19") for s in others)


def test_findings_may_be_asked_of_either_study(root: Path) -> None:
    def count(**settings: Any) -> int:
        return len(data(root, **settings).candidates)

    both, reference = count(finding_in="both"), count()
    either, every = count(finding_in="either"), count(min_findings=0)
    assert both <= reference <= either <= every and both < every
    assert count(finding_in="either", count_devices=True) >= either


def test_every_image_of_a_study_may_count(root: Path) -> None:
    assert len(data(root, duplicates="all").candidates) >= len(data(root).candidates)


def test_the_first_stage_has_a_constant_prior(root: Path) -> None:
    module = data(root, pairs=False)
    sample = next(iter(samples(module, "train").values()))
    assert not sample["prior_valid"] and (sample["prior_image"] == CONSTANT).all()
    assert sample["text"] == sample["texts"]["impression"] and "__" not in sample["sample_id"]
    assert len(samples(module)) > len(samples(data(root)))


def drawn_matrices(root: Path) -> dict[str, np.ndarray]:
    """(2, 3) from canonical to image, of every film."""
    lines = (root.with_name("root.truth") / "truth.jsonl").read_text().splitlines()
    found = {}
    for row in map(json.loads, lines):
        p = {name: row[f"posture.{name}"] for name in ("sx", "sy", "cosine", "sine", "tx", "ty")}
        found[row["sample_id"]] = np.array(
            [
                [p["sx"] * p["cosine"], -p["sy"] * p["sine"], p["tx"]],
                [p["sx"] * p["sine"], p["sy"] * p["cosine"], p["ty"]],
                [0, 0, 1],
            ]
        )
    return found


@dataclass(frozen=True)
class Known:
    """Stands for a registration that found the drawn postures; scores fall with the key."""

    drawn: dict[str, np.ndarray]
    keys: list[str]

    def __call__(self, key: str) -> dict[str, np.ndarray]:
        prior, later = (self.drawn[name] for name in key.rpartition("/")[2].split("__"))
        place = self.keys.index(key)
        return {
            "matrix": (prior @ np.linalg.inv(later))[:2],
            "score": np.float64(0.9 - 0.1 * place if place < 3 else -1.0),
            "outside": np.float64(0.3 if place == 1 else 0.05),
            "tries": np.int64(1),
        }


def test_registered_pairs_are_warped_and_filtered(root: Path, tmp_path: Path) -> None:
    asked = data(root, registration="affine")
    assert "must be registered once" in asked.check()[0]
    made = asked.preparations()["registration"]
    prepare(replace(made, make=Known(drawn_matrices(root), made.keys)), tmp_path, quiet=True)

    def opened(**more: Any) -> MimicJourneys:
        return data(root, registration="affine", prepared=str(tmp_path), **more)

    found, raw = samples(opened()), samples(data(root))
    assert len(found) == 2 and len(raw) == len(made.keys) > 3  # one fails, one is mostly outside
    for name, sample in found.items():
        assert np.array_equal(sample["prior_image"], raw[name]["prior_image"])
        prior = sample["prior_image"][0].ravel()
        before = np.corrcoef(prior, raw[name]["image"][0].ravel())[0, 1]
        assert np.corrcoef(prior, sample["image"][0].ravel())[0, 1] > before
    assert len(samples(opened(max_outside=1.0))) == 3
    assert len(samples(opened(min_score=0.85))) == 1
    assert len(samples(opened(min_score_quantile=0.0, max_outside=1.0))) == 3  # none that failed
    lines = opened(show_threshold_for=1).funnel()
    assert any("would leave 1 test pairs" in line for line in lines)
    other = data(root, registration="rigid", prepared=str(tmp_path))
    assert "holds no registration-" in other.check()[0]


@pytest.mark.slow
def test_registration_brings_the_later_image_onto_the_prior(root: Path, tmp_path: Path) -> None:
    module = data(root, registration="affine", prepared=str(tmp_path))
    made = module.preparations()["registration"]
    prepare(made, tmp_path, quiet=True)
    assert len(samples(module)) > 0.7 * len(made.keys)


def test_answers_of_a_file_and_the_impression(root: Path, tmp_path: Path) -> None:
    found = samples(data(root, progression="impression"))
    table = tmp_path / "answers.csv"
    rows = [(s["meta"]["study_id_prior"], s["meta"]["study_id"], "Worse.") for s in found.values()]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("study_id_prior", "study_id", "progression"), *rows])
    settings: dict[str, Any] = {"progression": "file", "progression_file": str(table)}
    answered = data(root, **settings)
    assert {s["text"] for s in samples(answered).values()} == {"Worse."}
    table.write_text(table.read_text().replace(rows[0][1], "50000000"))
    with pytest.raises(UserError, match="has no progression from study"):
        samples(data(root, **settings))


def test_reports_do_not_leave_the_machine(root: Path) -> None:
    settings = {"progression": "model", "model_url": "http://reports.example/v1/chat/completions"}
    with pytest.raises(UserError, match="is not on this machine"):
        samples(data(root, **settings))


def test_the_table_of_journeys_is_left_in_the_work_folder(root: Path, tmp_path: Path) -> None:
    module = data(root)
    module.work = tmp_path
    assert module.check() == []
    (path,) = tmp_path.glob("journeys-*.csv")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(samples(module))
    assert all(row["t"] > row["t_prior"] and len(row["labels"].split(";")) == 14 for row in rows)


def test_a_partial_copy_loses_pairs_and_counts_them(root: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    sample = next(iter(samples(data(copy), "train").values()))
    next(copy.rglob(Path(sample["meta"]["path"]).name)).unlink()
    assert "missing" in " ".join(data(copy).check())
    module = data(copy, expect="subset")
    assert module.check() == [] and sample["sample_id"] not in samples(module)
    assert any("whose images and reports are there" in line for line in module.funnel())
