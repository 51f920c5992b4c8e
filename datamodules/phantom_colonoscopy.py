"""The colonoscopy phantom as a dataset: drawn frames with the prompts that are true of them."""

import hashlib
from typing import Any, Literal

import numpy as np

from datamodules.base import DataModule, Level, expand
from datamodules.phantom import colonoscopy
from datamodules.phantom.colonoscopy_scene import MM, PURPOSES, Scene, draw_scene
from datamodules.phantom.colonoscopy_words import LABEL_NAMES, label_values
from datamodules.phantom.paraphrases import paraphrase, read_paraphrases
from datamodules.phantom.prompt_noise import noisy_prompts
from datamodules.phantom.streams import SPLITS
from medbench.core.batch import Sample
from medbench.core.errors import UserError, nearest
from medbench.core.fingerprint import hash_file
from medbench.core.seeds import mix

MEMORY = 512 * 2**20  # bytes of drawn frames that a split keeps; beyond that it draws again


class PhantomColonoscopy(DataModule):
    """Cartoon frames of the lower and upper bowel with the prompts of MEDVQA-GI 2024.

    It imitates geometry, texts and file quirks, not clinical appearance."""

    version = colonoscopy.VERSION
    modality = "colonoscopy"
    yields = (
        "image",
        "text",
        "texts",
        "texts.prompt",
        "texts.paraphrases",
        "labels",
        "label_names",
        "masks",
        "sample_id",
        "subject_id",
        "meta",
    )
    phantom = True
    licence = "none needed: generated"
    citation = "medbench phantom; prompt grammar after ImageCLEFmed MEDVQA-GI 2024"
    split_source = "drawn: every split has random streams of its own"
    location = ()

    def __init__(
        self,
        seed: int = 0,
        size: int = 64,
        of: int = 0,  # the grid that a frame takes every (of/size)-th pixel of; 0 = size
        min_feature_mm: float = 0.0,  # least width of anything thin; 0 = 2.5 pixels of `of`
        n_train: int = 600,
        n_validation: int = 200,
        n_test: int = 800,
        per: Literal["row", "image"] = "row",
        prompts: Literal["raw", "clean"] = "raw",
        paraphrases: str = "rules",  # none, rules, or a file with the columns Prompt, Paraphrase
        label_noise: Literal["none", "real"] = "none",
        count_instruments: Literal["never", "real"] = "never",  # among the findings
        colours: Literal["few", "real"] = "few",  # of abnormalities: 1 or 2 of 4, or at real rates
        balanced: bool = False,  # contents independent of each other and of the mucosa: for a judge
        square: bool = True,  # or the native aspect, with `size` as the short side
    ) -> None:
        super().__init__()
        self.seed, self.size, self.of = seed, size, of or size
        self.n = dict(zip(SPLITS, (n_train, n_validation, n_test), strict=True))
        self.min_feature = (
            round(min_feature_mm * MM, 6) if min_feature_mm else colonoscopy.least_feature(self.of)
        )
        self.per, self.style, self.source = per, prompts, paraphrases
        self.label_noise, self.count_instruments = label_noise, count_instruments
        self.balanced, self.square = balanced, square
        self.few_colours = colours == "few"
        self._splits: dict[str, PhantomSplit] = {}

    def check(self, level: Level = "fast") -> list[str]:
        mistakes = []
        if self.size < 16 or self.of % self.size:
            mistakes.append(
                f"size={self.size}, of={self.of}: size is at least 16 and divides `of`."
            )
        mistakes += [f"n_{name}={n} is negative." for name, n in self.n.items() if n < 0]
        if self.source not in ("none", "rules"):
            try:
                read_paraphrases(expand(self.source))
            except UserError as error:
                mistakes += error.mistakes
        return mistakes

    def split(self, name: str) -> "PhantomSplit":
        if name not in SPLITS:
            raise UserError(
                f"split {name} does not exist{nearest(name, SPLITS)} Known: {', '.join(SPLITS)}."
            )
        mistakes = self.check()
        if mistakes:
            raise UserError(*mistakes)
        if name not in self._splits:
            self._splits[name] = PhantomSplit(self, name)
        return self._splits[name]

    def content(self, split: str) -> Any:
        """The hash of a user's paraphrases; the rest follows from version and settings."""
        if self.source in ("none", "rules"):
            return None
        path = expand(self.source)
        return hash_file(path) if path.is_file() else None


