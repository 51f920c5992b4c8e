"""What one drawn chest radiograph consists of, before any pixel: patient, visit, findings.

The canonical plane is [-1, 1] x [-1, 1], 360 x 360 mm: x to the image's right (the patient's left),
y down. Lengths are in this unit unless a name says mm."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from datamodules.labels import CANONICAL
from datamodules.phantom.streams import Address

VERSION = 1
DOMAIN = "cxr"
MM = 1 / 180  # canonical units in a millimetre
# One stream each; the findings' own follow from OWN_STREAMS on, in the order of FINDINGS.
PURPOSES = (
    "patient",
    "visit",
    "findings",
    "posture",
    "devices",
    "report",
    "gaze",
    "acquisition",
    "texture",
    "journey",
    "progression",
)
OWN_STREAMS = 16

LABELS = CANONICAL
LONG_TAIL = (
    "Pneumoperitoneum",
    "Pneumomediastinum",
    "Subcutaneous Emphysema",
    "Tortuous Aorta",
    "Calcification of the Aorta",
)
DEVICES = "Support Devices"
PATHOLOGIES = LABELS[1:-1]
FINDINGS = (*PATHOLOGIES, DEVICES, *LONG_TAIL)  # what can be drawn, in stream order
OPACITIES = ("Edema", "Consolidation", "Pneumonia", "Lung Lesion", "Atelectasis")  # all are opacity
PROJECTIONS = ("PA", "AP", "LATERAL", "LL")
SIDES = {"right": -1, "left": 1}  # of the patient: the sign of x
PRESENT = 0.15  # the least severity that is drawn


@dataclass(frozen=True)
class Patient:
    """What stays the same over visits."""

    subject: int
    sex: str  # F or M
    age: float  # years at the first visit, 20 to 90
    habitus: float  # standardised, -2.5 to 2.5: soft tissue
    top_right: float  # y of the lung's apex
    top_left: float
    dome_level: float  # y of the costophrenic angles
    dome_height: float  # of the left dome over them
    ctr: float  # cardiothoracic ratio without cardiomegaly
    heart_tilt: tuple[float, float]  # cosine and sine
    heart_height: float  # half of the heart's height
    knob_noise: float  # standardised
    knob: float  # radius of the aortic arch
    bone_noise: float  # standardised
    bone: float  # density of ribs, clavicles and spine; 1 at fifty years
    rib_phase: float
    rib_slope: float
    rib_curve: float
    clavicle_tilt: float
    spine_curve: float
    hilum: float  # size of the hila, about 1
    vessels: int  # which of the vessel trees
    texture: tuple[float, float]  # offsets of the parenchyma's texture
    group: int  # acquisition group, 0 to 3: tone only, no anatomy

    @property
    def identity(self) -> tuple[float, ...]:
        """The sixteen standardised numbers that make a patient recognisable."""
        return (
            1.0 if self.sex == "M" else -1.0,
            self.habitus,
            _standard(self.top_right, -0.77, 0.04),
            _standard(self.top_left, -0.77, 0.04),
            _standard(self.dome_level, 0.62, 0.03),
            _standard(self.dome_height, 0.14, 0.02),
            _standard(self.ctr, 0.45, 0.052),
            _standard(self.heart_tilt[1], 0.0, 0.259),
            _standard(self.heart_height, 0.34, 0.02),
            self.knob_noise,
            self.bone_noise,
            _standard(self.rib_phase, 0.0575, 0.0575),
            _standard(self.rib_slope, 0.12, 0.06),
            _standard(self.rib_curve, 0.3, 0.08),
            _standard(self.clavicle_tilt, 0.18, 0.08),
            _standard(self.spine_curve, 0.0, 0.04),
        )


def _standard(value: float, middle: float, half_range: float) -> float:
    """A uniform value scaled to unit variance, six decimals."""
    return round((value - middle) / half_range * 1.732051, 6)


@dataclass(frozen=True)
class Posture:
    """Canonical q to image p: p = R(theta) diag(sx, sy) q + (tx, ty), a sampling grid's theta."""

    sx: float = 1.0
    sy: float = 1.0
    theta: float = 0.0  # radians
    tx: float = 0.0
    ty: float = 0.0
    cosine: float = 1.0
    sine: float = 0.0

    @property
    def matrix(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """(2, 3), canonical to image; as a sampling grid it turns the image canonical."""
        return (
            (self.sx * self.cosine, -self.sy * self.sine, self.tx),
            (self.sx * self.sine, self.sy * self.cosine, self.ty),
        )


@dataclass(frozen=True)
class Acquisition:
    """How the picture was taken and developed."""

    tone: float  # strength of the tone curve: group and visit together
    grain: tuple[int, int]  # offsets of the sensor noise, pixels of the drawn grid
    noise: float = 0.02  # its deviation, grey values in [0, 1]
    collimated: bool = False  # black outside the frame of the canonical plane


@dataclass(frozen=True)
class Finding:
    """One present finding; `numbers` hold its geometry and its measures."""

    side: str  # left, right, bilateral, or empty for the midline
    place: str  # upper, mid, lower, base, apex, or empty
    severity: float  # 0.15 to 1
    numbers: Mapping[str, float]
    onset: int = 0  # the visit whose stream drew place and shape


@dataclass(frozen=True)
class Device:
    """One tube, line or generator, as polylines of canonical points."""

    kind: str
    side: str  # left, right or empty
    position: str  # of the tip, in words
    tip: tuple[float, float]
    lines: tuple[tuple[tuple[float, float], ...], ...]
    width: float
    boxes: tuple[tuple[float, float, float, float], ...] = ()  # x, y, half width, half height


@dataclass(frozen=True)
class Study:
    """Everything that a radiograph, its report and a reading of it are drawn from."""

    place: Address
    patient: Patient
    posture: Posture
    acquisition: Acquisition
    findings: Mapping[str, Finding]  # the present ones, in the order of FINDINGS
    devices: tuple[Device, ...]
    projection: str  # PA, AP, LATERAL or LL
    recorded_view: str  # as the table says it: blank or wrong for a few
    min_feature: float  # mm, the least width of anything thin
    days: float = 0.0  # since the first visit
    changes: Mapping[str, str] = field(default_factory=dict)  # since the visit before

    @property
    def age(self) -> float:
        """Years at this visit."""
        return round(self.patient.age + self.days / 365.25, 6)

    @property
    def ctr(self) -> float:
        """Cardiothoracic ratio, before an AP view magnifies the heart."""
        found = self.findings.get("Cardiomegaly")
        return found.numbers["ctr"] if found else self.patient.ctr

    @property
    def magnification(self) -> float:
        """Of the heart by the view."""
        return 1.12 if self.projection == "AP" else 1.0


def labels_of(study: Study, longtail: bool = False) -> dict[str, int]:
    """Image truth, 0 or 1, of the fourteen labels, or of all nineteen."""
    found = dict.fromkeys((*LABELS, *LONG_TAIL) if longtail else LABELS, 0)
    for name in found.keys() & study.findings.keys():
        found[name] = 1
        if name in OPACITIES:
            found["Lung Opacity"] = 1
    found["No Finding"] = int(found.keys() & study.findings.keys() <= {DEVICES})
    return found


def severity_word(severity: float) -> str:
    """mild below 0.3, moderate below 0.65, else severe."""
    return "mild" if severity < 0.3 else "moderate" if severity < 0.65 else "severe"
