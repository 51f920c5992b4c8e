"""The words by which radiologists deny, doubt and put aside: regular expressions in lower case.

A cue is (status, where what it speaks of stands, patterns). Where two could begin at one place the
earlier group takes it, so that "cannot be excluded" is read before "cannot"."""

SEEN = (
    "(?:seen|identified|visible|visuali[sz]ed|present|demonstrated|evident|appreciated|detected|"
    "apparent|noted|found|observed|shown|recogni[sz]ed|depicted|suspected)"
)
CHANGE = (
    "(?:change|changes|improvement|increase|decrease|progression|worsening|reduction|enlargement of"
    "|growth)"
)
BE = "(?:is|are|was|were|has been|have been|had been|be|been|being)"
SHUT_OUT = "(?:exclude[ds]?|rule[ds]? out|dismiss(?:ed)?)"
CANNOT = "(?:cannot|can not|can ?n't|could not|may not|unable to|not)"
# What may follow a judgement that stands at the end: nothing, or where and why.
ENDED = (
    "[.,;]|$| (?:on|in|at|by|over|along|behind|near|next|under|beneath|above|below|within|between|"
    "here|there|but|and|as|with|without|though|given|from|because|since|entirely|completely)\\b"
)
MAYBE = "(?:may|might|could|can|would)"

# Words that look like a cue and are none.
PSEUDO = (
    rf"(?:no|without) (?:\w+ ){{0,3}}{CHANGE}(?: in| of| to| from)?",
    r"not (?:yet |fully |completely |entirely )*(?:cleared|resolved|changed|improved|gone|removed)",
    r"not (?:significantly |appreciably |substantially |much )*(?:changed|improved|different)",
    r"not (?:only|just|necessarily)",
    r"(?:partial|incomplete)(?:ly)? (?:resolution|resolved|clearing|cleared)(?: of)?",
    r"without contrast",
    r"no (?:comparison|prior|previous)",
    r"(?:no longer|not) obscur(?:ed|es)",
    r"may (?=\d|of )",
    r"left in place",
)

