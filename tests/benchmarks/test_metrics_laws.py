"""Laws and known traps of the metrics on features, pairs of images, findings and masks."""

import numpy as np
import pytest

from benchmarks.groups import age_bands, groups_of
from benchmarks.metrics import neighbours
from benchmarks.metrics.agreement import clip_score, clip_similarity, posture_alignment
from benchmarks.metrics.classification import (
    FINDINGS,
    auroc,
    inception_score,
    kl_as_printed,
    kl_bernoulli,
)
from benchmarks.metrics.declaration import load_metric
from benchmarks.metrics.frechet import buffer_resized, fid, official_fid, radiomics_fd
from benchmarks.metrics.gram import Gram
from benchmarks.metrics.kernel import cmmd, kid, mmd_rbf_median
from benchmarks.metrics.manifold import density_coverage, manifold, prc
from benchmarks.metrics.overlap import control_consistency, dice, iou
from benchmarks.metrics.pairing import draw_pairs
from benchmarks.metrics.radiomics import describe
from benchmarks.metrics.structure import ms_ssim, ms_ssim_k, psnr, ssim
from datamodules.phantom.colonoscopy import draw as draw_frame
from medbench.core.errors import UserError


def stream(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def draw(seed: int, n: int, d: int, shift: float = 0.0) -> np.ndarray:
    mixing = np.random.default_rng(99).normal(size=(d, d)) / np.sqrt(d)
    return (np.random.default_rng(seed).normal(size=(n, d)) @ mixing + shift).astype(np.float32)


# distances between sets -----------------------------------------------------------------------


def test_gaussian_mmd_laws() -> None:
    real = draw(1, 300, 16)
    values = [mmd_rbf_median(real, draw(2, 300, 16, shift)) for shift in (0.0, 0.3, 0.6, 1.2)]
    assert abs(values[0]) < 0.1 * values[1] and values == sorted(values)
    assert mmd_rbf_median(5 * real, 5 * draw(2, 300, 16)) == pytest.approx(values[0])  # no scale
    assert mmd_rbf_median(real[::-1], draw(2, 300, 16)) == pytest.approx(values[0])
    assert mmd_rbf_median(real, real) < 0  # unbiased, so a copy scores below another draw
    assert np.isnan(mmd_rbf_median(np.ones((9, 4)), np.ones((9, 4))))  # no bandwidth


def test_cmmd_laws() -> None:
    real = draw(1, 200, 16)
    values = [cmmd(real, draw(2, 200, 16, shift)) for shift in (0.0, 0.5, 1.0)]
    assert values == sorted(values) and cmmd(real, real) == 0
    assert cmmd(3 * real, 0.5 * draw(2, 200, 16)) == pytest.approx(values[0], rel=1e-6)
    with pytest.raises(UserError, match="2 generated embeddings are all zero"):
        cmmd(real, np.concatenate([real, np.zeros((2, 16), np.float32)]))


def test_density_and_coverage_laws() -> None:
    real = draw(1, 400, 16)
    assert density_coverage(real, real + 50) == {"density": 0.0, "coverage": 0.0}
    same = density_coverage(real, real)
    assert same["coverage"] == 1 and same["density"] > 0.9
    few = density_coverage(real, np.repeat(real[:10], 40, axis=0))  # collapsed
    assert few["coverage"] < 0.2 < few["density"]
    with pytest.raises(UserError, match="k=5 is larger than the 4 other generated images"):
        density_coverage(real, real[:5])


def by_definition(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    gaps = points[:, None].astype(np.float64) - others[None].astype(np.float64)
    return np.einsum("nmd,nmd->nm", gaps, gaps)


@pytest.mark.parametrize("offset", [0.0, 100.0, 3000.0])
def test_neighbours_are_exact(offset: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also far from the origin and with tiles that do not divide the sets."""
    monkeypatch.setattr(neighbours, "TILE", 37)
    x, y = draw(1, 150, 24) + np.float32(offset), draw(2, 110, 24) + np.float32(offset)
    first, second = neighbours.centred(x, y)
    squared = by_definition(x, y)
    found, places = neighbours.nearest(first, second, 4)
    np.testing.assert_allclose(found, np.sort(squared, axis=1)[:, :4], rtol=1e-12)
    np.testing.assert_array_equal(places, np.argsort(squared, axis=1, kind="stable")[:, :4])
    own = by_definition(x, x)
    np.fill_diagonal(own, np.inf)
    np.testing.assert_allclose(
        neighbours.nearest(first, first, 4)[0], np.sort(own, axis=1)[:, :4], rtol=1e-12
    )


def test_neighbours_of_many_equal_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collapsed generator: all distances in doubt, so double precision decides."""
    monkeypatch.setattr(neighbours, "TILE", 64)
    monkeypatch.setattr(neighbours, "DOUBTFUL", 100)
    x = np.repeat(draw(1, 6, 24), 30, axis=0)
    (points,) = neighbours.centred(x)
    assert (neighbours.nearest(points, points, 5)[0] == 0).all()
    assert manifold(x, x)["precision"] == manifold(x, x)["recall"] == 1
    assert density_coverage(x, x) == {"density": 0.0, "coverage": 0.0}  # strictly within radius 0


def test_balls_are_exact_where_single_precision_cannot_tell() -> None:
    """A fake on the sphere itself counts for precision (<=) and not for density (<)."""
    near = np.array([[-1, 0], [-1.0001, 0], [0, -1], [0, -1.0001]], np.float32)
    some = np.array([[0, 0], [1, 0], [0, 1], [0.5, 0.5]], np.float32)  # radii 1, 1, 1, sqrt(1/2)
    assert prc(some, near, k=2)["precision"] == 0.5  # two lie on the origin's sphere
    assert density_coverage(some, near, k=2)["density"] == 0.0


def test_inception_score_of_an_oracle_is_the_number_of_classes() -> None:
    sure = np.tile(np.eye(7), (20, 1))
    assert inception_score(sure, rng=stream(), splits=1) == pytest.approx(7)
    assert inception_score(np.full((50, 7), 1 / 7), rng=stream()) == pytest.approx(1)


def test_the_official_distance_is_not_that_of_interpolated_images() -> None:
    """The scorer's defect: two sizes of one image share no layout."""
    image = np.arange(48).reshape(4, 4, 3)
    assert buffer_resized(image, 2).ravel().tolist() == list(range(12))  # cut off
    assert buffer_resized(image, 5).ravel()[48:51].tolist() == [0, 1, 2]  # repeated
    frames = [draw_frame(0, "test", i, size=32).image.transpose(1, 2, 0) for i in range(40)]
    doubled = [frame.repeat(2, axis=0).repeat(2, axis=1) for frame in frames]
    small, large = (
        np.stack([buffer_resized(x, 8).ravel() / 255 for x in xs]) for xs in (frames, doubled)
    )
    assert official_fid(small, small) < 1e-6 < 0.1 < official_fid(small, large)


def test_radiomics_distance_grows_with_a_corruption_of_phantom_images() -> None:
    frames = [draw_frame(0, "test", i, size=64).image / 127.5 - 1 for i in range(20)]
    clean = np.stack([describe(frame) for frame in frames])
    values = []
    for noise in (0.05, 0.1, 0.2, 0.4):
        noisy = [x + stream(i).normal(0, noise, x.shape) for i, x in enumerate(frames)]
        values.append(radiomics_fd(clean, np.stack([describe(np.clip(x, -1, 1)) for x in noisy])))
    assert values == sorted(values) and radiomics_fd(clean, clean) < 1e-6 * values[0]
    assert np.isfinite(describe(np.zeros((1, 20, 20)))).all()
    with pytest.raises(UserError, match="at least 16 x 16"):
        describe(np.zeros((1, 8, 20)))


@pytest.mark.parametrize("metric", [fid, prc, density_coverage, mmd_rbf_median, cmmd])
def test_integers_are_not_subtracted_as_8_bits(metric: object) -> None:
    """0 - 1 of unsigned bytes is 255: floating point from the first operation."""
    rng = stream()
    x, y = (rng.integers(0, 255, (40, 6)).astype(np.uint8) for _ in range(2))
    exact = metric(x.astype(np.float64), y.astype(np.float64))  # type: ignore[operator]
    assert metric(x, y) == pytest.approx(exact)  # type: ignore[operator]


def test_kid_is_whole_at_subset_size_n() -> None:
    real, fake = draw(1, 60, 8), draw(2, 80, 8)
    one, other = (kid(real[:60], fake[:60], rng=stream(i), subset_size=60) for i in (1, 2))
    assert one == pytest.approx(other, rel=1e-9)  # no subset differs from another


# structure and pairs --------------------------------------------------------------------------


def image(seed: int, size: int = 176) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    noise = stream(seed).normal(size=(1, size, size))
    return np.clip(gaussian_filter(noise, (0, 3, 3)) * 8, -1, 1).astype(np.float32)


def test_ssim_and_psnr_laws() -> None:
    x = 0.9 * image(1, 64)[None]
    assert ssim(x, x)[0] == pytest.approx(1) and psnr(x, x)[0] == np.inf
    assert psnr(x, x + 0.1)[0] == pytest.approx(20 * np.log10(2 / 0.1), rel=1e-5)
    values = [ssim(x, x + stream().normal(0, s, x.shape))[0] for s in (0.05, 0.2, 0.8)]
    assert values == sorted(values, reverse=True)
    bytes_ = [np.array([[[0, 255]]], np.uint8), np.array([[[1, 254]]], np.uint8)]
    assert psnr([bytes_[0]], [bytes_[1]])[0] == pytest.approx(10 * np.log10(4))
    with pytest.raises(UserError, match="more than 10 pixels; these have 8"):
        ssim(np.zeros((1, 1, 8, 8)), np.zeros((1, 1, 8, 8)))


def test_ms_ssim_needs_160_pixels_and_says_what_serves_instead() -> None:
    same = [image(1)] * 3
    np.testing.assert_allclose(ms_ssim(same, rng=stream()), np.ones(3), atol=1e-5)
    different = [image(i) for i in range(3)]
    assert ms_ssim(different, rng=stream()).max() < 0.5
    small = [x[:, :160, :160] for x in different]
    with pytest.raises(UserError, match="more than 160 pixels; these have 160. Use ms_ssim_k"):
        ms_ssim(small, rng=stream())
    assert np.isfinite(ms_ssim_k(small, rng=stream())).all()
    both = (ms(different, rng=stream()) for ms in (ms_ssim, ms_ssim_k))
    np.testing.assert_array_equal(*both)  # five scales fit


def test_pairs_follow_the_written_rule() -> None:
    pairs = draw_pairs(20, 20, stream())
    assert (np.bincount(pairs.ravel(), minlength=20) == 2).all()  # a ring
    assert len({tuple(pair) for pair in draw_pairs(20, 150, stream()).tolist()}) == 150
    assert len(draw_pairs(5, 100, stream())) == 10  # all that there are
    groups = ["a"] * 6 + ["b"] * 4 + ["c"]
    within = draw_pairs(11, 12, stream(), groups)
    assert all(groups[i] == groups[j] for i, j in within)
    assert len(draw_pairs(3, 5, stream(), ["a", "b", "c"])) == 0


# findings -------------------------------------------------------------------------------------


def test_auroc_goes_by_name_and_leaves_out_what_is_undefined() -> None:
    labels = np.array([[1, 0, np.nan], [0, 0, 1], [1, 0, -1], [0, 0, 0]])
    scores = np.array([[0.1, 0.9, 0.7], [0.1, 0.1, 0.7], [0.9, 0.8, 0.7], [0.1, 0.2, 0.7]])
    names, others = ["A", "Effusion", "C"], ["Pleural Effusion", "B", "A"]
    found = auroc(scores, names, labels, others, findings=["Pleural Effusion", "A"])
    assert found["Pleural Effusion"] == 1.0  # column 1 of the scores, 0 of the labels
    assert found["A"] == 0.5  # a tie; one row is not said, one uncertain
    absent = auroc(scores, ["B"], labels, others, findings=["B"])
    assert np.isnan(absent["B"]) and np.isnan(absent["mean"])
    with pytest.raises(UserError, match="no scores of Atelectasis"):
        auroc(scores, names, labels, others, findings="chexpert5")
    with pytest.raises(UserError, match="did you mean chexpert14"):
        auroc(scores, names, labels, others, findings="chexpert_14")


def test_auroc_of_a_noisy_score_has_a_closed_form() -> None:
    """score = d y + N(0, 1) has the area Phi(d / sqrt 2)."""
    from scipy.stats import norm

    labels = (stream(1).random(40_000) < 0.3).astype(float)[:, None]
    scores = 1.2 * labels + stream(2).normal(size=labels.shape)
    found = auroc(scores, ["edema"], labels, ["Edema"])["edema"]
    assert found == pytest.approx(norm.cdf(1.2 / np.sqrt(2)), abs=0.008)


def test_the_sets_of_findings_are_those_of_the_papers() -> None:
    assert {name: len(members) for name, members in FINDINGS.items()} == {
        "chexpert5": 5,
        "biomedjourney5": 5,
        "chexpert14": 14,
        "radgazegen12": 12,
    }
    assert all(len(set(members)) == len(members) for members in FINDINGS.values())


def test_divergences_of_scores() -> None:
    p, q = np.array([[0.2, 0.7]]), np.array([[0.5, 0.9]])
    expected = 0.2 * np.log(0.2 / 0.5) + 0.7 * np.log(0.7 / 0.9)
    assert kl_as_printed(p, q)[0] == pytest.approx(expected)
    rest = 0.8 * np.log(0.8 / 0.5) + 0.3 * np.log(0.3 / 0.1)
    assert kl_bernoulli(p, q)[0] == pytest.approx(expected + rest)
    assert kl_bernoulli(p, p)[0] == 0
    assert np.isfinite(kl_bernoulli(np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]]))).all()


