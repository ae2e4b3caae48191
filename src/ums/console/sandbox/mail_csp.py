"""How mail is shown: as a stranger to the console, without scripts and anything from elsewhere."""

from typing import Final

from ums.console.rendering import SAFE_HEADERS

# `sandbox` makes what a browser opens from here a stranger to the console: no scripts, no
# forms, no cookies, an origin of its own. Nothing is fetched from anywhere.
NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; sandbox"
HTML_HEADERS: Final = SAFE_HEADERS | {
    "Content-Security-Policy": (
        f"{NOTHING}; style-src 'unsafe-inline'; img-src data:; font-src data:; "
        "frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
    "X-DNS-Prefetch-Control": "off",
}
