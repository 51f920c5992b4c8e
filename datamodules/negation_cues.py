"""The words by which radiologists deny, doubt and put aside: regular expressions in lower case.

A cue is (status, where what it speaks of stands, patterns). Where two could begin at one place the
earlier group takes it, so that "cannot be excluded" is read before "cannot"; `open` is the doubt
that wins over a denial. Likely and probable are no doubt, as in CheXpert's coding."""

SEEN = (
    "(?:seen|identified|visible|visuali[sz](?:ed|able)|present|demonstrated|evident|appreciated|"
    "appreciable|detected|detectable|apparent|noted|found|observed|shown|recogni[sz](?:ed|able)|"
    "depicted|suspected|confirmed|discern(?:ed|[ia]ble)|delineated|perceived|perceptible|"
    "noticed|documented|revealed|imaged|in evidence|made out|defined|there(?=[.,;]|$))"
)
CHANGE = (
    "(?:change|changes|differences?|improvement|increase|decrease|progression|regression|worsening|"
    "reduction|growth|resolution|clearing|enlargement of(?! (?:the )?(?:\\w+ )?(?:heart|cardiac|"
    "cardio\\w+|mediastin\\w+|ventric\\w+|atri\\w+)))"
)
BE = "(?:is|are|was|were|has been|have been|had been|be|been|being|now)"
SEEMS = "(?:is|are|was|were|be|remains?|seems?|appears?|looks?|would be|could be)"
SHUT_OUT = "(?:exclude[ds]?|rule[ds]?[ -]out|r/o|dismiss(?:ed)?|discount(?:ed)?|eliminate[ds]?)"
CANNOT = (
    "(?:cannot|can not|can ?'?n?'t|cant|could not|couldn'?t|may not|might not|would not|does not|"
    "do not|doesn'?t|don'?t|did not|unable to|not able to|not possible to|inability to|not)"
)
NOT = "(?:is|are|was|were|has|have|had|do|does|did)(?:n'?t| not)"
NT = "(?:not|(?:is|are|was|were|has|have|had|do|does|did|can|could)n'?t)"
HARD = "(?:difficult|hard|impossible|challenging|tough|not easy|not possible)"
EXPLAINED = (
    "(?:nipples?|skin ?folds?|arti?e?fact\\w*|summation|superimposition|overlap\\w*|composite|"
    "confluence of|positional|spurious|technical|projectional|exaggerated|prominent vessel|"
    "vessel|costochondral|ekg lead|ecg lead)"
)
TECHNIQUE = (
    "(?:technique|projection|position(?:ing)?|rotation|rotated|magnification|supine|portable|"
    "inspiration|inspiratory|expiration|volumes)"
)
ONE_OF = (
    "(?:possibilit(?:y|ies)|considerations?|alternatives?|alternative diagnosis|concerns?|"
    "differential|explanations?)"
)
MAYBE = "(?:may|might|could|can|would)"

OF_CHANGE = (
    "(?:significant|interval|appreciable|substantial|gross|major|obvious|evident|definite|further|"
    "real|radiographic|meaningful|marked|overall|detectable|apparent|clear|relevant|large|great|"
    "discernible|noticeable|visible|convincing|evidence of|signs? of|associated|gross|"
    "significantly|measurable|visual|important|recent|much|any)"
)

