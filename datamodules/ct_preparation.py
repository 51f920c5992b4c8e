"""A chest CT on the grid that methods share: box or atlas, resampling, registration of the lungs.

Without an atlas: the lungs' box and 20 mm more, as `of`^3 voxels. With one, as MedSyn: the lungs'
mask (not the image) is registered on the atlas's, affinely, and everything follows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datamodules import segmentation
from datamodules.nifti import check_affine, read_nifti, to_las
from datamodules.volumes import Array, Ct
from medbench.core.errors import UserError

if TYPE_CHECKING:
    import SimpleITK as sitk

MARGIN = 20.0  # mm round the lungs
COARSE = 3.0  # mm of the grid on which the box is found
MATCHED = 2.0  # mm of the grid on which masks are registered
OUTSIDE = -1024.0  # HU where a volume has no voxels
LEVELS = ((4, 2.0, 500), (2, 1.0, 250), (1, 0.0, 100))  # shrink, smoothing in voxels, iterations
RIGHT, LEFT = 50, 100  # values of the lungs in the masks that are registered


@dataclass(frozen=True)
class Box:
    """A field of view in mm of the volume's own coordinates, z y x."""

    low: tuple[float, float, float]
    extent: tuple[float, float, float]

    @classmethod
    def of_lungs(cls, ct: Ct, where: str) -> "Box":
        """The lungs and MARGIN mm round them."""
        spacing = np.asarray(ct.spacing_mm, float)
        steps = [max(1, int(COARSE / step)) for step in spacing]
        small = ct.hu[:: steps[0], :: steps[1], :: steps[2]]
        lungs = segmentation.quick_lungs(small, spacing * steps)
        if not lungs.any():
            raise UserError(f"{where}: no lungs were found, so that the field cannot be chosen.")
        low, high = [], []
        for axis, (step, mm) in enumerate(zip(steps, spacing, strict=True)):
            found = np.flatnonzero(lungs.any(axis=tuple(a for a in range(3) if a != axis)))
            low.append(found[0] * step * mm - MARGIN)
            high.append((found[-1] + 1) * step * mm + MARGIN)
        extent = [float(b - a) for a, b in zip(low, high, strict=True)]
        return cls((float(low[0]), float(low[1]), float(low[2])), (extent[0], extent[1], extent[2]))


