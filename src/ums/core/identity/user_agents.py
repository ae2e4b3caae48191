"""What a browser says of itself, in words: "Chrome 131 on Windows"."""

import re
from typing import Final

# The first that fits: most browsers also claim to be those further down.
_BROWSERS: Final = (
    (r"MicroMessenger/(\d+)", "WeChat"),
    (r"(?:Edg|EdgA|EdgiOS)/(\d+)", "Edge"),
    (r"(?:OPR|OPiOS)/(\d+)", "Opera"),
    (r"SamsungBrowser/(\d+)", "Samsung Internet"),
    (r"(?:QQBrowser|MQQBrowser)/(\d+)", "QQ Browser"),
    (r"(?:UCBrowser|UBrowser)/(\d+)", "UC Browser"),
    (r"(?:Firefox|FxiOS)/(\d+)", "Firefox"),
    (r"(?:HeadlessChrome|Chrome|CriOS|Chromium)/(\d+)", "Chrome"),
    (r"Version/(\d+)[.\d]* (?:Mobile/\S+ )?Safari/", "Safari"),
)
_SYSTEMS: Final = (
    (r"HarmonyOS|OpenHarmony", "HarmonyOS"),
    (r"iPhone", "iPhone"),
    (r"iPad", "iPad"),
    (r"Android", "Android"),
    (r"Windows", "Windows"),
    (r"CrOS", "ChromeOS"),
    (r"Macintosh|Mac OS X", "Mac"),
    (r"Linux|X11", "Linux"),
)


def browser_of(agent: str) -> str:
    """Such as "Chrome 131"; "" for one that is not known."""
    for pattern, name in _BROWSERS:
        found = re.search(pattern, agent)
        if found:
            return f"{name} {found[1]}"
    return ""


def system_of(agent: str) -> str:
    """Such as "Windows"; "" for one that is not known."""
    return next((name for pattern, name in _SYSTEMS if re.search(pattern, agent)), "")


def name_of(agent: str) -> str:
    """Both, as far as they are known; "" where nothing is."""
    known = [part for part in (browser_of(agent), system_of(agent)) if part]
    return " · ".join(known)
