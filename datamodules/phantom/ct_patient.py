"""The patient of a chest CT: sizes and places that stay when findings come and go."""

from dataclasses import dataclass

from datamodules.phantom.ct_grid import Point
from datamodules.phantom.streams import Address, Stream

PURPOSES = {"patient": 0, "tree": 1, "acquisition": 2, "texture": 3, "report": 4, "pairs": 5}
FIRST_FINDING = 32  # the purpose of the first finding; each has a stream of its own


@dataclass(frozen=True)
class Patient:
    """Lengths in mm, volumes in mL."""

    sex: str
    age: int
    habitus: float  # the body beyond a thin one, 2 to 10
    lung_x: float
    lung_axes: Point
    lung_z: float
    domes: tuple[float, float]  # height of the right and the left dome
    mediastinum: float
    heart: Point
    heart_axes: tuple[float, float]  # along y and z; the third follows from the ratio
    ctr: float  # of the heart without cardiomegaly
    fissure: tuple[float, float, float]  # height, slope and bend of the oblique fissures
    horizontal: float  # height of the right horizontal fissure
    carina: Point
    airway_ml: float
    aorta: float
    ribs: float  # phase
    discs: float  # phase
    contrast: bool


def draw_patient(place: Address) -> Patient:
    """A function of the address's subject: visits of one subject have one patient."""
    place = Address(place.version, place.seed, place.domain, place.split, place.subject)
    draw = place.stream(PURPOSES["patient"])

    def near(value: float) -> float:
        return round(value * draw.uniform(0.96, 1.04), 3)

    right = -58 + draw.uniform(-4, 4)
    sex = "F" if draw.chance(0.5) else "M"
    return Patient(
        sex=sex,
        age=draw.integer(20, 90),
        habitus=draw.uniform(2, 10),
        lung_x=near(68),
        lung_axes=(near(58), near(82), near(118)),
        lung_z=near(-5),
        domes=(right, right - draw.uniform(6, 12)),
        mediastinum=near(24),
        heart=(near(18), near(22), near(-38)),
        heart_axes=(near(48), near(55)),
        ctr=min(max(draw.normal(0.45, 0.03), 0.36), 0.49),
        fissure=(near(-4), near(0.74), draw.uniform(-9, 9)),
        horizontal=5 + draw.uniform(-6, 6),
        carina=(draw.uniform(-2, 4), -26 + draw.uniform(-3, 3), near(38)),
        airway_ml=min(max(draw.normal(46, 11), 24), 70),
        aorta=near(13),
        ribs=draw.uniform(0, 27),
        discs=draw.uniform(0, 26),
        contrast=_contrast(place.stream(PURPOSES["acquisition"])),
    )


def _contrast(draw: Stream) -> bool:
    return draw.chance(0.3)
