"""How radiologists name the thirteen things that the labeller looks for, in lower case."""

# Phrases that name a finding by themselves.
PHRASES = {
    "Enlarged Cardiomediastinum": (
        r"(?:widen\w*|broad\w*|enlarge\w*) (?:of )?(?:the )?(?:\w+ )?(?:cardio)?mediastin\w+"
        r"|(?:cardio)?mediastinal (?:widening|enlargement)"
    ),
    "Cardiomegaly": (
        r"cardiomegaly|(?:cardiac|heart|(?:bi|left |right )?(?:ventricular|atrial)) enlargement"
        r"|enlarge(?:d|ment of the) (?:heart|left ventricle|left atrium|cardiac (?:silhouette|"
        r"shadow|contour))"
    ),
    "Lung Opacity": (
        r"(?<!nodular )opaci(?:ty|ties|fications?|fied)|infiltrat(?:es?|ions?)"
        r"|air-? ?space (?:disease|process)|ground[- ]glass (?:change|attenuation)"
        r"|interstitial (?:markings?|pattern|thickening|abnormalit\w+|changes?|(?:lung )?disease)"
        r"|reticula(?:tions?|r (?:markings?|pattern|changes?))|haziness"
        r"|(?:increased|hazy|patchy|parenchymal) densit(?:y|ies)"
        r"|densit(?:y|ies) (?:is|are) increased"
    ),
    "Lung Lesion": (
        r"nodul(?:es?|ar (?:densit|opaci)\w+|arity)|mass(?:es)?(?! effect)(?:-like \w+)?"
        r"|(?:cavitary|cavitating|lung|pulmonary|parenchymal|focal) lesions?"
        r"|neoplas\w+|tumou?rs?|malignan(?:cy|t \w+)|carcinoma|metasta(?:s[ei]s|tic \w+)"
    ),
    "Edema": (
        r"o?edema|(?:pulmonary |central |mild )*(?:vascular|venous|pulmonary) congestion"
        r"|congestion|(?<!renal )(?<!respiratory )(?<!hepatic )(?<!liver )"
        r"(?:congestive )?(?:heart )?failure|chf"
        r"|(?:fluid|volume) overload|decompensation"
    ),
    "Consolidation": r"consolidat(?:ions?|ive \w+|ed)",
    "Pneumonia": r"(?:broncho)?pneumonias?|infect(?:ions?|ious (?:\w+ )?(?:process\w*|\w+))",
    "Atelectasis": (
        r"atelecta(?:s[ei]s|tic(?: \w+)?)|(?<!vertebral )(?<!body )collapsed?"
        r"(?! of (?:the |a )?(?:\w+ )?(?:vertebra|t\d))"
    ),
    "Pneumothorax": (
        r"(?:hydro|ha?emo|pyo)?pneumothora(?:x|ces)|(?:intra)?pleural air"
        r"|air (?:\w+ )?(?:in|into|within) the (?:\w+ )?pleural (?:space|cavity)"
    ),
    "Pleural Effusion": (
        r"(?<!pericardial )effusions?|pleural fluid|fluid (?:\w+ ){0,6}pleural (?:space|cavit\w+)"
        r"|(?:layering|loculated|subpulmonic|fissural) fluid"
        r"|fluid (?:\w+ ){0,4}(?:fissures?|layer(?:s|ing))"
        r"|hydropneumothora(?:x|ces)|ha?emothora(?:x|ces)|hydrothora(?:x|ces)|empyema"
    ),
    "Pleural Other": (
        r"(?:pleural|apical|pleuro-?parenchymal|pleura) (?:\w+ )?(?:thickening|plaques?|scar\w*|"
        r"calcifications?|fibrosis|caps?|nodularity)|fibrothora(?:x|ces)"
        r"|(?:thickening|scarring|calcification) of the (?:\w+ )?pleura"
    ),
    "Fracture": r"fractur(?:es?|ed)",
    "Support Devices": (
        r"tubes?|(?<!kerley )(?<!kerley b )(?<!fracture )(?<!pleural )(?<!septal )lines?(?! of)"
        r"|catheters?|piccs?"
        r"|(?:porta?-?a?-?)?cath|mediports?|ports?|pacemakers?|pacers?|a?icds?|defibrillators?"
        r"|leads?(?! to)|electrodes?|wires?|clips?|prosthe(?:tic \w+|s[ei]s)"
        r"|(?:valve|valvular) replacement|stents?|hardware|drains?|pumps?|devices?"
        r"|swan-? ?ganz|sheaths?|cannulas?|screws?"
        r"|filters?|pigtails?|stimulators?|extubat(?:ed|ion)|intubated|intubation|tracheostomy"
    ),
}
# Words that by themselves say that a device is gone.
GONE = r"extubat(?:ed|ion)"
# (structure, what is abnormal of it, what is normal): `the heart is not enlarged`.
STRUCTURES = {
    "Cardiomegaly": (
        r"heart|cardiac(?=, )|cardiac (?:silhouette|size|contours?|shadow|and)",
        r"enlarge(?:d|ment)|prominen(?:t|ce)|dilat(?:ed|ation)|increased in size|borderline"
        r"|(?:is|looks|appears|remains) (?:\w+ )?(?:big|large)(?= ?[.,;]|$)",
        r"normal|unremarkable|not big",
    ),
    "Enlarged Cardiomediastinum": (
        r"(?:cardio)?mediastin(?:um|al (?:silhouettes?|contours?|width|structures?)|al)",
        r"wide(?:ned|ning|r)?|enlarge(?:d|ment)|prominen(?:t|ce)|broad(?:ened|ening)?|increased",
        r"normal|unremarkable|narrow",
    ),
    "Pleural Other": (
        r"pleura|pleural (?:surfaces?|reflections?)",
        r"thicken(?:ed|ing)|plaques?|calcifi(?:ed|cations?)|irregular\w*|scarr(?:ed|ing)",
        r"normal|unremarkable|smooth",
    ),
}
# Findings that a longer phrase of another name contains.
INSIDE = {"Lung Opacity": r"nodular opaci\w+", "Atelectasis": r"collapsed? (?:neck veins?|ivc)"}
