"""What a metric says of itself, and where metrics are found by name.

A metric is a pure function of arrays. Its declaration tells the harness what to hand over, by
position and in this order, and when the value can be trusted; nothing heavier than NumPy is
imported to read it. Wherever a value comes back as NaN it is undefined by the metric's own rule:
the harness leaves it out of means and counts it."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from medbench.core.classes import load_class
from medbench.core.errors import UserError, nearest

INPUTS = {
    "real_features": "(n, d) features of the real set, perhaps memory-mapped",
    "fake_features": "(m, d) features of the generated set by the same extractor",
    "real_outputs": "(n, 1000) class outputs of images prepared by official.buffer_resized",
    "fake_outputs": "(m, 1000) the same of generated images",
    "probabilities": "(n, K) class probabilities of generated images, each row adding up to 1",
    "scores": "(n, K) scores in [0, 1] of a judge or classifier looking at generated images",
    "score_names": "K names of the columns of `scores`",
    "real_scores": "(n, K) the same judge on the image that row i is compared with",
    "asked": "n mappings of a label to what the prompt asks",
    "labels": "(n, L) 0, 1 or NaN: what the report or the prompt of row i says",
    "label_names": "L names of the columns of `labels`",
    "real_images": "n images (C, H, W) in [-1, 1], row i belonging to generated image i",
    "fake_images": "n images (C, H, W) in [-1, 1], indexable, perhaps opened when asked for",
    "groups": "n names; only images of one name are paired (such as one prompt's)",
    "image_embeddings": "(n, d) of generated images",
    "text_embeddings": "(n, d) of the texts that they were drawn from, in the same space",
    "posture": "(n, 5) s_x, s_y, t_x, t_y in normalised coordinates and the angle in radians",
    "controls": "name -> (n, H, W) maps in [0, 1] that the images were drawn from",
    "fake_controls": "name -> (n, H, W) the same maps, extracted from the generated images",
    "real_masks": "name -> n boolean masks of the image that row i is compared with",
    "fake_masks": "name -> n boolean masks of the generated images",
    "volumes_hu": "n volumes (D, H, W) in Hounsfield units",
    "volume_masks": "n mappings of airway, vessel, lung, heart, effusion, lobe to (D, H, W) masks",
    "spacing_mm": "(n, 3) edges of a voxel along D, H, W",
    "first_values": "(n,) a score of each sample of one arm",
    "second_values": "(m,) the same score of each sample of the other arm",
    "race_scores": "(n, R) scores in [0, 1] of a race classifier on generated images",
    "races": "n names of the patients' race, among `race_names`",
    "race_names": "R names of the columns of `race_scores`",
    "predicted_ages": "(n,) years, by an age model on generated images",
    "ages": "(n,) years at the prior study",
    "anatomy_dice": "(n,) agreement of each generated image's anatomy with its prior image's",
    "train_features": "(t, d) features, or pixels in rows, of the images that were trained on",
    "heldout_features": "(h, d) the same of real images that were not, of other subjects",
    "train_subjects": "t names",
    "heldout_subjects": "h names",
}
FEATURES = ("real_features", "fake_features")
OUTPUTS = ("real_outputs", "fake_outputs")
PROBABILITIES = ("probabilities",)
JUDGED = ("scores", "asked")  # the function takes the scores' names between the two
LABELLED = ("scores", "score_names", "labels", "label_names")
SCORE_PAIRS = ("real_scores", "scores")
IMAGE_PAIRS = ("real_images", "fake_images")
IMAGES = ("fake_images",)  # pairs within the generated set
EMBEDDINGS = ("image_embeddings", "text_embeddings")
POSTURE = ("posture",)
CONTROLS = ("controls", "fake_controls")
MASKS = ("real_masks", "fake_masks")
VOLUMES = ("volumes_hu", "volume_masks", "spacing_mm")
ARMS = ("first_values", "second_values")
COUNTERFACTUAL = (*LABELLED, "race_scores", "races", "race_names", "predicted_ages", "ages")
PRIVACY = ("train_features", "fake_features", "heldout_features")
REIDENTIFICATION = (*PRIVACY, "train_subjects", "heldout_subjects")

# What a metric gives back, and so how its interval is made.
SETS = "sets"  # floats of whole sets: random halves of the generated one; floor between halves
SAMPLES = "samples"  # (n,) a value for each sample, the same whatever batch it came in: bootstrap
ROWS = "rows"  # floats of rows that belong together (a correlation): bootstrap over subjects
PAIRS = "pairs"  # (p,) a value for each pair of generated samples, drawn by the metric's rule
BETWEEN_ARMS = "arms"  # floats of two arms' values, with a test's own p
KINDS = (SETS, SAMPLES, ROWS, PAIRS, BETWEEN_ARMS)
DIRECTIONS = ("lower", "higher", "none")
PACKAGE = "benchmarks.metrics"


@dataclass(frozen=True)
class Metric:
    """A declared metric; called like its function."""

    name: str
    function: Callable[..., Any]
    says: str  # what it says, in a few words
    direction: str  # of a better value: "lower", "higher", or "none" for a plain measurement
    needs: tuple[str, ...]  # of INPUTS
    min_samples: int  # of each set
    version: int  # raised when values change by more than rounding
    source: str
    gives: tuple[str, ...]  # names of the values; several where one computation yields them
    by_name: bool  # gives one value more for each label, control or mask, under its name
    sizes: tuple[str, ...]  # settings that count samples, at most as many as a set has
    draws: bool  # takes `rng`
    kind: str  # of KINDS
    may_need: tuple[str, ...]  # of INPUTS, handed over by keyword where they are at hand
    of_parts: Callable[..., Any] | None  # the same of a Gram and row numbers in it, much faster

    def __call__(self, *args: Any, **settings: Any) -> Any:
        return self.function(*args, **settings)

    def values(self, *inputs: Any, **settings: Any) -> dict[str, Any]:
        """The values by name, also where the function returns a single number or array."""
        return self._named(self.function(*inputs, **settings))

    def parts_values(
        self, gram: Any, one: np.ndarray, other: np.ndarray, **settings: Any
    ) -> dict[str, Any]:
        """The values of two parts, given by their row numbers in a `gram.Gram`."""
        if self.of_parts is None:
            raise TypeError(f"{self.name} has no faster way for parts")
        return self._named(self.of_parts(gram, one, other, **settings))

    def _named(self, found: Any) -> dict[str, Any]:
        if isinstance(found, dict):
            return found
        return {self.name: float(found) if np.ndim(found) == 0 else found}


def metric(
    name: str,
    *,
    says: str,
    direction: str,
    needs: tuple[str, ...],
    min_samples: int,
    version: int,
    source: str,
    gives: tuple[str, ...] = (),
    by_name: bool = False,
    sizes: tuple[str, ...] = (),
    draws: bool = False,
    kind: str = SETS,
    may_need: tuple[str, ...] = (),
    of_parts: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Any]], Metric]:
    """Declare a function as a metric."""
    unknown = [need for need in (*needs, *may_need) if need not in INPUTS]
    if direction not in DIRECTIONS or kind not in KINDS or unknown:
        raise ValueError(f"{name}: {direction=}, {kind=} or {unknown} are not known")

    def declare(function: Callable[..., Any]) -> Metric:
        found = Metric(
            name=name,
            function=function,
            says=says,
            direction=direction,
            needs=needs,
            min_samples=min_samples,
            version=version,
            source=source,
            gives=gives if gives or by_name else (name,),
            by_name=by_name,
            sizes=sizes,
            draws=draws,
            kind=kind,
            may_need=may_need,
            of_parts=of_parts,
        )
        found.__dict__["__doc__"] = function.__doc__
        return found

    return declare


def known_metrics() -> dict[str, Metric]:
    """Every metric declared in this folder, by name."""
    package = importlib.import_module(PACKAGE)
    found: dict[str, Metric] = {}
    for module in pkgutil.iter_modules(package.__path__):
        content = vars(importlib.import_module(f"{PACKAGE}.{module.name}"))
        found |= {v.name: v for v in content.values() if isinstance(v, Metric)}
    return dict(sorted(found.items()))


def load_metric(name: str) -> Metric:
    """A metric of this folder by name, or anyone's by dotted path."""
    if "." in name:
        found = load_class(name)
        if not isinstance(found, Metric):
            raise UserError(f"{name} is not a metric: declare it with @metric.")
        return found
    known = known_metrics()
    if name not in known:
        raise UserError(
            f"metric {name} is not known{nearest(name, known)}. Known are {', '.join(known)}; "
            "a metric of yours is named by its dotted path."
        )
    return known[name]


def too_large(name: str, setting: str, value: int, n: int, which: str) -> str:
    """The sentence for a setting that asks for more samples than a set has."""
    return (
        f"{name}: {setting}={value} is larger than the {n} {which} images; "
        "lower it or take more of them."
    )
