"""How radiologists name the thirteen things that the labeller looks for, in lower case.

Spellings are British and American, in full and abbreviated, with the slips that are common."""

SIZE = r"(?:size|silhouettes?|shadows?|contours?|outlines?|diameters?|borders?|width|configuration)"
HEART = rf"(?:heart|cardiac|cardiopericardial)(?: {SIZE}| and pericardial {SIZE})?"
ADVERB = (
    r"(?:mildly|slightly|minimally|moderately|markedly|severely|massively|grossly|significantly|"
    r"substantially|somewhat|quite|rather|very|still|again|now|also|too|not|further|borderline|"
    r"chronically|possibly|probably|likely|clearly|definitely|overall|stably|abnormally)"
)
VERB = (
    r"(?:is|are|was|were|may|might|could|has|have|been|be|appears?|looks?|seems?|remains?|isn'?t"
    r"|aren'?t|to)"
)
MEDIASTINUM = r"(?:cardio-?)?mediastin"

# No doubt in the sentence whether it is a nodule: `nodular focus, a nodule is not excluded`.
SETTLED = (
    r"(?!(?=[^;]*\b(?:nodules?|mass|lesion)\b)[^;]*\b(?:may|might|could|possib\w+|versus|vs"
    r"|excluded?|question\w*|suspicious|concern\w*|worrisome)\b)"
)
# Phrases that name a finding by themselves.
PHRASES = {
    "Enlarged Cardiomediastinum": (
        rf"(?:widen\w*|wide|broad\w*|enlarge\w*|prominen\w+|fullness)(?: of| in)?(?: the)? "
        rf"(?:\w+ )?{MEDIASTINUM}(?:um|al)(?! (?:lymph|nod|mass|vessel|vein))(?: {SIZE})?"
        rf"|{MEDIASTINUM}al (?:\w+ (?:and|or) )?(?:widening|enlargement|prominence|fullness"
        rf"|broadening)"
        rf"|{MEDIASTINUM}(?:um|al {SIZE})(?: {VERB})* (?:{ADVERB} )*(?:widening|widens|wider)"
    ),
    "Cardiomegaly": (
        r"cardiom[ea]g[ae]?l+[iy]+|megacardia|(?:cardiac|heart|cardiac chamber|"
        r"(?:bi|left |right |four[- ])?(?:ventricular|atrial|chamber)) (?:enlargement|dilat\w+)"
        r"|(?:enlarge(?:d|ment of)|dilat(?:ed|ation of|ion of)|enlarging|large|big|oversized)"
        r"(?: the| an?)? (?:heart(?! (?:border|valve))|left ventricle|left atrium|right atrium"
        rf"|right ventricle|(?:cardiac|heart|cardiopericardial) {SIZE})"
        rf"|(?:increased|increase in|abnormal) (?:the )?(?:heart|cardiac) {SIZE}"
        rf"|{HEART}(?: {VERB})*(?: {ADVERB})* (?:increased|big(?:ger)?|larger?|generous|abnormal)"
        rf"(?= (?:in size|than|and|but|for|on|with|as|since|compared)|[.,;]|$)"
        rf"|(?:cardiothoracic|ct|c/t) ratio (?:{VERB} )*(?:{ADVERB} )*(?:increased|abnormal|"
        r"enlarged|above|greater|over|exceeds?)|increased (?:cardiothoracic|ct|c/t) ratio"
    ),
    "Lung Opacity": (
        r"(?<!nodular )opac+(?:it(?:y|ies|es|ys)|ties|ifi\w+)|ggos?|infiltrat(?:es?|ions?|ive \w+)"
        r"|(?:air-? ?space|alveolar|interstitial) (?:diseases?|process(?:es)?|shadow\w*|filling)"
        r"|ground[- ]glass(?! opaci)(?: (?:changes?|attenuation|density|densities))?"
        r"|interstitial (?:lung )?(?:markings?|patterns?|thickening|abnormalit\w+|changes?|disease"
        r"|prominence)|(?:increased|prominent|coarse\w*) (?:\w+ )?(?:markings|interstitium)"
        r"|retic(?:ulo-?nodular|ul(?:ations?|ar)) ?(?:markings?|patterns?|changes?|densit\w+)?"
        r"(?<! )|haziness|white-? ?out|decreased translucency"
        r"|(?:increased|hazy|patchy|parenchymal|airspace|air space|alveolar|streaky|linear|"
        r"interstitial|confluent|basilar|lung) (?:densit(?:y|ies)|shadow(?:s|ing))"
        r"|densit(?:y|ies) (?:is|are) increased"
    ),
    "Lung Lesion": (
        rf"(?:micro)?nodul(?:es?|ar (?:densit|opaci|lesion|focus|foci|shadow"
        rf"|infiltrat)\w*{SETTLED})"
        r"|(?<!pleural )nodularit(?:y|ies)|mass(?:es)?(?! effect)(?![- ]like)"
        r"|(?:cavitary|cavitating|coin|lung|pulmonary|parenchymal|focal|mass|suspicious|nodular|"
        r"malignant|metastatic|lytic lung|solitary|discrete|rounded?) lesions?"
        r"|cavit(?:y|ies)(?<!pleural cavity)|neoplas(?:ms?|ia|tic)|tumou?rs?|malignanc(?:y|ies)"
        r"|malignant|(?:adeno)?carcinomas?|metasta(?:s[ei]s|tic)|(?:lung|bronchogenic) cancers?"
        r"|granulomata|granulomas?|calcified granulomatous \w+|hamartomas?|pulmonary mets|mets"
        r"|lung metastas\w+|lumps?"
    ),
    "Edema": (
        r"(?<!tissue )(?<!subcutaneous )(?<!wall )(?:o?ed[ea]?e?ma)(?:tous)?"
        r"|congest(?:ion|ed)|congestive (?:changes?|pattern|failure|heart failure)"
        r"|(?<!renal )(?<!kidney )(?<!respiratory )(?<!hepatic )(?<!liver )(?<!hardware )"
        r"(?<!treatment )failure(?! to)|chf|(?:fluid|volume) overload(?:ed)?|hypervol(?:a?emia)"
        r"|over-?hydration|decompensat(?:ion|ed \w+)"
    ),
    "Consolidation": r"consol+idat(?:ions?|ive|ed|ing)|consolodations?|consolidaton",
    "Pneumonia": (
        r"(?:broncho|pleuro)?pn(?:eu|ue|e)m(?:on|o|om|oin)(?:ias?|ic)(?: (?:infiltrat\w+|process))?"
        r"|pna|(?<!radiation )pneumonitis|super-?infect(?:ion|ed)"
        r"|(?<!tract )infect(?:ions?|ious|ive|ed)(?: (?:\w+ )?(?:process(?:es)?|disease|"
        r"etiology|aetiology|focus|infiltrates?))?"
    ),
    "Atelectasis": (
        r"(?:micro)?(?:atele?[ck]?t|atelact|atlect|atalect|atelc?et)[a-z]+"
        r"(?: (?:changes?|bands?|areas?))?"
        r"|(?<!vertebral )(?<!body )(?<!tracheal )(?<!compression )collaps(?:ed?|es|ing)"
        r"(?! (?:of|in) (?:the |a |an )?(?:\w+ ){0,2}(?:vertebra|spine|t\d|l\d))"
    ),
    "Pneumothorax": (
        r"(?:hydro|ha?emo|pyo)?pn(?:eu|ue)mo-?th(?:or|ro)a?(?:x|xes|cies|ces|cis|sis|rax|ax)"
        r"|(?:hydro)?ptxs?|(?:intra)?pleural (?:air|gas)"
        r"|(?:air|gas) (?:\w+ )?(?:in|into|within) the (?:\w+ )?pleural (?:space|cavity)"
    ),
    "Pleural Effusion": (
        r"(?<!pericardial )(?<!joint )eff?us+io?(?:ns?|sns?)|pleural (?:fluid|collections?)"
        r"|fluid (?:\w+ ){0,6}pleural (?:space|cavit\w+)"
        r"|(?:layering|loculated|subpulmonic|fissural|interlobar|free|residual) fluid"
        r"|loculated (?!air|gas)(?:\w+ )?collections?"
        r"|fluid (?:\w+ ){0,4}(?:fissures?|layer(?:s|ing))"
        r"|hydro-?pneumothora(?:x|ces)|hydroptx|(?:ha?emo|hydro|chylo|pyo)thora(?:x|ces)|empyemas?"
    ),
    "Pleural Other": (
        r"(?:(?:pleural(?:[- ]based)?|(?:bi)?apical|pleuro-?(?:parenchymal|pulmonary|diaphragmatic|"
        r"pericardial)|pleura|diaphragmatic|parenchymal[- ]pleural|pleural[- ]parenchymal|asbestos"
        r"|costal) (?:and \w+ )?(?:\w+ )?)"
        r"(?:thick(?:en|in)(?:ing|ings|ed)|plaqu\w+|scar\w*|calcifications?|fibrosis|reaction"
        r"|cap(?:s"
        r"|ping)?|"
        r"rinds?|peel|adhesions?|nodularity)"
        r"|pleural (?:effusions?|fluid)(?:,? (?:or|and)|,) thickening"
        r"|fibro-?thora(?:x|ces)|pleurodesis changes?|calcified pleura\w*|thickened pleura\w*"
        r"|(?:thickening|scarring|calcifications?|plaques?|fibrosis|scars?) (?:of|along|in|over) "
        r"(?:the )?(?:\w+ )?(?:pleurae?|(?:hemi-?)?diaphragms?|pleural (?:surface|margin|space)s?)"
        r"|(?:thickening|scarring) or (?:calcification|plaques?) of the (?:\w+ )?pleura"
    ),
    "Fracture": (
        r"(?:micro)?fract(?:ures?|ured|ue?rs?)|frcatures?|fractrures?|fxs?|broken (?:\w+"
        r" )?ribs?"
    ),
    "Support Devices": (
        r"tub(?:e|es|ing)|(?<!kerley )(?<!kerley b )(?<!fracture )(?<!pleural )(?<!septal )"
        r"(?<!clavicular )(?<!axillary )(?<!spinal )(?<!lucent )(?<!junction )(?<!tracheal )"
        r"(?<!a )(?<!in )lines?(?! of)(?! shadow)"
        r"|catheters?|piccs?|[eno]gt|ett|et tube|cv[cl]s?|dobb?-?hoff|ng|hickman|broviac|groshong"
        r"|(?:perma?|vas)-?cath|(?:porta?-?a?-?)?caths?|(?:medi|chemo|infus-?a-?)?ports?"
        r"|pace-?makers?|pacers?|pacing (?:system|unit)"
        r"|a?icds?|crt-?[dp]?|defib(?:rillators?)?|l?vads?|iabp|impella|ecmo|balloon pumps?"
        r"|loop recorders?|leads?(?! to)|electrodes?|wir(?:es?|ing)|clips?|staples?|sutures?"
        r"|(?:bio)?prosthe(?:tic|s[ei]s)(?: \w+ valves?| valves?)?|(?:mechanical|artificial)"
        r" valves?"
        r"|(?:valve|valvular|joint|shoulder) (?:replacements?|repair)|annuloplasty|tav[ri]"
        r"|arthroplast(?:y|ies)|stents?|stent-?grafts?|endografts?|hardware|drains?|pumps?|devices?"
        r"|mitraclips?|watchman|amplatzer|occluders?|(?:temperature|ph|esophageal|oesophageal)"
        r" probes?"
        r"|(?:pacing|pacer|defibrillat\w+) pads?|(?:tissue )?expanders?|(?:gastric|lap) bands?"
        r"|(?:intra-?aortic )balloons?|corpak|cordis|dht|micra|spacers?|fiducials?(?: markers?)?"
        r"|(?:cardiac|ecg|ekg|holter|implanted) monitors?"
        r"|coils|embolization coil|plates?(?!-)(?! ?like)|rods?|orif|fixation|implants?"
        r"|swan(?:-? ?ganz)?|introducers?|sheaths?|cannula[es]?|screws?|(?:vp |\w+peritoneal"
        r" )?shunts?"
        r"|(?:ivc )?filters?|pig-?tails?|stimulators?|apparatus|gastrostomy|peg"
        r"|(?:de|self-?)?(?:ex|in)tubat(?:ed|ion)|trach(?:eostomy|eotomy)?|decannulat(?:ed|ion)"
    ),
}
# Words that say the same more weakly: they count where the sentence has no phrase of the label.
WEAK = {
    "Lung Lesion": r"mass[- ]?like (?:\w+ )?(?:opaci\w+|densit\w+|foc\w+|lesions?|areas?|\w+)",
    "Edema": (
        r"(?:vascular|vessel|venous|vasculature) (?:engorgement|redistribution|prominence|plethora|"
        r"fullness|indistinctness|cephali[sz]ation)|engorge(?:d|ment)|cephali[sz]ation"
        r"|(?:indistinct(?:ness)?|engorgement|prominen(?:t|ce)|cephali[sz]ation|redistribution)"
        r"(?: of)?(?: the)? (?:(?:central|pulmonary|perihilar) )*(?:vessels|vascul\w+|blood flow)"
        r"|kerley(?:[- ][abc])?(?: septal)? lines?|septal lines|(?:interlobular )?septal thickening"
        r"|upper (?:lobe|zone) (?:blood )?diversion|pulmonary venous hypertension"
        r"|vascular indistinctness|perihilar haz(?:e|iness)|bat-?wing (?:pattern|distribution)"
    ),
    "Atelectasis": r"volume loss|loss of (?:lung )?volume|loss of aeration",
    "Pneumothorax": r"(?:visceral )?pleural line|air-filled pleural space",
    "Pleural Effusion": (
        r"(?<!pericardial )(?<!interstitial )(?<!alveolar )(?<!lung )fluid(?!-)(?! (?:overload|"
        r"status|balance|resuscitation|restriction|filled|levels?|around|in the (?:stomach|"
        r"pericardi|airspace|air|alveol|bowel|bronch)))"
    ),
    "Fracture": (
        r"(?:compression|wedge|vertebral|wedge compression)(?: body)? (?:deformit(?:y|ies)"
        r"|collapse)"
        r"|(?:vertebral body|vertebral) height loss|wedging|cortical (?:disruption|break|step-?off)"
    ),
}
# A part of a device that is not seen says that the device is there.
PART_BEFORE = (
    r"(?:tips?|ends?|part|course|portion|extent|terminus|positions?|termination|side ?holes?|"
    r"side ?ports?|location) of (?:the |a |an )?(?:[\w-]+ ){0,3}$"
)
PART_AFTER = (
    r"(?: (?:tube|line|catheter|lead))?(?:'s)? (?:tips?|ends?|side ?holes?|course|terminus)\b"
)
# Words that by themselves say that a device is gone.
GONE = r"(?:de|self-?)?extubat(?:ed|ion)|decannulat(?:ed|ion)"
REMOVAL = r"(?: (?:and|or) \w+)? (?:removal|extraction|discontinuation|explantation)\b"
NORMAL = (
    r"(?<!not )(?<!than )(?<!above )(?<!beyond )(?<!exceeds )(?<!top )(?<!upper )normal(?!ly|"
    r" (?:in size )?(?:to|or) )(?! (?:lung volume|inspiration|expan))|unremarkable|wnl|w\.n\.l\.?"
    r"|within (?:the )?(?:normal )?limits|non-?enlarged|satisfactory|non-?widened|narrow|not big"
    r"|no abnormality|not abnormal|(?:less than|below|under) (?:0?\.5|50|one half|half)|(?:top"
    r"|upper|high)[- ]normal(?! (?:in size )?(?:to|or)\b)"
)
# (structure, what is abnormal of it, what is normal): `the heart is not enlarged`.
STRUCTURES = {
    "Cardiomegaly": (
        r"(?<!behind the )(?<!behind )(?<!over the )(?<!overlying the )(?<!near the )"
        r"(?<!adjacent to the )(?<!obscuring the )(?<!beside the )(?<!left )(?<!right )"
        r"(?:heart(?! (?:failure|valves?|borders?|disease|rate|surgery|transplant))"
        rf"|cardiac(?=,| and| or|/|:)|(?:cardiac|cardiopericardial) {SIZE}"
        r"|(?:cardiothoracic|ct|c/t) ratio)",
        r"enlarge(?:d|ment|s)|enlarging|prominen(?:t|ce)|dilat(?:ed|ation|ion)|increase(?:d)? in"
        r" size"
        r"|borderline|(?:larg|bigg|great)er than|above (?:the )?normal|exceed(?:s|ing)"
        r"|(?<=or )(?:\w+ly )?increased",
        NORMAL,
    ),
    "Enlarged Cardiomediastinum": (
        rf"{MEDIASTINUM}(?:um|al {SIZE}|al (?:structures?|appearance|vessels)"
        r"|al(?=,|/| ?&| (?:and|or)(?! hilar (?:lymph|nod|mass|adenop))))",
        r"wide(?:ned|ning|r|ns)?|enlarge(?:d|ment)|enlarging|prominen(?:t|ce)|broad(?:ened|ening"
        r"|er)?"
        r"|increased|fullness|full|thickened|dilated",
        NORMAL,
    ),
    "Pleural Other": (
        r"pleurae?|pleural (?:surfaces?|reflections?|margins?|spaces?|abnormalit\w+|disease|"
        r"changes?|layers?|lines?)",
        r"thicken(?:ed|ing)|plaques?|calcifi(?:ed|cations?)|irregular\w*|scarr(?:ed|ing)|fibrosis",
        r"normal|unremarkable|smooth|clear",
    ),
}
# Lungs that are called clear have no opacity.
CLEAR = (
    r"(?:lungs?|lung (?:fields?|zones?|bases|volumes|parenchyma)|hemithora(?:x|ces)|parenchyma)"
    r"(?: fields?)?:? (?:[\w-]+,? ){0,6}?clear(?:ed|ing)?(?! (?:of|from))(?<!not clear)"
    r"|clear (?:and )?(?:\w+ ){0,3}?(?:lungs?|lung fields?)"
)
OLD = (
    r"(?:from|after|due to|related to|secondary to|attributable to|residu\w+ of|sequelae? of"
    r"|result of"
    r"|following|with|reflect\w*|represent\w*|by) (?:an? |the |his |her )?(?:old|prior|previous"
    r"|remote|past|former|healed|treated)"
)
HARDWARE = r"(?:leads?|wires?|catheters?|tubes?|hardware|screws?|rods?|stents?|plates?)"
# Findings that a longer phrase of another name contains.
INSIDE = {
    "Lung Opacity": r"nodular opaci\w+|pleural opaci\w+",
    "Atelectasis": r"collapsed? (?:neck veins?|ivc|vertebra\w*|trachea)",
    "Lung Lesion": r"pleural (?:mass|nodul\w+)",
    "Support Devices": (
        r"(?:pleural|septal|kerley \w|dense|subtle|thin|lucent|white|curvilinear|curved|faint"
        r"|sharp|"
        r"fine|vertical|oblique|horizontal|irregular|vague|dark|straight|visible|radiolucent)"
        r" lines?"
    ),
    "Fracture": (
        rf"{HARDWARE} (?:of the \w+ )?(?:(?:is|are|appears?|has|have|been|again|chronically|to"
        rf" be) )*"
        rf"fracture[sd]?|fracture (?:of|in|through) (?:the |a |an |one )?(?:\w+ ){{0,3}}{HARDWARE}"
        rf"|fractured (?:\w+ ){{0,2}}{HARDWARE}"
    ),
    "Pneumonia": rf"{OLD} (?:\w+ ){{0,3}}(?:pneumonias?|infections?|pneumonitis)",
    "Pneumothorax": rf"{OLD} (?:\w+ ){{0,3}}pneumothora(?:x|ces)",
    "Pleural Effusion": rf"{OLD} (?:\w+ ){{0,3}}(?:effusions?|empyemas?|ha?emothora(?:x|ces))",
}