# masks, controls, embeddings, posture, groups --------------------------------------------------


def test_overlap_of_shifted_discs_and_of_nothing() -> None:
    y, x = np.mgrid[:400, :400]
    radius, shift = 100, 40
    one = (x - 150) ** 2 + (y - 200) ** 2 < radius**2
    other = (x - 150 - shift) ** 2 + (y - 200) ** 2 < radius**2
    nothing = np.zeros_like(one)
    found = dice({"a": [one, nothing, one]}, {"a": [other, nothing, nothing]})
    t = shift / (2 * radius)
    closed = (2 * np.arccos(t) - 2 * t * np.sqrt(1 - t**2)) / np.pi
    assert found["a"][0] == pytest.approx(closed, abs=2e-3)
    assert np.isnan(found["a"][1]) and found["a"][2] == 0 and np.isnan(found["mean"][1])
    assert iou({"a": [one]}, {"a": [one]})["mean"][0] == 1
    with pytest.raises(UserError, match="values other than 0 and 1"):
        dice({"a": [one * 3]}, {"a": [one]})
    with pytest.raises(UserError, match="are heart, those that they are compared with lung"):
        dice({"lung": [one]}, {"heart": [one]})


def test_control_consistency_of_the_same_maps_is_one() -> None:
    edges, lung = stream().random((2, 32, 32)), np.zeros((2, 32, 32))
    lung[:, 4:20, 4:20] = 1
    maps = {"canny": edges, "segmentation": lung}
    same = control_consistency(maps, maps)
    np.testing.assert_allclose(same["canny"], 1, atol=1e-6)
    np.testing.assert_array_equal(same["segmentation"], 1)
    half = np.where(np.arange(32) < 12, lung, 0)
    found = control_consistency(maps, {"canny": edges[::-1], "segmentation": half})
    assert found["canny"].max() < 0.5 < found["segmentation"].min() < 0.8