def prepare_ct(
    ct: Ct, masks: Mapping[str, Array], box: Box, size: int, of: int
) -> tuple[Array, dict[str, Array], Array]:
    """int16 HU, uint8 masks and spacing on every (of/size)-th voxel of `of`^3 in the box.

    HU linearly, smoothed first where the grid of `of` is coarser; masks by nearest neighbour."""
    fine = np.array(box.extent) / of
    grid = _grid(box, fine, size, of // size)
    hu = _resample(_smoothed(ct, fine), grid, OUTSIDE, nearest=False)
    found = {
        name: _resample(_image(mask, ct.spacing_mm), grid, 0, nearest=True).astype(np.uint8)
        for name, mask in masks.items()
    }
    spacing = (fine * (of // size)).astype(np.float32)
    return np.clip(np.rint(hu), -32768, 32767).astype(np.int16), found, spacing


def prepare_named(
    ct: Ct,
    masks: Mapping[str, Array],
    of: int,
    registration: str,
    atlas: Path | None,
    where: str,
) -> dict[str, Array]:
    """What is stored of a case; the structures that no file gives are found classically."""
    if registration == "affine":
        assert atlas is not None
        hu, found, spacing, matrix = _on_atlas(ct, masks, of, read_atlas(atlas), where)
    else:
        hu, found, spacing = prepare_ct(ct, masks, Box.of_lungs(ct, where), of, of)
        matrix = np.eye(4)
    missing = [name for name in ("lobe", "airway", "vessel") if name not in found]
    found |= segmentation.segment(hu, spacing, missing)
    return {"hu": hu, "spacing_mm": spacing, "matrix": matrix} | found


# images of SimpleITK in our axes ------------------------------------------------------------
def _image(values: Array, spacing: Array) -> "sitk.Image":
    """Axes as they are; the origin is the corner of the first voxel plus half of it."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(values))
    dz, dy, dx = (float(step) for step in spacing)
    image.SetSpacing((dx, dy, dz))
    image.SetOrigin((dx / 2, dy / 2, dz / 2))
    return image


def _grid(box: Box, fine: Array, size: int, stride: int) -> dict[str, Any]:
    """Where the decimated voxels lie: phase 0 keeps the first centre of the fine grid."""
    origin = [low + step / 2 for low, step in zip(box.low, fine, strict=True)]
    return {
        "size": (size, size, size),
        "spacing": tuple(float(step * stride) for step in fine[::-1]),
        "origin": tuple(float(value) for value in origin[::-1]),
    }


def _smoothed(ct: Ct, fine: Array) -> "sitk.Image":
    """Before a coarser grid: a Gaussian of half the voxel that is added, along each axis."""
    import SimpleITK as sitk

    image = _image(ct.hu.astype(np.float32), ct.spacing_mm)
    for axis, (new, old) in enumerate(zip(fine[::-1], ct.spacing_mm[::-1], strict=True)):
        if new > 1.2 * old:
            sigma = 0.4 * float((new * new - old * old) ** 0.5)
            if image.GetSize()[axis] >= 4:
                image = sitk.RecursiveGaussian(image, sigma, False, 0, axis)
    return image


def _resample(
    image: "sitk.Image",
    grid: Mapping[str, Any],
    fill: float,
    nearest: bool,
    transform: "sitk.Transform | None" = None,
) -> Array:
    import SimpleITK as sitk

    filter_ = sitk.ResampleImageFilter()
    filter_.SetNumberOfThreads(1)
    filter_.SetSize([int(n) for n in grid["size"]])
    filter_.SetOutputSpacing(grid["spacing"])
    filter_.SetOutputOrigin(grid["origin"])
    filter_.SetInterpolator(sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)
    filter_.SetDefaultPixelValue(fill)
    if transform is not None:
        filter_.SetTransform(transform)
    return np.asarray(sitk.GetArrayFromImage(filter_.Execute(image)))


# registration ---------------------------------------------------------------------------------
@dataclass(frozen=True)
class Atlas:
    lungs: Array  # (D, H, W) uint8: 0, RIGHT, LEFT
    spacing_mm: Array


def read_atlas(path: Path) -> Atlas:
    """A NIfTI mask of both lungs: 1 right and 2 left, or 50 and 100."""
    stored, header = read_nifti(path)
    check_affine(header)
    assert header.affine is not None
    turned, spacing = to_las(stored, header.affine)
    values = set(np.unique(turned).tolist())
    if not values <= {0, 1, 2} and not values <= {0, RIGHT, LEFT}:
        raise UserError(f"atlas={path}: values are {sorted(values)}; a lung mask has 0, 1 and 2.")
    if values <= {0, 1, 2}:
        turned = np.array([0, RIGHT, LEFT], np.uint8)[turned.astype(np.uint8)]
    return Atlas(np.ascontiguousarray(turned).astype(np.uint8), spacing)


def make_atlas(ct: Ct, path: Path, field_mm: tuple[float, float, float] = (292, 316, 316)) -> None:
    """Write the lungs of a chosen scan on a 1 mm grid round them as an atlas (1 right, 2 left)."""
    import SimpleITK as sitk

    box = Box.of_lungs(ct, "the atlas")
    middle = [low + half / 2 for low, half in zip(box.low, box.extent, strict=True)]
    low = [m - extent / 2 for m, extent in zip(middle, field_mm, strict=True)]
    lungs = lung_sides(ct)
    size = [round(extent) for extent in field_mm][::-1]
    grid = {
        "size": size,
        "spacing": (1.0, 1.0, 1.0),
        "origin": tuple(value + 0.5 for value in low[::-1]),
    }
    found = _resample(_image(lungs, ct.spacing_mm), grid, 0, nearest=True)
    image = sitk.GetImageFromArray((found // RIGHT).astype(np.uint8))
    image.SetDirection((1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))  # our y runs to the front
    sitk.WriteImage(image, str(path), True)


def lung_sides(ct: Ct) -> Array:
    """uint8: RIGHT and LEFT lung of a scan."""
    lungs = segmentation.segment(ct.hu, ct.spacing_mm, ["lung"])["lung"]
    return np.array([0, RIGHT, LEFT], np.uint8)[lungs]


def register_lungs(lungs: Array, spacing: Array, atlas: Atlas) -> "sitk.Transform":
    """The affine transform from the atlas's points to the scan's, by mutual information of the two
    lung masks: centres of mass first, then three levels of gradient descent."""
    import SimpleITK as sitk

    fixed = _matched(atlas.lungs, atlas.spacing_mm)
    moving = _matched(lungs, spacing)
    start = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.AffineTransform(3), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    transform = sitk.AffineTransform(start)
    for shrink, smooth, iterations in LEVELS:
        method = sitk.ImageRegistrationMethod()
        method.SetNumberOfThreads(1)
        method.SetMetricAsMattesMutualInformation(32)
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(0.5, seed=1)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetShrinkFactorsPerLevel([shrink])
        method.SetSmoothingSigmasPerLevel([smooth])
        method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
        method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, iterations, 0.6)
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(transform, inPlace=True)
        method.Execute(fixed, moving)
    return transform


def _matched(lungs: Array, spacing: Array) -> "sitk.Image":
    """A mask on a grid of 2 mm, as floats: finer ones change the transform by little."""
    import SimpleITK as sitk

    extent = np.array(lungs.shape) * np.asarray(spacing, float)
    size = [max(8, int(n)) for n in np.ceil(extent / MATCHED)[::-1]]
    grid = {"size": size, "spacing": (MATCHED,) * 3, "origin": (MATCHED / 2,) * 3}
    found = _resample(_image(lungs, spacing), grid, 0, nearest=True)
    image = sitk.GetImageFromArray(found.astype(np.float32))
    image.SetSpacing((MATCHED,) * 3)
    image.SetOrigin((MATCHED / 2,) * 3)
    return image


def _on_atlas(
    ct: Ct, masks: Mapping[str, Array], of: int, atlas: Atlas, where: str
) -> tuple[Array, dict[str, Array], Array, Array]:
    lungs = lung_sides(ct)
    if not lungs.any():
        raise UserError(f"{where}: no lungs were found, so that it cannot be registered.")
    transform = register_lungs(lungs, ct.spacing_mm, atlas)
    extent = np.array(atlas.lungs.shape) * np.asarray(atlas.spacing_mm, float)
    box = Box((0.0, 0.0, 0.0), (float(extent[0]), float(extent[1]), float(extent[2])))
    fine = extent / of
    grid = _grid(box, fine, of, 1)
    hu = _resample(_smoothed(ct, fine), grid, OUTSIDE, nearest=False, transform=transform)
    found = {
        name: _resample(_image(mask, ct.spacing_mm), grid, 0, True, transform).astype(np.uint8)
        for name, mask in masks.items()
    }
    return np.rint(hu).astype(np.int16), found, fine.astype(np.float32), matrix_of(transform)


def matrix_of(transform: "sitk.Transform") -> Array:
    """(4, 4) of points x, y, z in mm, from the atlas to the scan."""
    zero = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    columns = [np.array(transform.TransformPoint(tuple(unit))) - zero for unit in np.eye(3)]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.array(columns).T, zero
    return matrix
