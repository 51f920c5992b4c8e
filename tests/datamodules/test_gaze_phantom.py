"""The phantom's readings: the laws that maps and hits of gaze must follow."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from datamodules import controls
from datamodules.gaze import draw_ellipses
from datamodules.labeller import mentioned
from datamodules.phantom import cxr
from datamodules.phantom.cxr_render import render
from datamodules.phantom.cxr_study import Study
from datamodules.phantom.gaze import (
    DEGREE,
    DELAY,
    GRID,
    LOOKED_FOR,
    MARKS,
    MEAN,
    SHAPE,
    draw_reading,
    expected_density,
    find_spots,
    sample_eyes,
)

LEAST = cxr.least_feature(GRID)


def study(subject: int, **fixed: object) -> Study:
    return cxr.draw_study(
        cxr.address(0, "train", subject), min_feature=LEAST, projection="PA", set=fixed or None
    )


EFFUSION = dict.fromkeys(LOOKED_FOR) | {"Pleural Effusion": {"side": "left", "severity": 0.5}}


def in_image(fixations: np.ndarray) -> np.ndarray:
    return ((fixations[:, :2] >= 0) & (fixations[:, :2] <= 1)).all(axis=1)


def divergence(subject: int, n: int, size: int = 48, sigma: float = 0.05) -> float:
    """KL of the heat map of n fixations from the expected density, both smoothed alike."""
    one = study(subject)
    masks = render(one, GRID)[1]
    reading = draw_reading(one, n=n, masks=masks)
    valid = reading.fixations[~reading.outside & ~reading.lost]
    heat = controls.attention(valid, size, size, sigma=sigma).astype(np.float64)
    heat /= heat.sum()
    expected = expected_density(one, size, masks, extra=sigma)
    return float((expected * np.log(expected / np.maximum(heat, 1e-300))).sum())


def test_the_heat_map_tends_to_the_expected_density_as_one_over_n() -> None:
    counts = np.array([60, 240, 960, 3840])
    found = np.array([np.mean([divergence(i, int(n)) for i in range(5)]) for n in counts])
    slope = np.polyfit(np.log(counts), np.log(found), 1)[0]
    assert slope == pytest.approx(-1, abs=0.2)
    assert found[-1] < 0.005


def test_the_centroid_lies_within_three_standard_errors() -> None:
    for subject in range(5):
        one = study(subject)
        reading = draw_reading(one, n=1500)
        valid = reading.fixations[~reading.outside & ~reading.lost]
        valid = valid[in_image(valid)]
        density = expected_density(one, 64)
        centres = (np.arange(64) + 0.5) / 64
        mean = np.array([density.sum(axis=0) @ centres, density.sum(axis=1) @ centres])
        error = valid[:, :2].std(axis=0) / np.sqrt(len(valid))
        assert (np.abs(valid[:, :2].mean(axis=0) - mean) < 3 * error + 1e-3).all()


def test_hits_in_an_ellipse_are_the_mixture_mass_in_it() -> None:
    one = study(3, **EFFUSION)
    reading = draw_reading(one, n=6000)
    box = reading.ellipses[0].box
    valid = reading.fixations[~reading.outside & ~reading.lost]
    valid = valid[in_image(valid)]
    x = (valid[:, 0] - (box[0] + box[2]) / 2) / ((box[2] - box[0]) / 2)
    y = (valid[:, 1] - (box[1] + box[3]) / 2) / ((box[3] - box[1]) / 2)
    hits = float((x * x + y * y <= 1).mean())
    mask = draw_ellipses(np.array(box) * 512, 512)[0]
    mass = float(expected_density(one, 512)[mask > 0].sum())
    assert 0.1 < mass < 0.9
    assert hits == pytest.approx(mass, abs=3 * np.sqrt(mass * (1 - mass) / len(valid)))


def test_dwell_goes_to_findings_by_the_severest() -> None:
    spots = find_spots(study(3, **EFFUSION))
    assert sum(s.weight for s in spots) == pytest.approx(1, abs=1e-5)
    assert sum(s.weight for s in spots if s.box) == pytest.approx(0.4 + 0.3 * 0.5, abs=1e-5)
    healthy = find_spots(study(3, **dict.fromkeys(LOOKED_FOR)))
    assert [s.box for s in healthy] == [None] * 6


def test_durations_follow_the_gamma_law() -> None:
    lasts = np.concatenate([draw_reading(study(i), n=1500).fixations[:, 3] for i in range(4)])
    assert lasts.mean() == pytest.approx(MEAN, rel=0.03)
    assert lasts.var() == pytest.approx(MEAN**2 / SHAPE, rel=0.1)
    assert lasts.min() > 0


def test_rates_of_what_the_tracker_loses() -> None:
    readings = [draw_reading(study(i), n=1000) for i in range(6)]
    assert np.mean([r.outside.mean() for r in readings]) == pytest.approx(0.03, abs=0.008)
    assert np.mean([r.lost.mean() for r in readings]) == pytest.approx(0.01, abs=0.005)
    assert all(not in_image(r.fixations[r.outside]).any() for r in readings)


def test_words_follow_the_first_fixation_of_their_finding() -> None:
    said = 0
    for subject in range(24):
        reading = draw_reading(study(subject))
        times = reading.fixations[:, 2]
        assert (np.diff(times) > 0).all()
        spoken = [w for w in reading.words if w.text not in MARKS]
        assert all(a.end <= b.start + 1e-6 for a, b in pairwise(spoken))
        for name in {word.finding for word in reading.words} - {""}:
            first = min(w.start for w in reading.words if w.finding == name)
            seen = times[[spot == name for spot in reading.spots]]
            assert DELAY[0] - 1e-5 <= first - seen[0] <= DELAY[1] + 1e-5
            said += 1
    assert said > 16


def test_the_dictation_mentions_what_is_marked_and_nothing_else() -> None:
    """The reports' labeller, whose rules know nothing of the grammar, is the judge."""
    for subject in range(30):
        one = study(subject)
        reading = draw_reading(one)
        found = mentioned(reading.text)
        marked = {e.finding for e in reading.ellipses}
        told = {name for name, value in found.items() if value == 1 and name in LOOKED_FOR}
        assert told - {"Lung Opacity"} == marked - {"Lung Opacity"}, reading.text