CUES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "uncertain",
        "before",
        (
            rf"{CANNOT} (?:\w+ )?(?:be )?(?:\w+ )?{SHUT_OUT}(?={ENDED})",
            rf"(?:difficult|hard|impossible) to (?:\w+ )?{SHUT_OUT}",
        ),
    ),
    (
        "uncertain",
        "after",
        (
            rf"{CANNOT} (?:\w+ )?{SHUT_OUT}",
            rf"(?:difficult|hard|impossible) to (?:\w+ )?{SHUT_OUT}",
        ),
    ),
    (
        "unsaid",
        "after",
        (
            r"(?:no )?(?:\w+ )?history(?: of|:)|h/o|hx of|treated for"
            r"|risk (?:factors? )?(?:of|for)",
            r"(?:to )?(?:evaluate|assess|look|check|screen|evaluation|assessment|workup) for",
            r"to (?:rule out|exclude)|r/o",
            r"(?:clinical )?indication:?",
        ),
    ),
    (
        "unsaid",
        "before",
        (
            rf"{CANNOT} be (?:\w+ )?(?:assessed|evaluated|judged|measured|commented on)",
            r"(?:is|are) (?:not|in)\s?(?:\w+ )?(?:evaluable|assessed|evaluated)",
            rf"(?:should|needs to|must) be (?:\w+ )?{SHUT_OUT}",
        ),
    ),
    (
        "absent",
        "before",
        (
            rf"no longer(?: \w+)? {SEEN}|no longer",
            rf"not (?:\w+ )?{SEEN}(?! (?:un|be)til)",
            r"absent",
            r"(?:is|are) none|none (?:is|are) (?:present|seen|visible|evident)",
            r": (?:none|no(?= *(?:[.,;]|$))|absent|negative)|(?:is|are) negative",
            r"answered in the negative",
            r"(?:has|have|had|is|are) (?:\w+ )?(?:resolved|cleared|disappeared|vanished)",
            r"resolved (?:completely|fully|entirely)|resolved(?=[.,;]|$| since| in the interval)",
            r"(?:is|are|now|all) gone",
            rf"{BE} (?:\w+ )?(?:removed|withdrawn|discontinued|taken out|pulled|explanted)",
            rf"{BE} (?:\w+ )?{SHUT_OUT}",
        ),
    ),
    (
        "absent",
        "after",
        (
            r"no (?:\w+ ){0,2}(?:evidence|signs?|indication|suggestion|findings?|features) "
            r"(?:of|for|to suggest|suggesting|suggestive of|that suggests?)",
            r"(?:absence|lack) of|lacks?|(?:free|clear|cleared|devoid) (?:of|from)|negative for",
            r"(?:removal|extraction|explantation) of|removed",
            r"simulat\w+|mimic\w*|rather than|instead of|in lieu of|excludes?|rules out|denies",
            r"(?:resolution|clearing|disappearance) of|resolved",
            r"(?:does|do|did|is|are|was|were|has|have|had) not|without|neither|never|not|nor|no",
        ),
    ),
    ("uncertain", "both", (r"versus|vs\.?|and ?/ ?or",)),
    (
        "uncertain",
        "before",
        (
            rf"{BE} (?:\w+ )?(?:possible|suspected|questioned|questionable|doubtful|unlikely|likely"
            r"|probable|conceivable|equivocal|uncertain|considered|a consideration|a possibility|"
            r"a concern|in question|not certain|borderline)"
            rf"(?={ENDED})",
            r"(?:should|may|might|could|must) (?:also )?be (?:considered|suspected|entertained|"
            r"present|hidden|masked|obscured|positional|arti?e?factual|spurious|technical|"
            r"projectional)",
            r"(?:may|might|could) (?:\w+ )?(?:hide|exist|lurk)",
            r"if (?:any|present|real|there is one)(?= ?[.,;]|$| at all)",
            rf"{BE} (?:likely|probably|possibly|presumably) (?:positional|arti?e?factual|spurious|"
            r"technical|projectional|exaggerated)",
        ),
    ),
    (
        "uncertain",
        "after",
        (
            r"(?:(?:most|more|less|very|quite) )?(?:likely|probabl[ey]|possibl[ey]|presumabl[ey]|"
            r"conceivabl[ey]|potential(?:ly)?|perhaps|maybe|plausibl[ey])"
            r"(?: (?:be )?(?:due|secondary|related|owing|attributable) to)?",
            rf"{MAYBE}(?: \w+)? (?:be|represent|reflect|indicate|correspond|signify|suggest|"
            r"relate)(?: (?:due|secondary|related) to)?|may|might|could",
            r"(?:suspicious|suspicion|worrisome|concern(?:ing|s|ed)?|worr(?:y|ies)) (?:for|of|"
            r"about)",
            r"suspect(?:ed|s)?|suggest\w*(?: of| that)?|indeterminate for|equivocal(?: for)?",
            r"questionable|query|questions?(?: of| about)?|questioned|possibility of|presumed",
            r"consider(?:ation)?(?: of)?|favou?r(?:s|ed|ing)?(?: to be| to represent)?|apparent",
            r"differential (?:diagnosis )?(?:includes?|of)|hint of|unlikely|doubtful|borderline",
            r"unclear (?:if|whether)|uncertain|vague|\?",
            r"(?:appears?|seems?|felt|thought|believed) to (?:be|represent|reflect)(?: due to)?",
        ),
    ),
)
# Words that turn the sentence: no cue reaches past them.
TURNS = (
    r";|\bbut\b|\bhowever\b|\b(?:al)?though\b(?! this (?:is|may|might|could)\b)|\byet\b"
    r"|\bexcept(?:ing)?(?: for)?\b|\bother than\b|\b(?:apart|aside) from\b|\bwhile\b|\bwhereas\b"
    r"|\bdespite\b|\bin spite of\b|\bbesides\b|\bin addition to\b|\bcaus(?:ing|es|ed)\b"
    r"|\bobscur(?:es|ing)\b|\bwhich\b|\bwhere\b|\baccounts? for\b|\braises?\b|\braising\b"
)
# Words at which a cue that stands before what it speaks of ends.
ONWARD = (
    r"\bdue to\b|\bsecondary to\b|\bowing to\b|\bbecause\b|\bafter\b|\bfollowing\b|\bstatus post\b"
    r"|\bs/p\b|\bsince\b|\bgiven\b|\bin the setting of\b|\bsuperimposed on\b|\bas well as\b"
    r"|\bto (?:suggest|explain|account)\b|\bin a patient\b"
    r"|(?<!consistent )(?<!compatible )(?<!associated )(?<!keeping )\bwith\b"
)
VERBS = (
    r"\b(?:is|are|was|were|has|have|had|there|remains?|shows?|appears?|persists?|demonstrates?|"
    r"projects?|overl(?:ies|ay)|terminates?|ends?|measures?|contains?|lies?)\b"
)
# Words by which an item of a list shows that it stands for itself.
AMOUNTS = (
    r"\b(?:small|tiny|trace|minimal|mild|moderate|large|severe|massive|extensive|stable|unchanged|"
    r"increas\w+|decreas\w+|persistent|improv\w+|worsen\w+|left|right|bilateral|known|again)\b"
)
# Sentences that ask or advise, and say nothing of the image.
ASKS = (
    r"^\W*(?:please |to )?(?:evaluate|assess|rule out|r/o|check|look|exclude|reason for|if|"
    r"should)\b"
)
ABBREVIATIONS = r"(?:\b(?:Dr|Drs|Mr|Ms|Mrs|vs|approx|e\.g|i\.e|[A-Z])\.|^\s*\d+[.)])$"
