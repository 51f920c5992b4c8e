"""Classical segmentation of chest CT in HU: thresholds, components and distances, no weights.

Sizes are in mm. Lobes are approximate, heart and effusion proxies: for phantoms and smoke tests;
a measurement on patients names a trained segmenter. Arrays are (D, H, W), LAS."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage

Array = np.ndarray
NAME = "classical/1"  # enters the fingerprint of whatever is measured on it
EVERYWHERE = np.ones((3, 3, 3), bool)
TRACHEA_MM2 = (60.0, 700.0)
LEAK_ML, LEAK_GROWTH = 120.0, 1.4
LUNG_ML, EFFUSION_ML, VESSEL_MM3 = 200.0, 5.0, 30.0
SCALES = (1.0, 1.5, 2.5)  # mm, of vessels


class Segmenter:
    """One volume; each structure is worked out once, when it is asked for."""

    def __init__(self, hu: Array, spacing: Array) -> None:
        self.hu = hu
        self.spacing = np.asarray(spacing, float)
        self.voxel = float(np.prod(self.spacing))
        self._found: dict[str, Array] = {}

    def __call__(self, name: str) -> Array:
        """(D, H, W) uint8; lung: 1 right, 2 left; lobe: 1 to 5; the others 0 and 1."""
        if name not in self._found:
            self._found[name] = MAKERS[name](self).astype(np.uint8)
        return self._found[name]


def segment(hu: Array, spacing: Array, names: Sequence[str]) -> dict[str, Array]:
    """uint8 masks of lung, lobe, airway, vessel, heart, effusion, body. `spacing`: dz dy dx, mm.

    A volume without the structure gives an empty mask."""
    segmenter = Segmenter(hu, spacing)
    return {name: segmenter(name) for name in names}


def quick_lungs(hu: Array, spacing: Array) -> Array:
    """Lungs as air inside the body, for finding their box: no clean-up at the surface."""
    body = body_of(hu)
    air = (hu < -400) & body
    labels, count = ndimage.label(air)
    if not count:
        return air
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    least = max(50e3 / float(np.prod(spacing)), sizes.max() * 0.1)
    return np.isin(labels, np.flatnonzero(sizes >= least))


# pieces ------------------------------------------------------------------------------------
def grow(mask: Array, radius: float, spacing: Array) -> Array:
    """All voxels within `radius` mm of a mask."""
    if not mask.any():
        return mask.copy()
    window = _around(mask, radius, spacing)
    found = np.zeros_like(mask)
    found[window] = ndimage.distance_transform_edt(~mask[window], spacing) <= radius
    return found


def shrink(mask: Array, radius: float, spacing: Array) -> Array:
    """All voxels of a mask deeper than `radius` mm in it; the volume's border is no edge."""
    if not mask.any():
        return mask.copy()
    window = _around(mask, 2 * float(np.max(spacing)), spacing)
    found = np.zeros_like(mask)
    found[window] = ndimage.distance_transform_edt(mask[window], spacing) > radius
    return found


def opened(mask: Array, radius: float, spacing: Array) -> Array:
    return grow(shrink(mask, radius, spacing), radius, spacing) & mask


def closed(mask: Array, radius: float, spacing: Array) -> Array:
    return shrink(grow(mask, radius, spacing), radius, spacing) | mask


def _around(mask: Array, margin: float, spacing: Array) -> tuple[slice, ...]:
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    more = [int(np.ceil(margin / step)) + 1 for step in spacing]
    return tuple(
        slice(max(0, part.start - m), part.stop + m) for part, m in zip(box, more, strict=True)
    )


def largest(mask: Array, structure: Array | None = None) -> Array:
    """The largest component; empty when there is none."""
    labels, count = ndimage.label(mask, structure)
    if not count:
        return np.zeros(mask.shape, bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


def without_small(mask: Array, least: float) -> Array:
    """Components of at least so many voxels."""
    labels, _ = ndimage.label(mask, EVERYWHERE)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= max(least, 1))[labels])


def filled(mask: Array) -> Array:
    """Holes filled slice by slice."""
    return np.stack([ndimage.binary_fill_holes(plane) for plane in mask])


def body_of(hu: Array) -> Array:
    return filled(largest(hu > -500))


