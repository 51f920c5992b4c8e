"""A CT dataset whose registration must be prepared can be prepared."""

from pathlib import Path

from datamodules.ct_report import CtReport
from datamodules.phantom.writing import write_layout


def test_what_is_to_be_prepared_is_no_mistake_to_the_command(tmp_path: Path) -> None:
    root = write_layout("ct_report", tmp_path / "root", 3, size=16)
    mask = min(root.rglob("*.nii*"))
    module = CtReport(str(root), size=16, registration="affine", atlas=str(mask))
    assert any("prepare the data once" in sentence for sentence in module.check())
    module.preparing = True
    assert not any("prepare the data once" in sentence for sentence in module.check())
