"""Metrics of whose image it is, of CT volumes, and of what a generator remembers."""

import numpy as np
import pytest

from benchmarks.metrics.counterfactual import cmig, combine, pearson, race_auroc
from benchmarks.metrics.ct_anatomy import (
    airway_volume,
    arm_ttest,
    cardiothoracic_ratio,
    dice_airway,
    dice_lobe,
    laa_950,
    pleural_effusion_volume,
    pleural_effusion_volume_unit,
)
from benchmarks.metrics.privacy import closest, discoveries, memorisation, reidentification
from medbench.core.errors import UserError


def draw(seed: int, n: int, d: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


# counterfactuals ------------------------------------------------------------------------------


def test_cmig_is_the_formula_with_every_term_visible() -> None:
    rng = np.random.default_rng(0)
    n, names = 300, ["Cardiomegaly", "Edema"]
    labels = (rng.random((n, 2)) < 0.5).astype(float)
    scores = labels * 0.4 + rng.random((n, 2))
    races = rng.choice(["asian", "black", "white"], n)
    race_names = ["white", "asian", "black"]
    race_scores = (races[:, None] == race_names) * 0.3 + rng.random((n, 3))
    ages = rng.uniform(20, 90, n)
    about = (scores, names, labels, names, race_scores, races, race_names, ages, ages + 5)
    found = cmig(*about, findings=names, anatomy_dice=np.array([0.5, np.nan, 0.7]))
    a, r = found["pathology_auroc"], found["race_auroc"]
    assert found["age_pearson"] == pytest.approx(1)
    assert found["cmig"] == pytest.approx(np.sqrt(a * np.sqrt(r)))
    assert found["anatomy_dice"] == pytest.approx(0.6)
    assert found["cmig_with_dice"] == pytest.approx(np.sqrt(a * (r * 0.6) ** (1 / 3)))
    assert "cmig_with_dice" not in cmig(*about, findings=names)


def test_cmig_of_zero_negative_and_undefined_terms() -> None:
    assert combine([1.0], [1.0, 1.0]) == 1
    assert combine([0.9], [0.0, 1.0]) == combine([0.9], [-0.3, 1.0]) == 0
    assert np.isnan(combine([0.9], [float("nan"), 1.0]))
    assert np.isnan(pearson(np.ones(9), np.arange(9.0)))
    assert np.isnan(pearson(np.array([1.0, 2, np.nan]), np.arange(3.0)))
    assert np.isnan(race_auroc(np.ones((5, 2)), ["a"] * 5, ["a", "b"]))  # one race only


def test_race_auroc_reaches_its_bayes_value() -> None:
    """Two groups apart by d, seen with noise 1: Phi(d / sqrt 2)."""
    from scipy.stats import norm

    rng = np.random.default_rng(1)
    races = rng.choice(["a", "b"], 20_000)
    tone = (races == "a") * 0.8 + rng.normal(size=len(races))
    found = race_auroc(np.stack([-tone, tone], axis=1), races, ["b", "a"])
    assert found == pytest.approx(norm.cdf(0.8 / np.sqrt(2)), abs=0.01)


# CT -------------------------------------------------------------------------------------------

SPACING = np.array([[2.0, 1.0, 1.5]])


def test_effusion_volume_of_a_sphere_and_both_spacings() -> None:
    z, y, x = np.ogrid[-25:26, -50:51, -40:41]
    sphere = (z * 2.0) ** 2 + (y * 1.0) ** 2 + (x * 1.5) ** 2 <= 40**2
    masks = [{"effusion": sphere, "airway": ~sphere}]
    hu = [np.zeros(sphere.shape)]
    found = pleural_effusion_volume(hu, masks, SPACING)[0]
    assert found == pytest.approx(4 / 3 * np.pi * 40**3 / 1e6, rel=0.02)
    unit = pleural_effusion_volume_unit(hu, masks, SPACING)[0]
    assert found == pytest.approx(unit * 3.0)
    assert airway_volume(hu, [{"airway": np.zeros((2, 2, 2))}], SPACING)[0] == 0
    with pytest.raises(UserError, match="mask airway is needed and not given; there are effusion"):
        airway_volume(hu, [{"effusion": sphere}], SPACING)


def test_emphysema_is_the_share_strictly_below_the_threshold() -> None:
    hu = np.full((4, 10, 10), -850.0)
    hu[0, :2] = -980  # 20 of 400
    hu[1, 0] = -950  # not below
    masks = {"lung_left": np.ones(hu.shape), "lung_right": np.zeros(hu.shape)}
    masks["airway"] = np.zeros(hu.shape)
    assert laa_950([hu], [masks], SPACING)[0] == pytest.approx(5.0)
    masks["airway"] = hu == -980
    assert laa_950([hu], [masks], SPACING)[0] == 0
    empty = {"lung": np.zeros(hu.shape), "airway": np.zeros(hu.shape)}
    assert np.isnan(laa_950([hu], [empty], SPACING)[0])
    with pytest.raises(UserError, match="lies between -1 and 1"):
        laa_950([hu / 1024], [masks], SPACING)


def test_heart_width_over_thoracic_width() -> None:
    z, y, x = np.ogrid[-20:21, -60:61, -70:71]
    heart = (z / 15) ** 2 + (y / 30) ** 2 + (x / 30) ** 2 <= 1
    thorax = ((y / 50) ** 2 + (x / 60) ** 2 <= 1) & np.ones(heart.shape, bool)
    found = cardiothoracic_ratio([heart], [{"heart": heart, "lung": thorax & ~heart}], SPACING)
    assert found[0] == pytest.approx(0.5, abs=1 / 120)
    nothing = np.zeros(heart.shape, bool)
    undefined = [{"heart": nothing, "lung": thorax}, {"heart": heart, "lung": nothing}]
    assert np.isnan(cardiothoracic_ratio([heart] * 2, undefined, SPACING)).all()


def test_dice_of_lobes_and_airway() -> None:
    lobes = np.arange(6).repeat(20).reshape(2, 6, 10)
    other = np.where(lobes == 3, 0, lobes)
    assert dice_lobe({"lobe": [lobes]}, {"lobe": [other]})[0] == pytest.approx(4 / 5)
    few = np.where(lobes > 3, 0, lobes)  # two lobes empty in both
    assert dice_lobe({"lobe": [few]}, {"lobe": [few]})[0] == 1
    nothing = np.zeros((2, 3, 4))
    assert np.isnan(dice_airway({"airway": [nothing]}, {"airway": [nothing]})[0])
    assert dice_airway({"airway": [nothing]}, {"airway": [nothing + 1]})[0] == 0


def test_arms_are_compared_one_tailed() -> None:
    rng = np.random.default_rng(0)
    high, low = rng.normal(1.5, 1, 32), np.append(rng.normal(0, 1, 31), np.nan)
    found = arm_ttest(high, low)
    assert found["p_student"] < 0.01 < 0.99 < arm_ttest(low, high)["p_student"]
    assert found["undefined"] == 1 and found["difference"] == pytest.approx(1.5, abs=0.5)
    assert np.isnan(arm_ttest(high[:1], low)["p_welch"])


# privacy --------------------------------------------------------------------------------------


def test_every_copy_is_found_and_new_draws_give_none() -> None:
    train, heldout, fresh = draw(1, 800), draw(2, 300), draw(3, 500)
    fake = fresh.copy()
    fake[:12] = train[100:112] + 0.01 * draw(4, 12)  # a few copies with noise
    found = memorisation(train, fake, heldout)
    assert found["copied"] == pytest.approx(12 / 500, abs=2.1 / 500)
    pairs = closest(train, fake, heldout, 12)
    assert {(match.fake, match.train) for match in pairs} == {(i, 100 + i) for i in range(12)}
    innocent = memorisation(train, fresh, heldout)
    assert innocent["copied"] == 0 and innocent["p_closer"] > 0.01
    assert innocent["closer_than_heldout"] == pytest.approx(0.5, abs=0.06)
    whole = memorisation(train, train[:100], heldout)
    assert whole["copied"] == 1 and whole["closer_than_heldout"] == 1
    assert whole["median_ratio"] == 0
    with pytest.raises(UserError, match="larger than the 8 training images"):
        memorisation(train[:8], fake, heldout)


def test_memorisation_is_calibrated_over_many_draws() -> None:
    """Innocent generators: the test rejects at its level, and copies are seldom announced."""
    p, copied = [], []
    for seed in range(60):
        found = memorisation(*(draw(3 * seed + i, n, 8) for i, n in enumerate((200, 80, 80))))
        p.append(found["p_closer"])
        copied.append(found["copied"] > 0)
    assert np.mean(np.array(p) < 0.1) < 0.25 and np.mean(copied) < 0.15


def test_blurred_images_are_no_copies() -> None:
    """They lie near the middle, close to many training images and to none in particular."""
    train, heldout = draw(1, 800), draw(2, 300)
    assert memorisation(train, 0.3 * draw(3, 300), heldout)["copied"] == 0


def test_discoveries_by_hand() -> None:
    p = np.array([0.2, 0.01, 0.02, 0.9])
    assert discoveries(p, 0.05).tolist() == [False, True, True, False]
    assert not discoveries(np.array([0.5, 0.9]), 0.05).any()


def test_reidentification_counts_what_passes_a_threshold_of_strangers() -> None:
    people = draw(1, 300)
    train = people[:200] + 0.1 * draw(2, 200)
    subjects = [f"t{i}" for i in range(200)]
    rows = np.repeat(np.arange(200, 300), 2)
    heldout = people[rows] + 0.1 * draw(3, 200)
    strangers = [f"h{i}" for i in rows]
    fake = np.concatenate([people[:40] + 0.1 * draw(4, 40), draw(5, 60)])
    found = reidentification(train, fake, heldout, subjects, strangers)
    assert found["reidentified"] == pytest.approx(0.4 + 0.6 * 0.05, abs=0.06)
    assert found["expected"] <= 0.05 and found["sensitivity"] > 0.9
    alone = reidentification(train, fake, heldout[::2], subjects, strangers[::2])
    assert np.isnan(alone["sensitivity"])
    with pytest.raises(UserError, match="both trained on and held out, such as t0"):
        reidentification(train, fake, heldout[:1], subjects, ["t0"])