# Words that look like a cue and are none.
PSEUDO = (
    rf"(?:no|without|lack of|(?:little|minimal)(?:,? if any,?| or no)?) (?:{OF_CHANGE}"
    rf" )*{CHANGE}(?: in| of| to| from)?",
    r"no (?:longer|more) (?:as )?(?:obscur\w+|extensive|large|prominent|dense)",
    rf"{NT} (?:\w+ly |yet |much |so )*(?:cleared|resolved|"
    r"changed|improved|gone|removed|different|worsened|progressed|increased|decreased|altered|"
    r"disappeared|enlarged since|enlarged from)(?:,? nor (?:has|have|is|are|did|does)(?! there))?",
    r"(?:not|yet|failed|failing) to (?:\w+ )?(?:resolve|clear|improve)",
    r"not (?:only|just|merely|simply|solely|necessarily|surprisingly|unexpected\w*)",
    r"not (?:\w+ )?(?:changed|different) (?:is|are)",
    rf"{NT} (?:\w+ )?{SEEN} (?:on|in|at) (?:the |a |any |that )?(?:\w+ )?(?:prior|previous|"
    r"preceding|earlier|older?|last|comparison|baseline|study (?:from|of|dated)|film (?:from|of)|"
    r"radiographs? (?:from|of)|exam\w* (?:from|of)|ct (?:from|of))",
    rf"{NT} (?:\w+ )?{SEEN} (?:previously|before|earlier|yesterday|prior)",
    r"(?:partial|incomplete|near|nearly|almost|largely|mostly|substantial|significant|virtual|"
    r"interval partial)(?:ly)?[- ](?:\w+ )?(?:resolution|resolved|clearing|cleared|gone|removed|"
    r"resorbed|disappearance|disappeared)(?: of)?",
    r"without contrast|with(?:out)? and without",
    r"no (?:comparison|prior|previous)(?! (?:fract|pneum|effus|nod|mass))",
    r"(?:no longer|not|without) obscur(?:ed|es|ing)",
    r"(?:withdrawn|pulled|drawn) back",
    r"(?:withdrawn|pulled|retracted)(?: \w+)?,? (?:with (?:the|its) tip|and (?:the tip )?(?:is"
    r" )?now"
    r"|and repositioned|now)",
    r"(?:withdrawn|pulled|retracted|removed) (?:back )?(?:by|\d[\w.]*|to|into|slightly|a few"
    r"|several|"
    r"about|approximately|from (?:the )?(?:right|left|main))",
    r"(?:should|could|can|must|needs? to|may) be (?:\w+ )?(?:withdrawn|pulled|retracted|removed|"
    r"advanced|repositioned)",
    r"removed and (?:replaced|exchanged)",
    r"may (?:\d+|of)|removal of (?:one|1|two|some) of"
    r"|one of (?:the|two|three) [^,;.]{1,40} (?:removed|withdrawn|discontinued|pulled)",
    r"left in place",
    r"(?:versus|vs\.?) \(?(?:\d[\w.]*|prior|previous|yesterday|the (?:prior|previous)|on)",
    r"most likely|more likely(?! (?:[\w-]+ ){1,6}than\b)|very likely|quite likely|highly likely"
    r"|highly probable",
    r"not (?:\w+ly )?(?:as )?(?:well|fully|optimally|adequately|completely)[- ](?:\w+ )?"
    rf"{SEEN}",
    r"no doubt|without (?:a )?doubt|undoubtedly|no question",
)

