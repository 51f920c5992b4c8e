"""The words of the chest phantom's reports: nouns of each finding and the templates of sentences.

Slots of a noun: {sev} how much, {side} of which side, {at} in which place, {size} and {rib} from
the finding's numbers. Slots of a template: {np} the noun phrase, {Np} with a capital, {a} its
article, {is} and {has} by number."""

SEVERITIES = {  # mild, moderate, severe of the study, as a noun takes them
    "amount": ("small", "moderate", "large"),
    "degree": ("mild", "moderate", "severe"),
    "": ("", "", ""),
}
# Of each finding: (singular, plural or "" for a mass noun, which severity words).
NOUNS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "Enlarged Cardiomediastinum": (
        ("{sev} widening of the mediastinum", "", "degree"),
        ("{sev} mediastinal widening", "", "degree"),
        ("{sev} enlargement of the cardiomediastinal silhouette", "", "degree"),
    ),
    "Cardiomegaly": (
        ("{sev} cardiomegaly", "", "degree"),
        ("{sev} enlargement of the heart", "", "degree"),
        ("{sev} enlargement of the cardiac silhouette", "", "degree"),
    ),
    "Lung Opacity": (
        ("{sev} hazy opacity {at}", "{sev} hazy opacities {at}", "degree"),
        ("{sev} opacity {at}", "{sev} opacities {at}", "degree"),
        ("{sev} infiltrate {at}", "{sev} infiltrates {at}", "degree"),
        ("{sev} {side} airspace opacity", "{sev} {side} airspace opacities", "degree"),
    ),
    "Lung Lesion": (
        ("{size} mm pulmonary nodule {at}", "{size} mm pulmonary nodules {at}", ""),
        ("{side} pulmonary nodule of {size} mm", "{side} pulmonary nodules of up to {size} mm", ""),
        ("{size} mm nodule {at}", "nodules of up to {size} mm {at}", ""),
    ),
    "Edema": (
        ("{sev} pulmonary edema", "", "degree"),
        ("{sev} interstitial edema", "", "degree"),
        ("{sev} perihilar edema", "", "degree"),
    ),
    "Consolidation": (
        ("{sev} consolidation {at}", "", "degree"),
        ("{sev} {side} airspace consolidation", "", "degree"),
        ("{sev} focal consolidation {at}", "", "degree"),
    ),
    "Pneumonia": (
        ("{sev} pneumonia {at}", "", "degree"),
        ("{sev} {side} pneumonia", "", "degree"),
        ("{sev} infectious process {at}", "", "degree"),
    ),
    "Atelectasis": (
        ("{sev} {side} basilar atelectasis", "", "degree"),
        ("{sev} atelectasis {at}", "", "degree"),
        ("{sev} {side} plate-like atelectasis", "", "degree"),
        ("{sev} {side} linear atelectasis", "", "degree"),
    ),
    "Pneumothorax": (
        ("{sev} {side} pneumothorax", "{sev} {side} pneumothoraces", "amount"),
        ("{sev} {side} apical pneumothorax", "{sev} {side} apical pneumothoraces", "amount"),
    ),
    "Pleural Effusion": (
        ("{sev} {side} pleural effusion", "{sev} {side} pleural effusions", "amount"),
        ("{sev} {side} effusion", "{sev} {side} effusions", "amount"),
        ("{sev} {side} free pleural effusion", "{sev} {side} free pleural effusions", "amount"),
    ),
    "Pleural Other": (
        ("{sev} {side} pleural thickening", "", "degree"),
        ("{sev} thickening of the {side} pleura", "", "degree"),
    ),
    "Fracture": (
        ("fracture of the {side} {rib} rib", "", ""),
        ("{side} {rib} rib fracture", "", ""),
    ),
    "Pneumoperitoneum": (("free air below the right hemidiaphragm", "", ""),),
    "Pneumomediastinum": (("pneumomediastinum", "", ""),),
    "Subcutaneous Emphysema": (("{sev} {side} subcutaneous emphysema", "", "degree"),),
    "Tortuous Aorta": (("tortuosity of the aorta", "", ""),),
    "Calcification of the Aorta": (("calcification of the aortic knob", "", ""),),
}
COUNTED = {"Lung Opacity", "Lung Lesion", "Pneumothorax", "Pleural Effusion", "Fracture"}
# An opacity that is named as such and for what it is; {np} is the plain noun phrase.
OPACITIES = {
    "Edema": "diffuse opacities consistent with {np}",
    "Consolidation": "dense opacity consistent with {np}",
    "Pneumonia": "patchy opacity consistent with {np}",
    "Lung Lesion": "rounded opacity consistent with {np}",
    "Atelectasis": "streaky opacity consistent with {np}",
}
PLURAL_OPACITIES = {"Edema"}
DENIED = {  # nouns after `no`
    "Lung Opacity": ("focal opacity", "infiltrate"),
    "Lung Lesion": ("pulmonary nodule", "lung mass"),
    "Edema": ("pulmonary edema", "vascular congestion"),
    "Consolidation": ("focal consolidation", "consolidation"),
    "Pneumonia": ("pneumonia",),
    "Atelectasis": ("atelectasis",),
    "Pneumothorax": ("pneumothorax",),
    "Pleural Effusion": ("pleural effusion", "effusion"),
    "Pleural Other": ("pleural thickening",),
    "Fracture": ("acute fracture", "displaced rib fracture"),
}
GONE = {  # what has resolved; others as after `no`
    "Enlarged Cardiomediastinum": "mediastinal widening",
    "Cardiomegaly": "cardiomegaly",
    "Lung Opacity": "opacity",
    "Fracture": "rib fracture",
    "Pneumoperitoneum": "free air below the right hemidiaphragm",
    "Pneumomediastinum": "pneumomediastinum",
    "Subcutaneous Emphysema": "subcutaneous emphysema",
    "Tortuous Aorta": "tortuosity of the aorta",
    "Calcification of the Aorta": "calcification of the aortic knob",
}
NORMAL = {  # sentences that deny by calling a structure normal
    "Cardiomegaly": (
        "The heart is normal in size.",
        "Heart size is within normal limits.",
        "The cardiac silhouette is not enlarged.",
    ),
    "Enlarged Cardiomediastinum": (
        "The mediastinal contours are normal.",
        "The cardiomediastinal silhouette is unremarkable.",
        "The mediastinum is not widened.",
    ),
}
TEMPLATES = {
    "present": (
        "There {is} {a}{np}.",
        "{Np} {is} present.",
        "{Np} {is} seen.",
        "{Np} {is} noted.",
        "{Np}.",
    ),
    "stable": (
        "{Np} {is} unchanged.",
        "{Np} {is} again seen, without significant change.",
        "{Np} {is} stable.",
        "Unchanged {np}.",
    ),
    "better": (
        "{Np} {has} improved.",
        "Interval decrease in {np}.",
        "{Np} {has} decreased since the prior study.",
        "Improving {np}.",
    ),
    "worse": (
        "{Np} {has} worsened.",
        "Interval increase in {np}.",
        "{Np} {has} progressed since the prior study.",
        "Worsening {np}.",
    ),
    "new": (
        "New {np}.",
        "{Np} {is} new since the prior study.",
        "Interval development of {np}.",
        "{Np} {has} developed.",
    ),
    "uncertain": (
        "Possible {np}.",
        "{Np} cannot be excluded.",
        "Findings may represent {np}.",
        "Questionable {np}.",
        "{Np} {is} suspected.",
        "Findings are concerning for {np}.",
    ),
    "resolved": (
        "{Np} {has} resolved.",
        "Interval resolution of {np}.",
        "Previously seen {np} {is} no longer present.",
    ),
    "absent": (
        "No {list}.",
        "There is no {list}.",
        "No evidence of {list}.",
        "The lungs and pleural spaces show no {list}.",
        "There is no radiographic evidence of {list}.",
    ),
    "together": (
        "{Np} and {other}.",
        "{Np} with {other}.",
        "There {is} {a}{np}, and {other}.",
    ),
}
DEVICES = {  # {A} with the side and an article, {Kind} with the side, {at} the position in words
    "endotracheal tube": (
        "{A} ends {at}.",
        "The tip of the {kind} is {at}.",
    ),
    "central venous line": (
        "{A} terminates {at}.",
        "The tip of the {kind} lies {at}.",
    ),
    "nasogastric tube": (
        "{A} ends {at}.",
        "The {kind} courses below the carina and its tip is {at}.",
    ),
    "pacemaker": (
        "{A} is in place, {at}.",
        "There is {a} {at}.",
    ),
    "chest tube": (
        "{A} is in place, its tip {at}.",
        "The tip of the {kind} is {at}.",
    ),
    "monitoring leads": (
        "Monitoring leads lie {at}.",
        "Electrocardiogram leads project {at}.",
    ),
}
DEVICES_SHORT = (
    "Support devices as described above.",
    "Tubes and lines in satisfactory position.",
    "Lines and tubes as above.",
)
INVENTED_DEVICE = ("nasogastric tube", "", "in the stomach")
UNCHANGED = "No significant interval change."
NO_DEVICES = ("No lines or tubes are seen.", "There is no support device.")
CLEAR = (  # sentences that mention none of the labels
    "The hila are unremarkable.",
    "The lungs are well expanded.",
    "The visualized upper abdomen is unremarkable.",
    "The trachea is midline.",
    "Lung volumes are normal.",
    "The soft tissues are unremarkable.",
)
PROCESS = (  # impressions of a study in which nothing was found
    "No acute cardiopulmonary process.",
    "No acute cardiopulmonary abnormality.",
    "Normal chest radiograph.",
    "No acute intrathoracic process.",
    "No acute cardiopulmonary disease is identified on this examination.",
)
ADVICE = (  # what follows in long impressions
    "Clinical correlation is recommended.",
    "Attention to this area on subsequent examinations is advised.",
    "Short interval radiographs are suggested to document the further course.",
    "If there is clinical concern, computed tomography can be obtained for better assessment.",
    "These results were communicated to the referring team at the time of interpretation.",
    "A repeat radiograph with better inspiration would be helpful for comparison.",
)
INDICATIONS = (
    "cough",
    "fever",
    "shortness of breath",
    "chest pain",
    "hypoxia",
    "preoperative assessment",
    "line placement",
    "fall",
)
QUESTIONS = ("infiltrate?", "acute process?", "pneumothorax?", "effusion?", "interval change?")
EXAMINATIONS = {
    "PA": "CHEST (PA AND LAT)",
    "AP": "CHEST (PORTABLE AP)",
    "LATERAL": "CHEST (PA AND LAT)",
    "LL": "CHEST (PA AND LAT)",
}
TECHNIQUES = {
    "PA": "Upright PA and lateral views of the chest.",
    "AP": "Single portable AP view of the chest.",
    "LATERAL": "Upright PA and lateral views of the chest.",
    "LL": "Upright PA and lateral views of the chest.",
}
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
ZONES = {"upper": "upper lung zone", "mid": "mid lung zone", "lower": "lower lung zone"}
