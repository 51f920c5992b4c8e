"""The tables of a report."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from medbench.report.numbers import ARROWS, MISSING, count, digits, number, part, with_interval

Value = Mapping[str, Any]

# What a reader who is no statistician has to know; a metric that is not here stands without it.
MEANING = {
    "fid": "How far the generated images as a set lie from the real ones, in the eyes of a "
    "trained network. 0 is identical; compare with the floor.",
    "kid": "The same question as FID with an estimate that small numbers of images do not shift.",
    "precision": "Share of generated images that look like some real one (quality).",
    "recall": "Share of real images that some generated one looks like (variety).",
    "f1": "Precision and recall in one number.",
    "density": "How crowded the real neighbourhoods of generated images are (quality).",
    "coverage": "Share of real images with a generated one nearby (variety).",
    "ms_ssim_k": "How alike two generated images are, from 0 to 1; high where variety is low.",
    "radiomics_fd": "FID on texture features in place of a network's; compare with the floor.",
    "airway_volume": "Air in the airways of a generated volume, in 10 ml.",
    "laa_950": "Share of lung below -950 HU, in %.",
    "cardiothoracic_ratio": "Width of the heart over that of the chest.",
    "pleural_effusion_volume": "Fluid around the lungs of a generated volume, in litres.",
    "adherence": "Share of images that show what their prompt asks for, by an automatic judge.",
}


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int] = ()) -> str:
    """Cells are HTML already; `numeric` are the columns that align to the right."""

    def cell(tag: str, place: int, content: str) -> str:
        kind = ' class="n"' if place in numeric else ""
        return f"<{tag}{kind}>{content}</{tag}>"

    top = "".join(cell("th", i, name) for i, name in enumerate(head))
    body = "".join(
        "<tr>" + "".join(cell("td", i, content) for i, content in enumerate(row)) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def draw_values(values: Sequence[Value]) -> str:
    """Every value that has no chance level, with interval, floor, ceiling and n."""
    shown = [value for value in values if value.get("chance") is None]
    if not shown:
        return '<p class="quiet">No values of this kind were measured.</p>'
    head = ["metric", "value", "floor", "ceiling", "n", "n real", "measured with"]
    return table(head, [_value_row(value) for value in shown], (1, 2, 3, 4, 5)) + _meanings(shown)


def _value_row(value: Value) -> list[str]:
    arrow = ARROWS.get(str(value.get("direction")), "")
    n = digits(value.get("low"), value.get("high"), value.get("value") or 0.0)
    name = escape(str(value["name"]))
    about = [f"arm {value['arm']}"] if value.get("arm") else []
    about += [_note(value)] if _note(value) else []
    measured = escape(str(value.get("extractor") or MISSING))
    return [
        f"<b>{name}</b> {arrow}" + "".join(f"<small>{line}</small>" for line in about),
        f"<b>{with_interval(value.get('value'), value.get('low'), value.get('high'))}</b>",
        _floor(value, n),
        number(part(value.get("ceiling")), n),
        count(value.get("n")),
        count(value.get("n_real")),
        f"{measured}<small>{escape(_identity(value))}</small>",
    ]


def _floor(value: Value, n: int) -> str:
    """Real against real; the number of images beside it, since it moves with that."""
    m, generated = (part(value.get("floor"), name) for name in ("m", "generated"))
    about = (
        f"generated {number(generated, n)} at {int(m)} images"
        if m and generated is not None
        else ""
    )
    return f"{number(part(value.get('floor')), n)}<small>{about}</small>"


def _identity(value: Value) -> str:
    return str((value.get("fingerprint") or {}).get("id", ""))


def _note(value: Value) -> str:
    notes = [str(value["note"])] if value.get("note") else []
    if value.get("undefined"):
        notes.append(f"{value['undefined']} undefined")
    return escape("; ".join(notes))


def _meanings(values: Sequence[Value]) -> str:
    names = dict.fromkeys(str(value.get("metric") or value["name"]) for value in values)
    told = [(name, MEANING[name]) for name in names if name in MEANING]
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in told)
    return f'<dl class="meaning">{items}</dl>' if items else ""


def draw_adherence(values: Sequence[Value]) -> str:
    """Values that have a chance level: generated, real, shuffled and what follows; or nothing."""
    shown = [value for value in values if value.get("chance") is not None]
    if not shown:
        return ""
    head = ["asked for", "generated", "real images", "shuffled prompts", "95 % bound", "", "n"]
    rows = []
    for value in shown:
        kind, words = verdict(value)
        n = digits(value.get("low"), value.get("high"), value.get("value") or 0.0)
        judged, _, template = str(value["name"]).rpartition("/")
        rows.append(
            [
                f"<b>{escape(template)}</b><small>{escape(judged)}</small>",
                f"<b>{with_interval(value.get('value'), value.get('low'), value.get('high'))}</b>",
                number(part(value.get("ceiling")), n),
                number(part(value.get("chance")), n),
                number(part(value.get("chance"), "high"), n),
                f'{_bar(value)}<span class="verdict {kind}">{words}</span>',
                count(value.get("n")),
            ]
        )
    return table(head, rows, (1, 2, 3, 4, 6))


def verdict(value: Value) -> tuple[str, str]:
    """Whether the images follow their prompts: better than 95 % of shuffled prompts would."""
    measured, bound = value.get("value"), part(value.get("chance"), "high")
    ceiling = part(value.get("ceiling"))
    if measured is None or bound is None:
        return "open", "not measured"
    if ceiling is not None and ceiling <= bound:
        return "open", "real images are at chance too"
    return ("yes", "follows the prompt") if measured > bound else ("no", "at chance")


def _bar(value: Value) -> str:
    """From 0 to 1: the value as a bar, the shuffled bound and the real images as marks."""
    measured = value.get("value")
    if measured is None:
        return ""

    def place(level: float | None) -> float | None:
        return None if level is None else 100 * min(1.0, max(0.0, level))

    bound, ceiling = part(value.get("chance"), "high"), part(value.get("ceiling"))
    marks = [("bound", place(bound)), ("real", place(ceiling))]
    drawn = "".join(f'<i class="{k}" style="left:{at:.1f}%"></i>' for k, at in marks if at)
    return f'<div class="bar"><em style="width:{place(measured):.1f}%"></em>{drawn}</div>'


def draw_facts(facts: Mapping[str, Any]) -> str:
    """A mapping as two columns; what is nested gets dotted names."""
    rows = [[escape(name), f"<code>{escape(text)}</code>"] for name, text in _flat(facts, "")]
    return table(["what", "which"], rows) if rows else ""


def _flat(facts: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", MISSING if value is None else str(value)))
    return found


def draw_stages(stages: Sequence[Mapping[str, Any]]) -> str:
    """What was fitted, reused or imported."""
    from medbench.core.progress import clock

    head = ["stage", "class", "did", "parameters", "steps", "time", "steps/s", "fingerprint"]
    rows = []
    for stage in stages:
        seconds, speed = stage.get("seconds"), stage.get("steps_per_second")
        untrained = " <small>untrained</small>" if stage.get("untrained") else ""
        rows.append(
            [
                f"<b>{escape(str(stage['name']))}</b>{untrained}",
                f"<code>{escape(str(stage.get('class', '')))}</code>",
                escape(str(stage.get("action", MISSING))),
                count(stage.get("parameters")),
                count(stage.get("steps")),
                MISSING if seconds is None else clock(seconds),
                MISSING if speed is None else f"{speed:.3g}",
                f"<code>{escape(str(stage.get('fingerprint', '')))}</code>",
            ]
        )
    return table(head, rows, (3, 4, 5, 6))
