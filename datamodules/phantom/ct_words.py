"""Reports and labels of the CT phantom, and pairs of prompts that differ in one finding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datamodules.phantom.ct_findings import FINDINGS, Finding
from datamodules.phantom.ct_patient import PURPOSES
from datamodules.phantom.ct_scene import Scene
from datamodules.phantom.streams import Address

LABELS = (
    "Medical material",
    "Arterial wall calcification",
    "Cardiomegaly",
    "Pericardial effusion",
    "Coronary artery wall calcification",
    "Hiatal hernia",
    "Lymphadenopathy",
    "Emphysema",
    "Atelectasis",
    "Lung nodule",
    "Lung opacity",
    "Pulmonary fibrotic sequela",
    "Pleural effusion",
    "Mosaic attenuation pattern",
    "Peribronchial thickening",
    "Consolidation",
    "Bronchiectasis",
    "Interlobular septal thickening",
)
SHOWN_BY = {
    "Medical material": ("medical material",),
    "Arterial wall calcification": ("aortic calcium",),
    "Cardiomegaly": ("cardiomegaly",),
    "Pericardial effusion": ("pericardial effusion",),
    "Coronary artery wall calcification": ("coronary calcium",),
    "Emphysema": ("emphysema", "bullae"),
    "Atelectasis": ("atelectasis",),
    "Lung nodule": ("nodule",),
    "Lung opacity": ("ground glass", "consolidation"),
    "Pleural effusion": ("pleural effusion",),
    "Consolidation": ("consolidation",),
    "Bronchiectasis": ("bronchiectasis",),
}
GRADES = {"small": "mild", "moderate": "moderate", "large": "severe"}
PRESENT = {
    "pleural effusion": (
        "There is a {size} {side} pleural effusion.",
        "A {size} {side} pleural effusion is present.",
    ),
    "emphysema": (
        "There is {grade} centrilobular emphysema, mainly in the upper lobes.",
        "Emphysematous changes of {grade} extent are seen in both lungs.",
    ),
    "bullae": (
        "{count} subpleural bullae are seen, the largest {width} mm wide.",
        "There are bullae ({count}), measuring up to {width} mm.",
    ),
    "cardiomegaly": (
        "The heart is enlarged, with a cardiothoracic ratio of {ctr}.",
        "There is cardiomegaly; the cardiothoracic ratio is {ctr}.",
    ),
    "consolidation": (
        "There is consolidation with air bronchograms in the {lobe} lobe.",
        "A {size} consolidation is seen in the {lobe} lobe.",
    ),
    "ground glass": (
        "There is a {size} ground-glass opacity in the {lobe} lobe.",
        "Ground-glass opacification is seen in the {lobe} lobe.",
    ),
    "nodule": (
        "There is {an} {width} mm {density} nodule in the {lobe} lobe{more}.",
        "A {density} pulmonary nodule of {width} mm lies in the {lobe} lobe{more}.",
    ),
    "atelectasis": (
        "There is {grade} atelectasis of the {lobe} lobe.",
        "The {lobe} lobe shows {grade} atelectasis with volume loss.",
    ),
    "pneumothorax": (
        "There is a {size} {side} pneumothorax.",
        "A {size} pneumothorax is seen on the {side}.",
    ),
    "pericardial effusion": (
        "There is a {size} pericardial effusion of {width} mm.",
        "A pericardial effusion is present, {width} mm thick.",
    ),
    "aortic calcium": (
        "There is {grade} atherosclerotic calcification of the aorta.",
        "Calcified plaques are seen in the wall of the aorta.",
    ),
    "coronary calcium": (
        "There is {grade} coronary artery calcification.",
        "Calcifications are seen in the coronary arteries.",
    ),
    "bronchiectasis": (
        "There is bronchiectasis in the {lobe} lobe.",
        "The bronchi of the {lobe} lobe are dilated, consistent with bronchiectasis.",
    ),
    "medical material": ("{device} is in place.", "{device} is seen."),
}
NOUNS = {
    "pleural effusion": "pleural effusion",
    "emphysema": "emphysema",
    "bullae": "bullae",
    "consolidation": "consolidation",
    "ground glass": "ground-glass opacity",
    "nodule": "pulmonary nodule",
    "atelectasis": "atelectasis",
    "pneumothorax": "pneumothorax",
    "pericardial effusion": "pericardial effusion",
    "bronchiectasis": "bronchiectasis",
    "coronary calcium": "coronary artery calcification",
    "aortic calcium": "calcification of the aorta",
}
DEVICES = {
    "tube": "An endotracheal tube",
    "lead": "A cardiac pacemaker with a lead",
    "port": "A central venous port catheter",
}
ABSENT = {"cardiomegaly": ("The heart size is normal.", "The heart is not enlarged.")}
DOUBTFUL = ("consolidation", "ground glass", "atelectasis", "bronchiectasis")
PLAIN = (
    "The trachea and the main bronchi are patent.",
    "The visible upper abdomen is unremarkable.",
    "No suspicious bone lesion.",
)
PAIRS: dict[str, tuple[str, dict[str, Any]]] = {
    "effusion": ("pleural effusion", {"severity": 0.9, "side": "both"}),
    "bullae": ("bullae", {"severity": 0.9}),
    "cardiomegaly": ("cardiomegaly", {"severity": 0.9}),
}


@dataclass(frozen=True)
class Report:
    """mentions: finding -> 1 present, 0 absent, -1 doubtful; what is not there is not said."""

    findings: str
    impression: str
    mentions: dict[str, float]

    @property
    def text(self) -> str:
        return f"FINDINGS: {self.findings}\nIMPRESSION: {self.impression}"


@dataclass(frozen=True)
class PromptPair:
    """Two texts about one patient, and the `set=` of the two draws they are true of."""

    finding: str
    with_finding: dict[str, Any]
    without: dict[str, Any]


def prompt_pair(name: str) -> PromptPair:
    """effusion, bullae or cardiomegaly: what to set so that only that finding differs."""
    finding, wish = PAIRS[name]
    return PromptPair(finding, {finding: wish}, {finding: False})


def write_report(scene: Scene, place: Address, deny: Sequence[str] = ()) -> Report:
    """Findings and impression of a scene; `deny` names findings whose absence must be said."""
    draw = place.stream(PURPOSES["report"])
    sentences, mentions = [], {}
    denied = []
    for name in FINDINGS:
        choice, doubt, said = draw.integer(0, 1), draw.unit(), draw.chance(0.5)
        finding = scene.findings.get(name)
        if finding is None:
            if (said or name in deny) and (name in ABSENT or name in NOUNS):
                denied.append((name, choice))
                mentions[name] = 0.0
        elif name in DOUBTFUL and finding.severity < 0.3 and doubt < 0.25:
            sentences.append(f"Possible {NOUNS[name]} in the {finding.lobe} lobe.")
            mentions[name] = -1.0
        else:
            sentences.append(PRESENT[name][choice].format(**words_of(finding)))
            mentions[name] = 1.0
    sentences = [sentence[0].upper() + sentence[1:] for sentence in sentences]
    body = [*sentences, *_denials(denied), draw.choose(PLAIN)]
    return Report(" ".join(body), _impression(scene, mentions), mentions)


def words_of(finding: Finding) -> dict[str, str]:
    """What the templates may say of a finding."""
    numbers, shapes = finding.numbers, finding.shapes
    width = {
        "nodule": numbers.get("diameter_mm", 0.0),
        "bullae": 2 * numbers.get("radius_mm", 0.0),
        "pericardial effusion": numbers.get("thickness_mm", 0.0),
    }.get(finding.name, 0.0)
    several = finding.name == "nodule" and numbers["count"] > 1
    solid = finding.name != "nodule" or shapes[0][4] > -100
    return {
        "size": finding.size,
        "grade": GRADES[finding.size],
        "side": {"both": "bilateral"}.get(finding.side, finding.side),
        "lobe": finding.lobe,
        "an": "an" if round(max(width, 1)) in (8, 11, 18) else "a",
        "width": f"{max(width, 1):.0f}",
        "count": _counted(int(numbers.get("count", 1))),
        "ctr": f"{numbers.get('ctr', 0):.2f}",
        "density": "solid" if solid else "ground-glass",
        "more": f", the largest of {_counted(int(numbers['count']))}" if several else "",
        "device": DEVICES.get(finding.kind, ""),
    }


def _counted(number: int) -> str:
    names = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return names[number] if number < len(names) else str(number)


def _denials(denied: Sequence[tuple[str, int]]) -> list[str]:
    """What is not there, two to a sentence."""
    own = [ABSENT[name][choice] for name, choice in denied if name in ABSENT]
    nouns = [NOUNS[name] for name, _ in denied if name not in ABSENT]
    pairs = [nouns[i : i + 2] for i in range(0, len(nouns), 2)]
    return [*own, *(f"No {' or '.join(pair)}." for pair in pairs)]


def _impression(scene: Scene, mentions: Mapping[str, float]) -> str:
    """What is there, the most severe first."""
    order = sorted(mentions, key=lambda name: -_severity(scene, name))
    lines = []
    for name in order:
        if mentions[name] == 0:
            continue
        finding = scene.findings[name]
        if mentions[name] < 0:
            lines.append(f"Possible {NOUNS[name]}.")
        else:
            lines.append(_summary(finding))
    return " ".join(lines) or "No acute abnormality of the chest."


def _summary(finding: Finding) -> str:
    words = words_of(finding)
    if finding.name in ("pleural effusion", "pneumothorax"):
        return f"{words['size']} {words['side']} {finding.name}.".capitalize()
    if finding.name in ("cardiomegaly", "bullae"):
        return f"{finding.name}.".capitalize()
    if finding.name == "medical material":
        return f"{words['device']} in place."
    if finding.lobe:
        return f"{NOUNS[finding.name]} of the {finding.lobe} lobe.".capitalize()
    return f"{words['grade']} {NOUNS[finding.name]}.".capitalize()


def _severity(scene: Scene, name: str) -> float:
    finding = scene.findings.get(name)
    return finding.severity if finding else 0.0


# labels ---------------------------------------------------------------------------------------
def image_labels(scene: Scene) -> dict[str, int]:
    """The eighteen labels of CT-RATE as the volume shows them; the phantom drives twelve."""
    return {
        label: int(any(name in scene.findings for name in SHOWN_BY.get(label, ())))
        for label in LABELS
    }


def report_labels(mentions: Mapping[str, float]) -> dict[str, int]:
    """The same as the report says them: present or possible."""
    return {
        label: int(any(mentions.get(name, 0) != 0 for name in SHOWN_BY.get(label, ())))
        for label in LABELS
    }