# lungs and airways ---------------------------------------------------------------------------
def _body(ct: Segmenter) -> Array:
    return body_of(ct.hu)


def air_threshold(hu: Array) -> float:
    """Otsu's threshold on [-1000, 100], kept in [-600, -300]."""
    counts, edges = np.histogram(hu[(hu > -1000) & (hu < 100)], 128, (-1000, 100))
    middle = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts).astype(float)
    above = below[-1] - below
    total = np.cumsum(counts * middle)
    low = total / np.maximum(below, 1)
    high = (total[-1] - total) / np.maximum(above, 1)
    return float(np.clip(middle[np.argmax(below * above * (low - high) ** 2)], -600, -300))


def _airway(ct: Segmenter) -> Array:
    """Grown from the trachea while the threshold rises, until it leaks into the lung."""
    body = ct("body") > 0
    seed = _trachea(ct, body)
    empty = np.zeros(ct.hu.shape, bool)
    if seed is None:
        return empty
    found = empty
    before = 0.0
    for threshold in range(-950, -690, 10):
        labels, _ = ndimage.label((ct.hu < threshold) & body, EVERYWHERE)
        hits = labels[seed]
        hits = hits[hits > 0]
        if not len(hits):
            continue
        grown = np.isin(labels, np.unique(hits))
        volume = float(grown.sum()) * ct.voxel / 1000
        if volume > LEAK_ML or (before > 1 and volume > LEAK_GROWTH * before):
            break
        found, before = grown, volume
    return filled(ndimage.binary_closing(found, EVERYWHERE)) if found.any() else found


