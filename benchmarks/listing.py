"""Every metric of the package as a Markdown table, out of their own declarations.

    python -m benchmarks.listing

docs/metrics.md holds what it prints; a test compares the two."""

from collections.abc import Mapping

from benchmarks.metrics.declaration import Metric, known_metrics

BETTER = {"lower": "lower", "higher": "higher", "none": "neither"}
GIVEN = {  # what a user brings for an input; the others follow from these
    "real_features": "real set",
    "fake_features": "images",
    "real_outputs": "real set",
    "fake_outputs": "images",
    "probabilities": "images",
    "scores": "images",
    "real_scores": "reference images",
    "asked": "prompts",
    "labels": "labels",
    "real_images": "reference images",
    "fake_images": "images",
    "image_embeddings": "images",
    "text_embeddings": "texts",
    "posture": "images",
    "controls": "control maps",
    "fake_controls": "images",
    "real_masks": "reference images",
    "fake_masks": "images",
    "volumes_hu": "volumes in HU",
    "spacing_mm": "spacing",
    "first_values": "two arms",
    "races": "race",
    "ages": "age",
    "train_features": "training set",
    "heldout_features": "held-out set",
}
NETWORK = {  # what has to look at the images for an input
    "real_features": "any",
    "train_features": "any",
    "real_outputs": "one with class outputs",
    "probabilities": "classifier",
    "scores": "classifier",
    "text_embeddings": "CLIP",
    "posture": "posture",
    "race_scores": "race classifier",
    "predicted_ages": "age",
    "real_masks": "segmentation",
    "volume_masks": "segmentation",
}
OWN_NETWORK = {"cmmd": "CLIP", "radiomics_fd": "radiomics"}  # what the metric is defined on


def table() -> str:
    """One row for each metric, family by family."""
    lines = ["| metric | says | better | from | n | network | source |"]
    lines.append("| --- | --- | --- | --- | ---: | --- | --- |")
    known = known_metrics().values()
    families = sorted(known, key=lambda m: (m.function.__module__, m.name))
    lines += [_row(metric) for metric in families]
    return "\n".join(lines)


def _row(metric: Metric) -> str:
    cells = (
        f"`{metric.name}`",
        metric.says,
        BETTER[metric.direction],
        _words(metric, GIVEN),
        str(metric.min_samples),
        OWN_NETWORK.get(metric.name) or _words(metric, NETWORK) or "none",
        metric.source.replace("|", "\\|"),
    )
    return f"| {' | '.join(cells)} |"


def _words(metric: Metric, said: Mapping[str, str]) -> str:
    return ", ".join(dict.fromkeys(said[need] for need in metric.needs if need in said))


if __name__ == "__main__":
    print(table())
