"""Numbers as text, formatted alike in the summary, on the page and in pictures; and the glossary."""

import re
from collections.abc import Iterable, Sequence

REVISION_MARK = "[[the git revision]]"  # in the page, until `name_revision` replaces it
NOTHING = "–"
WIDEST = 0.95  # a wider interval of a share is not shown: it excludes nothing


def percent(value: float | None, digits: int = 1) -> str:
    """0.9733 as "97.3 %", with a true minus sign; a missing figure as a dash."""
    return NOTHING if value is None else f"{number(100 * value, digits)} %"


def number(value: float | None, digits: int = 2) -> str:
    """A plain number, with a true minus sign."""
    return NOTHING if value is None else f"{value:.{digits}f}".replace("-", "−")


def number_with_interval(value: float | None, low: float | None, high: float | None) -> str:
    """ "0.15 (0.10 to 0.20)"; the number alone where it has no interval."""
    return number(value) + ("" if low is None or high is None else f" ({number(low)} to {number(high)})")


def percent_with_interval(value: float | None, low: float | None, high: float | None) -> str:
    """ "97.3 % (95.0 to 98.6)"; the share alone where it has no interval, or one that excludes nothing."""
    if low is None or high is None or high - low >= WIDEST:
        return percent(value)
    return f"{percent(value)} ({100 * low:.1f} to {100 * high:.1f})"


def span(values: Iterable[float], digits: int = 2) -> str:
    """Smallest to largest of some figures; one figure where both print the same."""
    ordered = sorted(values)
    low, high = number(ordered[0], digits), number(ordered[-1], digits)
    return low if low == high else f"{low} to {high}"


def percent_span(values: Iterable[float], digits: int = 1) -> str:
    """Smallest to largest share, in percent."""
    return span((100 * value for value in values), digits) + " %"


NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def in_words(number_of: int) -> str:
    """Numbers up to ten as words: "four"; larger ones as digits."""
    return NUMBERS[number_of] if number_of < len(NUMBERS) else f"{number_of:,}"


def all_models(number_of: int) -> str:
    """ "all four models", "both models" or "the model"."""
    if number_of == 1:
        return "the model"
    return "both models" if number_of == 2 else f"all {in_words(number_of)} models"


def capitalised(text: str) -> str:
    """The text with its first letter in upper case; the others as they are."""
    return text[:1].upper() + text[1:]


def count(number_of: int, noun: str) -> str:
    """ "1 image", "2 images", "1,000 classes"."""
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{number_of:,} {noun if number_of == 1 else plural}"


def shortened(text: str, most: int) -> str:
    """Text of at most `most` letters; a longer one loses its middle, because names differ at their ends."""
    head = (most - 1) // 2
    return text if len(text) <= most else f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def listed_first(words: Sequence[str], most: int) -> str:
    """ "a, b and 3 more": at most `most` words; all of them where there are no more."""
    return listed(words) if len(words) <= most else listed((*words[:most], f"{len(words) - most:,} more"))


