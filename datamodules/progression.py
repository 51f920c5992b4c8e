"""What has changed between two studies, in words: the instruction of an image edit.

Four writers: the later impression as it is, rules, a file of answers, a text model. A report leaves
this machine only when the user has said so: a model is asked on a loopback address, past any proxy
and without following redirects, unless `allow_remote` stands beside its address."""

import ipaddress
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import urlsplit

from datamodules.progression_rules import describe_change
from datamodules.reports import clean_text
from datamodules.tables import read_table
from medbench.core.errors import UserError

Kind = Literal["impression", "rules", "file", "model"]
VERSION = 2  # raised when the rules or the instruction would give another text
INSTRUCTION = (
    "Two chest radiographs of one patient were reported. Describe in at most two sentences how the "
    "second study differs from the first. Name the finding, its side and its severity. Do not "
    "mention dates or other studies, do not give advice, and do not invent anything."
)
TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Pair:
    """The two studies of a journey, as a writer sees them."""

    study_id_prior: str
    study_id: str
    impression_prior: str
    impression: str


Writer = Callable[[Pair], str]


def make_writer(
    kind: Kind,
    *,
    file: str | None = None,
    url: str | None = None,
    model: str | None = None,
    allow_remote: bool = False,
) -> Writer:
    """The writer of a setting, checked before any pair is drawn. It can be handed to processes."""
    if kind == "impression":
        return write_impression
    if kind == "rules":
        return write_by_rules
    if kind == "file":
        if not file:
            raise UserError(
                "progression=file needs the file: a CSV or JSONL with the columns study_id_prior, "
                "study_id and progression."
            )
        return Answers(file, read_answers(Path(file)))
    if kind == "model":
        return TextModel(check_address(url, allow_remote), model or "default")
    raise UserError(f"progression={kind} is not known; it is impression, rules, file or model.")


def write_impression(pair: Pair) -> str:
    """The later impression, cleaned: the paper's ablation row."""
    return clean_text(pair.impression)


def write_by_rules(pair: Pair) -> str:
    """One sentence for each change of a finding."""
    return describe_change(clean_text(pair.impression_prior), clean_text(pair.impression))


# a file of answers --------------------------------------------------------------------------


@dataclass(frozen=True)
class Answers:
    """Texts that a user brings, by the two studies."""

    path: str
    texts: Mapping[tuple[str, str], str]

    def __call__(self, pair: Pair) -> str:
        try:
            return self.texts[pair.study_id_prior, pair.study_id]
        except KeyError:
            raise UserError(
                f"{self.path} has no progression from study {pair.study_id_prior} to "
                f"{pair.study_id}. Add a row, or choose progression=rules."
            ) from None


def read_answers(path: Path) -> dict[tuple[str, str], str]:
    """Progression texts by (study_id_prior, study_id)."""
    texts: dict[tuple[str, str], str] = {}
    rows = read_table(path, ["study_id_prior", "study_id", "progression"])
    for number, row in enumerate(rows, 2):
        key, text = (row["study_id_prior"].strip(), row["study_id"].strip()), row["progression"]
        if not text.strip():
            raise UserError(f"{path}, row {number}: the progression is empty; write it or drop it.")
        if texts.setdefault(key, text.strip()) != text.strip():
            raise UserError(f"{path}, row {number}: {key[0]} to {key[1]} stands twice; keep one.")
    return texts


# a text model -------------------------------------------------------------------------------


@dataclass(frozen=True)
class TextModel:
    """A model behind a chat-completions address, asked for one pair at a time."""

    url: str
    model: str

    def __call__(self, pair: Pair) -> str:
        prior, later = clean_text(pair.impression_prior), clean_text(pair.impression)
        question = f"{INSTRUCTION}\n\nFirst study: {prior}\n\nSecond study: {later}"
        answer = self._ask({"role": "user", "content": question})
        try:
            text = str(answer["choices"][0]["message"]["content"])
        except (KeyError, IndexError, TypeError):
            raise UserError(
                f"url={self.url} answered, but not with choices, message and content; give the "
                "address of a chat-completions service."
            ) from None
        if not text.strip():
            raise UserError(f"url={self.url} gave an empty text for study {pair.study_id}.")
        return " ".join(text.split())

    def _ask(self, message: Mapping[str, str]) -> Any:
        body = {"model": self.model, "messages": [message], "temperature": 0, "max_tokens": 120}
        request = urllib.request.Request(
            self.url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        # No proxy of the environment and no redirect: either could carry a report elsewhere.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _StayHere())
        try:
            with opener.open(request, timeout=TIMEOUT_S) as answer:
                return json.load(answer)
        except json.JSONDecodeError:
            raise UserError(f"url={self.url} answered with something that is not JSON.") from None
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            reason = getattr(error, "reason", error)
            raise UserError(
                f"url={self.url} does not answer ({reason}). Start the model's server there, or "
                "choose progression=rules."
            ) from None


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Refuses to be sent to another address."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> None:
        raise UserError(
            f"url={req.full_url} sends on to {newurl}; reports are not sent after it. Give the "
            "service's own address."
        )


def check_address(url: str | None, allow_remote: bool = False) -> str:
    """The address of a text model, or the sentence that says why no report is sent there."""
    if not url:
        raise UserError(
            "progression=model needs url, such as http://127.0.0.1:8000/v1/chat/completions."
        )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"url={url} is no address of a service; it begins with http:// and a host.")
    if not allow_remote and not _is_loopback(parts.hostname):
        raise UserError(
            f"url={url} is not on this machine. Reports of credentialed data may not leave it "
            "without an agreement: give a loopback address (127.0.0.1), or, if your agreement "
            "allows it, set allow_remote=true beside it."
        )
    return url


def _is_loopback(host: str) -> bool:
    """An address of this machine; of names only localhost, if all that it means is loopback."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        if host.lower() != "localhost":
            return False
    found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    return all(ipaddress.ip_address(address).is_loopback for address in found)
