"""Negation, doubt and their scope, one rule at a time; every sentence invented."""

import pytest

from datamodules.negation import assertions, split_sentences


def read(sentence: str, *phrases: str) -> list[str]:
    lowered = sentence.lower()
    spans = [(lowered.index(p), lowered.index(p) + len(p)) for p in phrases]
    return list(assertions(sentence, spans))


@pytest.mark.parametrize(
    ("sentence", "status"),
    [
        ("There is an effusion.", "present"),
        ("No effusion.", "absent"),
        ("There is no evidence of an effusion.", "absent"),
        ("The lungs are free of effusion.", "absent"),
        ("Effusion is not seen.", "absent"),
        ("The effusion has resolved.", "absent"),
        ("The effusion has not resolved.", "present"),
        ("Resolution of the effusion.", "absent"),
        ("Incomplete resolution of the effusion.", "present"),
        ("No change in the effusion.", "present"),
        ("Without significant improvement in the effusion.", "present"),
        ("Possible effusion.", "uncertain"),
        ("An effusion cannot be excluded.", "uncertain"),
        ("Cannot exclude an effusion.", "uncertain"),
        ("An effusion is difficult to exclude.", "uncertain"),
        ("This may represent an effusion.", "uncertain"),
        ("An effusion is suspected.", "uncertain"),
        ("? effusion", "uncertain"),
        ("No suspected effusion.", "absent"),
        ("No finding to suggest an effusion.", "absent"),
        ("History of effusion.", "unsaid"),
        ("Evaluate for effusion.", "unsaid"),
        ("Film to look for an effusion.", "unsaid"),
        ("The effusion cannot be assessed.", "unsaid"),
        ("Effusion: none.", "absent"),
        ("An effusion isn\u2019t seen.", "absent"),
        ("Effusion not excluded.", "uncertain"),
        ("Absent is the effusion.", "absent"),
        ("Effusion, not seen on the prior study.", "present"),
        ("The effusion has nearly resolved.", "present"),
        ("Effusion is likely.", "present"),
        ("Fever, rule out effusion.", "uncertain"),
        ("Effusion or hemorrhage.", "uncertain"),
        ("Film to ensure resolution of the effusion.", "unsaid"),
    ],
)
def test_status(sentence: str, status: str) -> None:
    assert read(sentence, "effusion") == [status]


@pytest.mark.parametrize(
    ("sentence", "statuses"),
    [
        ("No edema, effusion, or nodule.", "absent absent absent"),
        ("No edema, small effusion and a nodule.", "absent present present"),
        ("No edema but an effusion and a nodule.", "absent present present"),
        ("Edema, effusion, and nodule are absent.", "absent absent absent"),
        ("No edema. ", "absent"),
        ("Edema is gone and the effusion is new.", "absent present"),
        ("Possible edema with a small effusion.", "uncertain present"),
        ("Likely edema, probable effusion.", "present present"),
        ("No edema and the effusion is small.", "absent present"),
        ("Old nodule, effusion no longer present.", "absent present"),
        ("Edema has resolved, as has the effusion.", "absent absent"),
        ("Edema has not changed, nor has the effusion.", "present present"),
        ("Edema cannot be excluded, no effusion.", "uncertain absent"),
        ("No edema, effusion, nodule.", "absent absent absent"),
        ("No edema after drainage of the effusion.", "absent present"),
        ("Possible edema, effusion, or nodule.", "uncertain uncertain uncertain"),
        ("Edema versus effusion.", "uncertain uncertain"),
        ("Edema or effusion at the base.", "uncertain uncertain"),
        ("No edema or effusion.", "absent absent"),
        ("Despite the edema, there is no effusion.", "present absent"),
        ("Other than edema, no effusion.", "present absent"),
        ("Edema is present, without effusion.", "present absent"),
    ],
)
def test_scope(sentence: str, statuses: str) -> None:
    named = [word for word in ("edema", "effusion", "nodule") if word in sentence.lower()]
    assert read(sentence, *named) == statuses.split()


def test_sentences() -> None:
    text = "1. Edema of 3.2 cm. 2. Seen by Dr. Who.\n\nNo effusion? Clear. Nodule."
    assert split_sentences(text) == [
        "Edema of 3.2 cm.",
        "Seen by Dr. Who.",
        "No effusion?",
        "Clear.",
        "Nodule.",
    ]
    assert split_sentences(" \n ") == []