class PhantomSplit:
    """Prompt rows (or frames) of one split; a frame is drawn when first asked for and kept."""

    def __init__(self, module: PhantomColonoscopy, name: str) -> None:
        self.module, self.name = module, name
        self._frames: dict[int, colonoscopy.Frame] = {}
        self._scenes = [self._scene(subject) for subject in range(module.n[name])]
        self._facts = [colonoscopy.facts_of(scene) for scene in self._scenes]
        self._labels = np.array(
            [list(label_values(facts).values()) for facts in self._facts], np.float32
        ).reshape(-1, len(LABEL_NAMES))
        self._names = [frame_name(module.seed, name, i) for i in range(module.n[name])]
        self._prompts = [self._written(subject) for subject in range(module.n[name])]
        self._rows = [row for i in range(module.n[name]) for row in self._rows_of(i)]
        self._others = self._read_paraphrases()

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        subject = self._rows[index][0]
        frame, sample = self._frame(subject), self.describe(index)
        return sample | {
            "image": frame.image.astype(np.float32) / np.float32(127.5) - np.float32(1),
            "labels": self._labels[subject].copy(),
            "label_names": list(LABEL_NAMES),
            "masks": {kind: mask.copy() for kind, mask in frame.masks.items()},
            "meta": sample["meta"] | frame.truth,
        }

    def describe(self, index: int) -> Sample:
        """A sample without its arrays and parameters: nothing is drawn."""
        subject, row = self._rows[index]
        template, prompt = self._prompts[subject][row]
        name = self._names[subject]
        block = "balanced" if self.module.balanced else self._scenes[subject].block
        return {
            "text": prompt,
            "texts": {"prompt": prompt, "paraphrases": self._paraphrases(prompt, name, row)},
            "sample_id": f"{name}#{row}",
            "subject_id": name,
            "meta": {"block": block, "template": template, "name": name},
        }

    def _scene(self, subject: int) -> Scene:
        module = self.module
        place = colonoscopy.address(module.seed, self.name, subject)
        return draw_scene(place, module.min_feature, module.balanced, module.few_colours)

    def _written(self, subject: int) -> list[tuple[str, str]]:
        module = self.module
        place = colonoscopy.address(module.seed, self.name, subject)
        return noisy_prompts(
            self._facts[subject],
            module.style,
            place.stream(len(PURPOSES)),
            contradictions=module.label_noise == "real",
            counted=module.count_instruments == "real",
        )

    def _rows_of(self, subject: int) -> list[tuple[int, int]]:
        count = len(self._prompts[subject])
        if self.module.per == "row":
            return [(subject, row) for row in range(count)]
        return [(subject, mix("row", self._names[subject]) % count)]

    def _frame(self, subject: int) -> colonoscopy.Frame:
        found = self._frames.get(subject)
        if found is None:
            module, scene = self.module, self._scenes[subject]
            margin = 0 if module.square else round((scene.aspect - 1) / 2 * module.size)
            image, masks = colonoscopy.render(scene, module.size, module.of, margin)
            truth = colonoscopy.truth_of(scene, self._facts[subject])
            truth = {f"truth.{name}": value for name, value in truth.items()}
            found = colonoscopy.Frame(image, masks, truth)
            if len(self._frames) * 3 * image.nbytes < MEMORY:
                self._frames[subject] = found
        return found

    # paraphrases ------------------------------------------------------------------
    def _read_paraphrases(self) -> dict[str, list[str]]:
        """The user's file; it must know every training prompt."""
        source = self.module.source
        if source in ("none", "rules"):
            return {}
        found = read_paraphrases(expand(source))
        prompts = dict.fromkeys(text for rows in self._prompts for _, text in rows)
        missing = [prompt for prompt in prompts if prompt not in found]
        if missing and self.name == "train":
            raise UserError(
                f"paraphrases={source} has none for {len(missing)} of {len(prompts)} training "
                f"prompts, such as {missing[0]!r}. Add them, or use paraphrases=rules."
            )
        return found

    def _paraphrases(self, prompt: str, name: str, row: int) -> list[str]:
        """Of a file all, of the rules one for each row. Without a source, or where the file lacks
        a held-out prompt, the prompt stands for itself."""
        source = self.module.source
        if source in ("none", "rules"):
            key = mix("paraphrase", name, row)
            return [paraphrase(prompt, key) if source == "rules" else prompt]
        return self._others.get(prompt, [prompt])


def frame_name(seed: int, split: str, subject: int) -> str:
    """25 characters that tell nothing of a frame but which one it is."""
    digest = hashlib.sha256(f"{seed}|{split}|{subject}".encode()).digest()
    number, letters = int.from_bytes(digest, "big"), "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    for _ in range(25):
        number, rest = divmod(number, 36)
        text += letters[rest]
    return text