CUES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "open",
        "before",
        (
            rf"{CANNOT} (?:\w+ ){{0,2}}be (?:\w+ ){{0,2}}(?:excluded|ruled[ -]out|dismissed|"
            r"discounted|eliminated|discarded|confirmed or (?:excluded|refuted))",
            rf"{NT} (?:(?:been|being) )?(?:\w+ly )?(?:excluded|ruled[ -]out|discounted)"
            r"(?! (?:is|are) )",
            rf"{CANNOT} (?:\w+ )?{SHUT_OUT} (?:the (?:latter|former)|this|that|it|one|such)"
            r"(?=[.,;]|$| (?:on|with|here|entirely|completely))",
            rf"{HARD} to (?:\w+ )?(?:{SHUT_OUT}|judge|tell)(?=[.,;]|$| (?:on|in|with|given|here|"
            r"because|due|entirely|completely)\b)",
            rf"(?:should|needs? to|must|has to|have to|ought to) (?:\w+ )?be (?:\w+ )?{SHUT_OUT}",
            r"neither (?:confirmed|excluded) nor (?:excluded|confirmed)",
        ),
    ),
    (
        "open",
        "after",
        (
            rf"{CANNOT} (?:\w+ )?{SHUT_OUT}",
            rf"{HARD} to (?:\w+ )?{SHUT_OUT}",
            r"not (?:entirely |completely )?excluding",
            r"not (?:\w+ )?excluded (?:is|are)|with or without|(?<=\s)\+ ?/ ?-",
        ),
    ),
    (
        "unsaid",
        "after",
        (
            r"correlat\w+ (?:\w+ ){0,3}(?:for|with)(?: (?:\w+ ){0,4}(?:of|for))?",
            r"(?:no )?(?:\w+ )?(?:history|hx)(?: of|:)|h/o|treated for"
            r"|risk (?:factors? )?(?:of|for)",
            r"(?:to )?(?:evaluate|assess|look|check|screen|evaluation|assessment|workup) for",
            r"to (?:rule out|exclude|r/o)|(?:to|until) (?:\w+ )?(?:document|ensure|confirm|assure|"
            r"establish|verify) (?:\w+ )?(?:resolution|clearing|clearance|stability)(?: of)?",
            r"(?:clinical )?indication:?|pre-?op(?:erative)? for",
        ),
    ),
    (
        "unsaid",
        "before",
        (
            rf"{CANNOT} be (?:\w+ )?(?:assessed|evaluated|judged|measured|commented on)",
            r"(?:is|are) (?:not|in)\s?(?:\w+ )?(?:evaluable|assessed|evaluated)",
            r"(?:is|are) (?:not )?(?:\w+ly )?assessable",
        ),
    ),
    (
        "absent",
        "after",
        (
            rf"(?:no longer|not) (?:\w+ )?{SEEN} (?:is|are)",
            r"no longer(?= (?:\w+ly )?(?:enlarg|wid|promin|dilat|thick|big|congest|collaps|"
            r"consolidat|oedemat|edemat|broad|large|infect))",
            r"what (?:looks?|appears?|looked|appeared|seems?|seemed) (?:like|to be)",
            r"(?:absent|gone|resolved|removed|missing|cleared) (?:is|are)(?= (?:the|any|a|all"
            r"|both)\b)",
        ),
    ),
    (
        "absent",
        "both",
        (
            r"(?:has|have|had) (?:\w+ )?(?:resolved|cleared|disappeared|vanished)(?: \w+)?,? as "
            r"(?:has|have|had|did|is|are|was)|(?:is|are) (?:no longer \w+|gone),? as (?:is|are"
            r"|has)",
        ),
    ),
    (
        "absent",
        "before",
        (
            rf"no longer(?: \w+)? {SEEN}|no longer(?! is| are)",
            rf"{NT} (?:\w+ ){{0,2}}{SEEN}(?! (?:un|be)til)",
            rf"{NT} (?:\w+ )?(?:recurred|re-?accumulated|re-?appeared|returned(?! to)|developed)",
            r"absent(?! (?:signs|evidence))|non-?(?:visible|visuali[sz]ed|apparent|evident)",
            r"(?:is|are) none|none (?:is|are|was) (?:present|seen|visible|evident|identified)",
            r"none(?: seen| identified| visible| present)?(?=[.,;]|$)",
            r"(?::|[-\u2013\u2014=]) ?(?:none|nil|no(?= *(?:[.,;]|$))|absent|negative|neg)"
            r"|(?:is|are) (?:negative(?! for)|nil)|negative(?=[.,;]|$)",
            r"answered in the negative|no residual(?=[.,;]|$)",
            r"(?:has|have|had|is|are|since|now) (?:\w+ ){0,2}(?:resolved|cleared|disappeared|"
            r"vanished|subsided|resorbed|reabsorbed|abated|evacuated|re-?expanded|re-?inflated"
            r"|re-?aerated)",
            r"resolved (?:completely|fully|entirely)|(?:resolved|cleared)(?=[.,;]|$| since|"
            r" in the interval| compared| from)|resolves?(?=[.,;]|$)",
            r"drained (?:completely|fully|entirely)|(?:completely|fully|entirely) drained",
            r"(?:is|are|now|all|have|has) (?:\w+ )?gone",
            rf"{BE} (?:\w+ )?(?:out(?! of)|removed|withdrawn|discontinued|taken out|pulled"
            rf"|explanted|"
            r"d/?c'?e?d)",
            r"removed|(?:has|have) come out|came out|discontinued|taken out",
            rf"{BE} (?:\w+ )?{SHUT_OUT}|(?<!until )(?:excluded|ruled out)(?=[.,;]|$)",
        ),
    ),
    (
        "absent",
        "after",
        (
            r"no (?:\w+ ){0,2}(?:evidence|signs?|indications?|suggestion|findings?|features"
            r"|stigmata"
            r"|suspicion|concern) (?:of|for|to suggest|suggesting|suggestive of|that suggests?)",
            r"nothing (?:[\w-]+ )?(?:(?:to|that|which)(?: (?:would|could|might))? )?(?:suggest\w*|"
            r"indicat\w+|support\w*|suspicious|concerning|worrisome)(?: (?:of|for|that))?",
            r"little(?:,? if any,?| or no)|(?:absence|lack|absent (?:signs|evidence)) of|lacks?"
            r"|lacking|(?:free|clear(?:ed)?"
            r"|devoid) (?:of|from)"
            r"|neg(?:ative)? for|non-?visuali[sz]ation of|fail(?:s|ed|ure)? to (?:show|demonstrate|"
            r"reveal|identify)|nil",
            r"(?:removal|extraction|explantation|discontinuation|withdrawal) of(?: (?:the|his"
            r"|her))?"
            r"|removed",
            r"simulat\w+|mimic\w*|rather than|instead of|in lieu of|as opposed to|excludes?"
            r"|rules out|denies|against",
            r"(?:resolution|clearing|clearance|disappearance) of|resolved",
            rf"(?:{NOT}|not)(?: \w+ly)? (?:due|secondary|related|attributable) to",
            rf"{NOT}|cannot see|can'?t see|without|w/o|neither|never|not|nor(?: is| are)?(?:"
            rf" there)?"
            r"|no longer (?:is|are)|no",
        ),
    ),
    (
        "uncertain",
        "both",
        (
            r"borderline|favou?red(?! to)|versus|vs\.?|and ?/ ?or|(?:distinguish|differentiat"
            r"|separat)\w* from"
            r"|indistinguishable from",
        ),
    ),
    (
        "uncertain",
        "before",
        (
            rf"(?<!there ){SEEMS} (?:\w+ ){{0,2}}(?:possible|suspected|questioned|questionable"
            rf"|doubtful|unlikely"
            r"|conceivable|equivocal|uncertain|unclear|considered|in question|not certain"
            r"|indeterminate|less likely|not likely|in the differential)"
            r"(?! for| of| whether| if| the (?:same|right|left))",
            rf"{SEEMS} (?:\w+ )?(?:a|an|one|the|in) (?:\w+ )?(?:possibility|consideration|concern|"
            r"question)",
            rf"(?:{SEEMS} (?:\w+ )?)?(?:an|a|another|one|the|among the) (?!(?:(?!less)\w+"
            rf" )?(?:most|likely|"
            rf"leading|main|best|favou?red|probable)\b)(?:[\w-]+,? ){{0,4}}{ONE_OF}(?=[.,;]|$|"
            r" (?:here|as well|too|in|on|given|but)\b)",
            rf"(?:perhaps|possibly|{MAYBE}(?: \w+)? be|{MAYBE}(?: \w+)? reflect)(?: \w+)? (?:(?:due"
            r"|secondary|related|attributable|owing) to|from|because of|a function of|explained by)"
            rf" (?:[\w-]+ ){{0,3}}{TECHNIQUE}",
            r"(?:should|may|might|could|must) (?:also |well |still )?be (?:considered|suspected|"
            r"entertained|present|there|hidden|masked|obscured|missed|developing|evolving|"
            r"superimposed|positional|arti?e?factual|spurious|technical|projectional)",
            r"(?:may|might|could) (?:\w+ )?(?:hide|exist|lurk|coexist|be)(?=[.,;]|$)"
            r"|(?:may|might|could) (?:hide|exist|lurk|coexist)",
            r"(?:may|might|could|can) (?:have (?:this|a similar|the same|similar)|"
            r"(?:look|appear) (?:similar|identical|like this|the same))",
            r"if (?:any|present|real|there is one)(?= ?[.,;)]|$| at all)",
            r"(?:possible|suspected|questionable|questioned|doubtful|unlikely|equivocal|less"
            r" likely)"
            r"(?= ?(?:[.,;)]|$)| (?:in|at|on) (?:the|this)\b)",
            rf"(?:likely|probably|possibly|presumably|perhaps|maybe|{MAYBE}(?: \w+)? be|{MAYBE}"
            rf"(?: \w+)? represent) (?:represents? |due to |just )?(?:an? )?(?:\w+ )?{EXPLAINED}"
            r"(?!(?: \w+)? or\b)",
            r"(?<=or )both(?=[.,;]|$)|(?:possibly|perhaps|maybe|potentially)(?=[.;]|$)",
            rf"{BE} (?:\w+ )?(?:considerations|possibilities|possible|considered)",
            r"not certain|cannot be (?:\w+ )?(?:confirmed|verified|determined)|\(\?\)|\?(?=[.,;]"
            r"|$)",
        ),
    ),
    (
        "uncertain",
        "after",
        (
            r"more (?:likely|probably|consistent with|compatible with|suggestive of|typical of|in"
            r" keeping with) (?:[\w-]+ ){1,6}than(?: for| of| with)?|(?:(?:top|upper|high)[- ]"
            r"normal|upper limits? of normal)(?: in size)? (?:to|or)",
            r"(?:possibl[ey]|conceivabl[ey]|potential(?:ly)?|perhaps|maybe|plausibl[ey])"
            r"(?: (?:be )?(?:due|secondary|related|owing|attributable) to| from)?",
            rf"{MAYBE}(?: \w+)? (?:be|represent|reflect|indicate|correspond|signify|suggest|"
            r"relate)(?: (?:due|secondary|related) to)?|may|might|could",
            r"(?:suspicious|suspicion|worrisome|concern(?:ing|s|ed)?|worr(?:y|ies|ied|ying)) "
            r"(?:for|of|about|that|regarding|is)|concern:",
            r"(?:concern|possibility|question|worry) (?:being|would be)",
            r"suspect(?:ed|s|ing)?|(?<!to )suggest\w*(?: of| that)?|enough to suggest"
            r"|indeterminate for|equivocal(?: for)?",
            r"questionabl[ey]|query|queries|questions?(?: of| about)?|questioned|possibility of"
            r"|possibilit(?:y|ies)(?: of| include[sd]?| that| for)?",
            r"consider(?:ations?)?(?: of| include)?|favou?r(?:s|ed|ing)?(?: to be| to represent)?"
            r"|apparent",
            r"differential(?: diagnos[ie]s| considerations?)?(?: would| could)?"
            r"(?::| (?:includes?|of|is|being|for))|ddx:?|hint of|unlikely|doubtful|less likely|not"
            r" likely",
            r"unclear (?:if|whether)|whether|uncertain|\?|rule[ -]?out|r/o|early versus",
            r"(?:appears?|seems?|felt|thought|believed) to (?:be|represent|reflect)(?: due to)?",
        ),
    ),
)
REMOVED = r"\b(?:removed|out|withdrawn|discontinued|pulled|explanted|d/?c'?e?d)$"
# Words that turn the sentence: no cue reaches past them.
TURNS = (
    r";|\bbut\b(?! this (?:may|might|could) be (?:due|from|related|arti|technical|positional"
    r"|proj))|\bhowever\b|\b(?:al)?though\b(?! this (?:is|may|might|could)\b)|\byet\b"
    r"|\bexcept(?:ing)?(?: for)?\b|\bother than\b|\b(?:apart|aside) from\b|\bwhile\b|\bwhereas\b"
    r"|\bdespite\b|\bin spite of\b|\bbesides\b|\bin addition to\b|\bcaus(?:ing|es|ed)\b"
    r"|\bobscur(?:es|ing)\b|\bwhich\b(?! (?:may|might|could) (?:\w+ )?be (?:due|from|related|arti"
    r"|technical|positional|projectional)"
    r"| (?:has|have|is|are) (?:\w+ )?(?:resolved|cleared|disappeared|gone|removed)\b)|\bwhere\b"
    r"|\baccounts? for\b|(?:, |\band )otherwise\b"
    r"|\bnotwithstanding\b"
    r"|\braises?\b(?! the question of enl)|\braising\b"
)
# Words at which a cue that stands before what it speaks of ends.
ONWARD = (
    r"\bdue to\b|\bsecondary to\b|\bowing to\b|\bbecause\b|\bafter\b|\bfollowing\b|\bstatus post\b"
    r"|\bs/p\b|\bpost\b(?!-| ?(?:\w+al|\w+tic|\w+ive)\b)|\bsince\b|\bgiven\b|\bin the setting"
    r" of\b|\bsuperimposed on\b|\bas well"
    r" as\b"
    r"|\bto (?:explain|account)\b|\bin a patient\b|\bon top of\b"
    r"|(?<!consistent )(?<!compatible )(?<!associated )(?<!keeping )\bwith\b"
)
VERBS = (
    r"\b(?:is|are|was|were|has|have|had|there|remains?|shows?|appears?|persists?|demonstrates?|"
    r"projects?|overl(?:ies|ay)|terminates?|ends?|measures?|contains?|lies?|occup(?:y|ies)|"
    r"extends?|looks?|seems?|continues?|reveals?|may|might|could|cannot|can)\b"
)
# Words by which an item of a list shows that it stands for itself.
AMOUNTS = (
    r"\b(?:small|tiny|trace|minimal|mild|moderate|large|severe|massive|extensive|stable|unchanged|"
    r"increas\w+|decreas\w+|persistent|improv\w+|worsen\w+|left|right|bilateral|known|again|new|"
    r"old|healed|healing|chronic|possible|probable|likely)\b"
)
# After `and` such a word begins another finding, which a denial before it does not reach.
ANOTHER = (
    r"\band (?:an? )?(?:\w+ly )?(?:small|tiny|trace|minimal|mild|moderate|severe|massive|extensive|"
    r"stable|unchanged|increased|decreased|decreasing|persistent|improved|improving|worsening"
    r"|known|"
    r"healed|healing|chronic)\b"
)
# A structure that begins an item of a list begins a statement of its own.
STATEMENTS = (
    r",(?: and)? (?:the )?(?:heart(?! failure)|lungs|mediastinum|cardiac (?:size|silhouette|shadow)"
    r"|cardiomediastinal|bones|ribs|tip|status|s/p|post)\b"
)
# Sentences that ask or advise, and say nothing of the image.
ASKS = (
    r"^\W*(?:please |to )?(?:evaluate|assess|check|look|exclude|reason for|if|"
    r"should)\b"
)
ABBREVIATIONS = r"(?:\b(?:Dr|Drs|Mr|Ms|Mrs|vs|approx|e\.g|i\.e|[A-Z])\.|^\s*\d+[.)])$"