def test_similarity_of_embeddings() -> None:
    x, y = np.array([[3.0, 0], [1, 1], [0, 0]]), np.array([[0.0, 2], [2, 2], [1, 0]])
    np.testing.assert_allclose(clip_similarity(x, y), [0, 1, np.nan])
    np.testing.assert_allclose(clip_score(-x, y), [0, 0, np.nan])
    with pytest.raises(UserError, match=r"\(3, 2\), text embeddings \(3, 1\)"):
        clip_similarity(x, y[:, :1])


def test_posture_alignment_of_known_postures() -> None:
    posture = np.array([[1, 1, 0, 0, 0], [1.2, 0.9, 0.03, 0.04, np.pi / 2]])
    np.testing.assert_allclose(posture_alignment(posture), [0, -0.5], atol=1e-12)
    mirrored = posture[:, [1, 0, 2, 3, 4]] * [1, 1, -1, -1, -1]
    np.testing.assert_allclose(posture_alignment(mirrored), posture_alignment(posture))


def test_groups_are_scored_by_value_and_never_merged() -> None:
    ages = [3, 17.9, 18, 59, 60, 85, None, float("nan")]
    bands = age_bands(ages)
    assert bands == ["0-17", "0-17", "18-39", "40-59", "60-79", "80+", None, None]
    about = [{"meta": {"age": age, "sex": sex}} for age, sex in zip(ages, "FMFF MF?", strict=True)]
    about[4]["meta"]["sex"] = ""
    found = groups_of(about, "sex")
    assert found["F"].tolist() == [0, 2, 3, 6] and set(found) == {"F", "M", "?"}
    assert {k: v.tolist() for k, v in groups_of(about, "age_band").items()}["0-17"] == [0, 1]
    assert groups_of([{"age": float("nan")}], "age") == {}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("fid", {}),
        ("kid", {"subset_size": 30, "subsets": 5}),
        ("prc", {}),
        ("density_coverage", {}),
        ("manifold", {"k": 2, "density_k": 4}),
    ],
)
def test_parts_by_products_equal_the_metric_of_those_rows(
    name: str, settings: dict[str, int]
) -> None:
    real, fake = draw(1, 90, 120, 2.0), draw(2, 80, 120, 2.1)
    metric = load_metric(name)
    one, other = np.arange(5, 60), np.arange(3, 70, 2)
    gram = Gram(real, fake)
    rows = gram.rows(0, one), gram.rows(1, other)
    streams = [{"rng": stream()} if metric.draws else {} for _ in range(2)]
    found = metric.parts_values(gram, *rows, **settings, **streams[0])
    assert found == pytest.approx(metric.values(real[one], fake[other], **settings, **streams[1]))
