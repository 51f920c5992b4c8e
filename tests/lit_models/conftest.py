from pathlib import Path

import pytest

from tests.lit_models.msdm_parts import finished_autoencoder, finished_clip


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Folders of a text encoder and of an autoencoder."""
    root: Path = tmp_path_factory.mktemp("parts")
    return finished_clip(root / "clip"), finished_autoencoder(root / "autoencoder")
