"""Fitted extractors as one file, so that two machines measure with the same weights."""

import zipfile
from pathlib import Path, PurePosixPath

from medbench.core.errors import UserError
from medbench.core.files import atomic_path, is_complete
from medbench.plan import Plan


def export_stages(plan: Plan, path: Path) -> None:
    """Every stage of the plan in a zip, under its folder's name."""
    if not plan.stages:
        raise UserError("export: this protocol measures with no fitted extractor.")
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for stage in plan.stages:
            for file in sorted(p for p in stage.folder.rglob("*") if p.is_file()):
                archive.write(file, f"{stage.folder.name}/{file.relative_to(stage.folder)}")


def import_stage(path: Path, out: Path, name: str) -> Path:
    """The folder of a stage; an exported zip is unpacked beside the stages that are fitted here."""
    if path.suffix != ".zip":
        if path.is_dir() and not is_complete(path):
            raise UserError(
                f"extractors.{name}.stage={path} is not a finished stage: it has no marker "
                "`complete`. Name a folder such as outputs/stages/NAME-FINGERPRINT."
            )
        return path
    if not path.is_file():
        raise UserError(f"extractors.{name}.stage={path} is not a file.")
    try:
        with zipfile.ZipFile(path) as archive:
            names = [PurePosixPath(entry) for entry in archive.namelist()]
            tops = sorted({entry.parts[0] for entry in names if len(entry.parts) > 1})
            if len(tops) != 1 or any(".." in e.parts or e.is_absolute() for e in names):
                raise UserError(
                    f"extractors.{name}.stage={path} holds {len(tops)} stages; unpack it and name "
                    "the folder of one."
                )
            folder = out / "imported" / tops[0]
            if not is_complete(folder):
                archive.extractall(folder.parent)
    except zipfile.BadZipFile as error:
        raise UserError(f"extractors.{name}.stage={path} is not a zip file ({error}).") from error
    return folder