def test_a_reading_is_a_function_of_study_and_reader() -> None:
    one = study(3, **EFFUSION)
    first, again, other = (draw_reading(one, reader) for reader in (0, 0, 1))
    assert np.array_equal(first.fixations, again.fixations) and first.words == again.words
    assert len(first.fixations) != len(other.fixations) or not np.array_equal(
        first.fixations, other.fixations
    )
    assert first.ellipses != other.ellipses
    moved = replace(one, acquisition=replace(one.acquisition, tone=0.3))
    assert np.array_equal(draw_reading(moved).fixations, first.fixations)


def test_a_zoomed_episode_halves_the_degree() -> None:
    readings = [draw_reading(study(i)) for i in range(60)]
    zoomed = [r for r in readings if (r.degree < DEGREE).any()]
    assert len(zoomed) / 60 == pytest.approx(0.2, abs=0.16)
    shown = zoomed[0].shown[zoomed[0].degree < DEGREE]
    assert np.allclose(shown[:, 2:] - shown[:, :2], 0.5) and shown.min() >= 0 and shown.max() <= 1


def test_samples_stay_at_their_fixation_and_travel_between() -> None:
    reading = draw_reading(study(2))
    values, own = sample_eyes(reading, 60)
    assert np.allclose(np.diff(values[:, 0]), 1 / 60)
    valid = (own >= 0) & ~np.isnan(values[:, 1])
    away = values[valid, 1:] - reading.fixations[own[valid], :2]
    assert np.abs(away).max() <= DEGREE / 20 + 1e-9
    assert (own < 0).any() and (own >= 0).mean() > 0.7