def listed(words: Iterable[str], conjunction: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    *most, last = words
    return f"{', '.join(most)} {conjunction} {last}" if most else last


CHANGE_WORDS = {"jpeg": "JPEG compression", "flip": "a flip", "brightness": "a change of brightness"}


def change_words(change: str) -> str:
    """A small change of an image: "a shift by 3 px", "JPEG compression", "noise"."""
    return f"a {change}" if change.startswith("shift") else CHANGE_WORDS.get(change, change)


def place_in_grid(rows: Sequence[int], columns: Sequence[int], grid: Sequence[int]) -> str:
    """Where cells of a map lie: "the lower left corner", "the upper edge", "the middle"; else by number.

    Args:
        rows, columns: first and last that they span, counted from 1.
        grid: rows and columns of the map.
    """
    down, across = (_part(ends[0], ends[1], cells) for ends, cells in zip((rows, columns), grid, strict=True))
    side = {"first": "upper", "last": "lower"}.get(down), {"first": "left", "last": "right"}.get(across)
    if all(side):
        return f"the {side[0]} {side[1]} corner"
    if side[0] and across in ("all", "middle"):
        return f"the {side[0]} edge" if across == "all" else f"the middle of the {side[0]} edge"
    if side[1] and down in ("all", "middle"):
        return f"the {side[1]} edge" if down == "all" else f"the middle of the {side[1]} edge"
    if (down, across) in (("all", "all"), ("middle", "middle")):
        return "the whole image" if down == "all" else "the middle"
    return f"{_numbered('row', rows)}, {_numbered('column', columns)} of {grid[0]} × {grid[1]} cells"


def _part(first: int, last: int, count: int) -> str:
    """Which part of a side cells span: "all", a third at an end ("first", "last"), the "middle" third, or else ""."""
    if (first, last) == (1, count):
        return "all"
    if 3 * last <= count + 2 and first == 1:
        return "first"
    if 3 * (count - first + 1) <= count + 2 and last == count:
        return "last"
    inside = 3 * (first - 1) >= count - 2 and 3 * (count - last) >= count - 2
    return "middle" if inside else ""


def _numbered(noun: str, span: Sequence[int]) -> str:
    return f"{noun} {span[0]}" if span[0] == span[-1] else f"{noun}s {span[0]} to {span[-1]}"


GLOSSARY = {
    "AUROC": "Area under the ROC curve: how often a score orders a positive and a negative case correctly; "
    "0.5 by chance.",
    "Balanced accuracy": "Mean of the recalls of all classes. Guessing, and any answer that ignores the image, has one "
    "over the number of classes.",
    "Baseline": "What a figure is without a shared view: maps of other images, a blob at the centre, average maps, "
    "networks with random weights.",
    "CAM": "Class activation map: for each place of the image, how much it contributes to a class; signed, in logits.",
    "Chance level": "What a figure is if the map ignores the image: energy equal to the share of the area.",
    "Contrast": "The CAM of a class minus the CAMs of the other classes, weighted by their scores (equally in the "
    "pictures of single images on this page). With two classes it is the map of the log-odds.",
    "Control place": "A place of the same size and shape in the same image, outside the region.",
    "ECE": "Expected calibration error: how far scores are from the share of correct predictions.",
    "Energy": "The share of a map's positive sum inside a region. At chance it equals the region's share of the area.",
    "Effective groups": "How many groups of equal size would be as precise: fewer than the groups where a few of them "
    "hold most of the images.",
    "Evidence": "The region that a mask marks as relevant, for instance the parasite of an infected cell.",
    "Exploratory": "Not planned as a claim, and not adjusted for the number of statements: to be tested on new data.",
    "Foreground": "The object, for instance the whole cell.",
    "Group": "Images that belong together, for instance those of one patient; a group is in one split only.",
    "Head": "A linear classifier on the pooled feature maps of a layer; a layer without a trained one has no CAM.",
    "Infilling": "Replacing the pixels of a region by plausible ones, to see whether the prediction changes.",
    "Log-odds": "The logarithm of the odds of the true class; it falls when something that speaks for the class "
    "is removed.",
    "Look-alike": "A place in an image of another class that resembles the region.",
    "Occlusion map": "How far the log-odds fall when one cell of the image at a time is infilled: a check of the CAMs.",
    "Logit": "The network's output for a class, before the softmax that turns it into a score.",
    "Odds ratio of map energy": "Odds of energy inside a region over the odds of its area; 1 is the chance level.",
    "Pointing game": "How often the largest value of a map lies inside the evidence.",
    "r": "Pearson correlation of two models' maps of one image, averaged over images.",
    "Random weights": "The same network untrained: a map that it shares shows the image, not what was learned.",
    "Recipe": "How a model is trained: all options but the seed.",
    "95 % interval": "Confidence interval; its unit is the group (for instance the patient) where groups are known.",
}
# How a term appears in text, where it differs from the glossary. Longer ones come first.
_FORMS = {
    "Odds ratio of map energy": "odds ratio of map energy",
    "Balanced accuracy": "[Bb]alanced accuracy",
    "Effective groups": "effective groups",
    "Evidence": "evidence mask|the evidence",
    "Exploratory": "exploratory",
    "95 % interval": r"95\s%\sintervals?",
    "Chance level": "chance level",
    "Control place": "control places?",
    "Random weights": "random weights",
    "Look-alike": "[Ll]ook-alikes?",
    "Occlusion map": "occlusion maps?",
    "Energy": "map energy|positive energy",
    "Pointing game": "pointing game",
    "Log-odds": "log-odds",
    "Logit": "logits?",
    "Head": "heads?",
    "Foreground": "foreground",
    "Infilling": "[Ii]nfill(?:ing|ed|s)?",
    "Contrast": "contrast",
    "Baseline": "[Bb]aselines?",
    "Recipe": "recipes?",
    "AUROC": "AUROC",
    "CAM": "CAMs?",
    "ECE": "ECE",
    "r": "r(?= beyond| with)",
}
_TERM = re.compile("|".join(rf"\b(?P<t{i}>{form})\b" for i, form in enumerate(_FORMS.values())))
_TEXTS = re.compile(
    r'(<p class="(?:note|see)[^"]*">|<span class="text">|<small class="why">)(.*?)(</(?:p|span|small)>)', re.S
)
_TAG = re.compile(r"(<a\b.*?</a>|<[^>]*>)", re.S)


def term_id(term: str) -> str:
    """Id of a term in the page's glossary."""
    return "term-" + re.sub(r"\W+", "-", term.lower())


def link_terms(page: str) -> str:
    """The page with the first use of each term in a paragraph linked to the glossary."""
    return _TEXTS.sub(lambda found: found[1] + _linked(found[2]) + found[3], page)


def _linked(text: str) -> str:
    seen: set[str] = set()

    def link(found: re.Match[str]) -> str:
        term = list(_FORMS)[next(i for i, each in enumerate(found.groups()) if each)]
        if term in seen:
            return found[0]
        seen.add(term)
        return f'<a class="term" href="#{term_id(term)}">{found[0]}</a>'

    return "".join(each if each.startswith("<") else _TERM.sub(link, each) for each in _TAG.split(text))
