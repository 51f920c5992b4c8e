"""Words of findings that are spelt with one slip: a letter too many, too few, wrong or swapped."""

from functools import lru_cache

LEAST = 7  # letters; shorter words are too near to other words
WORDS = {
    "Cardiomegaly": ("cardiomegaly",),
    "Lung Opacity": ("opacity", "opacities", "opacification", "infiltrate", "infiltrates"),
    "Lung Lesion": ("nodules", "metastases", "metastasis", "carcinoma", "neoplasm", "granuloma"),
    "Edema": ("congestion",),
    "Consolidation": ("consolidation", "consolidations", "consolidative"),
    "Pneumonia": ("pneumonia", "pneumonias", "bronchopneumonia", "infection"),
    "Atelectasis": ("atelectasis", "atelectases", "atelectatic", "collapse"),
    "Pneumothorax": ("pneumothorax", "pneumothoraces", "hydropneumothorax"),
    "Pleural Effusion": ("effusion", "effusions", "hydrothorax", "hemothorax", "haemothorax"),
    "Pleural Other": ("fibrothorax",),
    "Fracture": ("fracture", "fractures", "fractured"),
    "Support Devices": ("catheter", "catheters", "pacemaker", "tracheostomy", "endotracheal"),
}
OTHERS = {
    *("modules", "injection", "inflection", "infecting", "effusive", "catheterize", "pneumonic"),
    *("infiltrated", "infiltrative", "consolidating", "noodles", "hemithorax", "haemithorax"),
}  # words of their own


@lru_cache(maxsize=8192)
def misspelt(word: str) -> str:
    """The label whose word this is with one slip, or an empty string."""
    if word in OTHERS:
        return ""
    for label, names in WORDS.items():
        if any(word != name and _one_slip(word, name) for name in names):
            return "" if word in names else label
    return ""


def _one_slip(one: str, other: str) -> bool:
    """Whether one edit or one swap of neighbours leads from one word to the other."""
    if abs(len(one) - len(other)) > 1 or one == other:
        return False
    first = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), -1)
    if first < 0:
        return True  # one ends a letter earlier
    left, right = one[first:], other[first:]
    if len(left) == len(right):
        swapped = left[:2] == right[1::-1] and left[2:] == right[2:]
        return left[1:] == right[1:] or swapped
    return left[1:] == right or left == right[1:]
