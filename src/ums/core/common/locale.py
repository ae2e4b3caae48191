"""Which of our two languages a caller or a reader wants."""

import re

LANGUAGES = ("en", "zh")
_MOST = 20  # entries of a header that are looked at
_WEIGHT = r"(?:;\s*[qQ]\s*=\s*([01](?:\.\d{0,3})?)\s*)?"
_ENTRY = re.compile(rf"\s*([A-Za-z]{{1,8}})(?:-[\w-]*)?\s*{_WEIGHT}")


def preferred(accept: str) -> str:
    """Ours that comes first by the weights of an Accept-Language header (RFC 9110 12.5.4).

    Of equal weights the one named first. English when it names neither; what is no such header
    counts as if it named nothing.
    """
    weights: dict[str, float] = {}
    for entry in accept.split(",")[:_MOST]:
        found = _ENTRY.fullmatch(entry)
        if found is not None and (tag := found[1].lower()) in LANGUAGES:
            weights[tag] = max(float(found[2] or 1), weights.get(tag, 0))
    wanted = [tag for tag, weight in weights.items() if weight > 0]
    return max(wanted, key=weights.__getitem__, default="en")