def _trachea(ct: Segmenter, body: Array) -> Array | None:
    """A round hole near the midline, in the top third, that goes on for 10 mm."""
    area = ct.spacing[1] * ct.spacing[2]
    columns = np.flatnonzero(body.any(axis=(0, 1)))
    if not len(columns):
        return None
    middle = (columns[0] + columns[-1]) / 2
    top = len(ct.hu)
    last, length = None, 0
    for z in range(top - 1, top * 2 // 3 - 2, -1):
        labels, count = ndimage.label((ct.hu[z] < -900) & body[z])
        found = None
        for label in range(1, count + 1):
            plane = labels == label
            size = float(plane.sum()) * area
            rows, across = np.nonzero(plane)
            off = abs(across.mean() - middle) * ct.spacing[2]
            if TRACHEA_MM2[0] <= size <= TRACHEA_MM2[1] and off < 40 and _round(plane, ct.spacing):
                found = (z, int(np.median(rows)), int(np.median(across)))
        length = length + 1 if found and (last is None or _near(found, last, ct.spacing)) else 0
        last = found or None
        if found and (length + 1) * ct.spacing[0] >= 10:
            seed = np.zeros(ct.hu.shape, bool)
            seed[found[0]] = (
                ndimage.label((ct.hu[z] < -900) & body[z])[0]
                == (ndimage.label((ct.hu[z] < -900) & body[z])[0][found[1], found[2]])
            )
            return seed
    return None


def _near(one: tuple[int, ...], other: tuple[int, ...], spacing: Array) -> bool:
    return bool(np.linalg.norm((np.array(one) - other)[1:] * spacing[1:]) < 12)


def _round(plane: Array, spacing: Array) -> bool:
    """Area against that of the circle about the farthest point."""
    rows, columns = np.nonzero(plane)
    y = (rows - rows.mean()) * spacing[1]
    x = (columns - columns.mean()) * spacing[2]
    reach = float(np.sqrt((x * x + y * y).max())) + spacing[2] / 2
    return bool(plane.sum() * spacing[1] * spacing[2] / (np.pi * reach * reach) > 0.4)


def _lung(ct: Segmenter) -> Array:
    body = ct("body") > 0
    air = (ct.hu < air_threshold(ct.hu)) & body
    air &= ~grow(ct("airway") > 0, 1.5, ct.spacing)
    labels, _ = ndimage.label(air)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    sizes[np.unique(labels[:, :, [0, -1]])] = 0
    least = LUNG_ML * 1000 / ct.voxel
    kept = [int(i) for i in np.argsort(-sizes)[:2] if sizes[i] >= least]
    parts = [labels == label for label in kept]
    if len(parts) == 1:
        parts = _apart(parts[0], ct)
    found = np.zeros(ct.hu.shape, np.uint8)
    if not parts:
        return found
    columns = np.arange(ct.hu.shape[2])
    centres = [float((p.sum(axis=(0, 1)) * columns).sum() / p.sum()) for p in parts]
    middle = float(np.mean(np.flatnonzero(body.any(axis=(0, 1)))))
    for part, centre in sorted(zip(parts, centres, strict=True), key=lambda pair: pair[1]):
        right = centre < middle if len(parts) == 1 else centre == min(centres)
        whole = closed(part, 8, ct.spacing) & body & ~(ct.hu > 400)  # ribs
        found[whole & (found == 0)] = 1 if right else 2
    return found


def _apart(lungs: Array, ct: Segmenter) -> list[Array]:
    """Two lungs that touch: eroded until they part, then grown back by distance."""
    columns = np.flatnonzero(lungs.any(axis=(0, 1)))
    if (columns[-1] - columns[0]) * ct.spacing[2] < 170:  # it is one lung
        return [lungs]
    depth = ndimage.distance_transform_edt(lungs, ct.spacing)
    for radius in np.arange(1, 8.5, 1):
        labels, _ = ndimage.label(depth > radius)
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        order = np.argsort(-sizes)[:2]
        if len(order) == 2 and sizes[order[1]] * ct.voxel > LUNG_ML * 500:
            markers = np.zeros(labels.shape, np.uint8)
            markers[labels == order[0]], markers[labels == order[1]] = 1, 2
            nearest = ndimage.distance_transform_edt(
                markers == 0, ct.spacing, return_distances=False, return_indices=True
            )
            owner = markers[tuple(nearest)]
            return [lungs & (owner == 1), lungs & (owner == 2)]
    return [lungs]


def _lobe(ct: Segmenter) -> Array:
    """In each lung's box: u upward, v from front to back; lower lobe where u < 0.15 + 0.65 v."""
    lungs = ct("lung")
    found = np.zeros(lungs.shape, np.uint8)
    for side in (1, 2):
        lung = lungs == side
        if not lung.any():
            continue
        z, y, _ = ndimage.find_objects(lung.astype(np.uint8))[0]
        up = (np.arange(lung.shape[0]) + 0.5 - z.start) / (z.stop - z.start)
        back = 1 - (np.arange(lung.shape[1]) + 0.5 - y.start) / (y.stop - y.start)
        lower = up[:, None, None] < 0.15 + 0.65 * back[None, :, None]
        upper = np.where(up[:, None, None] < 0.55, 4, 3) if side == 1 else 1
        label = np.where(lower, 5 if side == 1 else 2, upper)
        found = np.where(lung, np.broadcast_to(label, lung.shape), found).astype(np.uint8)
    return found


def _vessel(ct: Segmenter) -> Array:
    """Bright tubes in the lungs: objectness over three scales, or plain brightness inside."""
    import SimpleITK as sitk

    lungs = ct("lung") > 0
    if not lungs.any():
        return lungs
    inner = shrink(lungs, 2, ct.spacing)
    window = _around(lungs, 4, ct.spacing)
    image = sitk.GetImageFromArray(np.clip(ct.hu[window], -1000, 300).astype(np.float32))
    image.SetSpacing([float(step) for step in ct.spacing[::-1]])
    response = np.zeros(ct.hu[window].shape, np.float32)
    for scale in SCALES:
        smooth = sitk.SmoothingRecursiveGaussian(image, max(scale, 0.5 * float(max(ct.spacing))))
        tubes = sitk.ObjectnessMeasure(smooth, 0.5, 0.5, 5.0, True, 1, True)
        np.maximum(response, sitk.GetArrayFromImage(tubes), out=response)
    part = inner[window]
    strong = response > np.percentile(response[part], 97) if part.any() else part
    hu = ct.hu[window]
    bright = part & ((strong & (hu > -600)) | (hu > -300))
    bright &= ~grow(ct("airway") > 0, 2, ct.spacing)[window]
    found = np.zeros(ct.hu.shape, bool)
    found[window] = without_small(bright, VESSEL_MM3 / ct.voxel)
    return found


# heart and effusion -----------------------------------------------------------------------------
def hull_of(plane: Array) -> Array:
    """The convex hull of one slice's mask."""
    from PIL import Image, ImageDraw
    from scipy.spatial import ConvexHull, QhullError

    points = np.argwhere(plane)
    picture = Image.new("1", plane.shape[::-1])
    try:
        corners = points[ConvexHull(points).vertices] if len(points) > 2 else []
    except QhullError:  # all on one line
        return plane
    if not len(corners):
        return plane
    ImageDraw.Draw(picture).polygon([(int(x), int(y)) for y, x in corners], fill=1, outline=1)
    return np.array(picture, bool)


def _smooth(ct: Segmenter, sigma: float) -> Array:
    return np.asarray(ndimage.gaussian_filter(ct.hu.astype(np.float32), sigma / ct.spacing))


def _heart(ct: Segmenter) -> Array:
    lungs = ct("lung")
    found = np.zeros(lungs.shape, bool)
    if not lungs.any():
        return found
    smooth = _smooth(ct, 2.0)
    last = _carina(ct, lungs)
    bottom = int(np.flatnonzero(lungs.any(axis=(1, 2)))[0])
    for z in range(bottom, last):
        both = lungs[z] > 0
        if both.any():
            found[z] = hull_of(both) & ~both & (smooth[z] > -50) & (smooth[z] < 350)
    found &= ~grow(smooth > 200, 4, ct.spacing)
    return closed(largest(opened(found, 10, ct.spacing)), 5, ct.spacing)


def _carina(ct: Segmenter, lungs: Array) -> int:
    """The slice above which the airway is one tube; without an airway, 60 % up the lungs."""
    planes = np.flatnonzero(lungs.any(axis=(1, 2)))
    airway = ct("airway") > 0
    for z in range(len(airway) - 1, int(planes[0]), -1):
        labels, count = ndimage.label(airway[z])
        sizes = np.bincount(labels.ravel())[1:] * ct.spacing[1] * ct.spacing[2]
        if count > 1 and (sizes > 30).sum() > 1 and z < planes[-1]:
            return z
    return int(planes[0] + 0.6 * (planes[-1] - planes[0]))


def _effusion(ct: Segmenter) -> Array:
    """Fluid near the ribs at the back or the side, between the levels of the lungs."""
    lungs = ct("lung") > 0
    empty = np.zeros(lungs.shape, bool)
    if not lungs.any():
        return empty
    planes = np.flatnonzero(lungs.any(axis=(1, 2)))
    smooth = _smooth(ct, 2.0)
    fluid = (smooth > -10) & (smooth < 36) & (ct("body") > 0) & ~lungs
    fluid[: planes[0]], fluid[planes[-1] + 1 :] = False, False
    bone = smooth > 150
    fluid &= ~grow(_spine(bone, ct), 5, ct.spacing)
    fluid = opened(fluid, 3.5, ct.spacing)
    labels, count = ndimage.label(fluid)
    wall = grow(bone, 12, ct.spacing)
    touching = np.unique(labels[wall])
    beside = np.unique(labels[grow(lungs, 9, ct.spacing)])
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    kept = [
        label
        for label in np.intersect1d(touching, beside)
        if label and sizes[label] * ct.voxel / 1000 >= EFFUSION_ML
    ]
    found = np.isin(labels, kept)
    # back over the edge that smoothing made between fluid and lung
    edge = (smooth > -420) & (smooth < 40) & ~lungs
    return grow(found, 5, ct.spacing) & edge if kept else empty


def _spine(bone: Array, ct: Segmenter) -> Array:
    """The bone within 30 mm of the midline at the back."""
    columns = np.arange(bone.shape[2])
    middle = np.flatnonzero((ct("body") > 0).any(axis=(0, 1))).mean()
    near = np.abs(columns - middle) * ct.spacing[2] < 30
    back = np.zeros(bone.shape[1], bool)
    back[: bone.shape[1] // 2] = True
    return bone & near[None, None, :] & back[None, :, None]


MAKERS: dict[str, Callable[[Segmenter], Array]] = {
    "body": _body,
    "airway": _airway,
    "lung": _lung,
    "lobe": _lobe,
    "vessel": _vessel,
    "heart": _heart,
    "effusion": _effusion,
}
