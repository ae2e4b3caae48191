"""The one grammar of e-mail addresses: to validate, to tell doubles apart, and to send.

The local part is judged by email-validator, the domain by idna (IDNA 2008 over UTS 46). The
domain is not given to email-validator because it refuses special-use names (RFC 6761), and mail
to `user@corp.local` through an internal relay is everyday work here; the list it keeps is a
global that other code of the process may rely on.
"""

import re
import unicodedata
from functools import lru_cache

import idna
from email_validator import EmailNotValidError, validate_email

from ums.errors import Detail
from ums.mail.mime.headers import has_control

MAX_BYTES = 254  # RFC 5321 section 4.5.3.1.3 with erratum 1690
MAX_NAME_BYTES = 256
_MAX_DOMAIN = 253  # RFC 1035 section 2.3.4 less the root's two octets
_BLANKS = " \t\u00a0\u3000"
_SINGLE_LABELS = frozenset({"localhost", "test"})  # any other name without a dot is a typo

# What nearly every address looks like. Conservative on purpose: whatever it matches, the slow
# path accepts unchanged (property-tested); whatever it does not, the slow path decides. At most
# 64 characters, so that no label can pass 63; single hyphens, so that no label is "xn--..."; no
# question mark, so that nothing looks like an encoded word.
_ORDINARY = re.compile(
    r"(?=.{6,64}\Z)[A-Za-z0-9!#$%&'*+/=^_`{|}~-]++(?:\.[A-Za-z0-9!#$%&'*+/=^_`{|}~-]++)*+"
    r"@(?:[a-z0-9]++(?:-[a-z0-9]++)*+\.)++[a-z]{2,}+"
).fullmatch
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_NO_SYMBOL = "＠﹫"


class BadAddress(ValueError):
    """No address, or no display name, that mail can be sent with; the detail is for people."""

    def __init__(self, detail: Detail) -> None:
        super().__init__(detail)
        self.detail = detail


def clean(text: str) -> str:
    """The addr-spec in its one normal form (RFC 5321 section 4.1.2, RFC 6531 section 3.3).

    Surrounding blanks are dropped, the local part is NFC and keeps its case, the domain is lower
    case in its ASCII form. Refused: more than 254 bytes, quoted local parts, IP literals,
    comments, controls and invisible characters, names without a dot other than `localhost` and
    `test`. No look-ups are made. Raises BadAddress with a short reason.
    """
    if _ORDINARY(text):
        return text
    text = text.strip(_BLANKS)
    local, at, domain = text.rpartition("@")
    if at and domain.isascii():
        folded = f"{local}@{domain.lower()}"
        if _ORDINARY(folded):
            return folded
    return _clean_slowly(text)


def needs_utf8(address: str) -> bool:
    """Whether a cleaned `address` can only travel with SMTPUTF8 (RFC 6531)."""
    return not address.isascii()


def dedup_key(address: str) -> str:
    """What two spellings of one mailbox share: the cleaned form (domain folded, local exact)."""
    return clean(address)


def clean_display_name(text: str) -> str:
    """A name to show before an address: NFC, without surrounding blanks, at most 256 bytes.

    Raises BadAddress on control characters, line breaks and bidirectional controls, also inside
    RFC 2047 encoded words.
    """
    name = unicodedata.normalize("NFC", text.strip(_BLANKS))
    if len(name.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        raise BadAddress(Detail("address_name_long", limit=MAX_NAME_BYTES))
    if has_control(name):
        raise BadAddress(Detail("address_name_control"))
    if _BIDI.search(name):
        raise BadAddress(Detail("address_name_direction"))
    return name


def _clean_slowly(text: str) -> str:
    if len(text) > MAX_BYTES:  # before anything that takes time for every character
        raise BadAddress(Detail("address_long", limit=MAX_BYTES))
    local, domain = _split(text)
    address = f"{_clean_local(local)}@{_clean_domain(domain)}"
    if len(address.encode()) > MAX_BYTES:
        raise BadAddress(Detail("address_long", limit=MAX_BYTES))
    return address


def _split(text: str) -> tuple[str, str]:
    if text.count("@") != 1:
        if any(symbol in text for symbol in _NO_SYMBOL):
            raise BadAddress(Detail("address_full_width"))
        raise BadAddress(Detail("address_one_sign"))
    local, _, domain = text.partition("@")
    if not local or not domain:
        raise BadAddress(Detail("address_half"))
    return local, domain


def _clean_local(local: str) -> str:
    local = unicodedata.normalize("NFC", local)
    if "=?" in local:  # proper, but a header's reader would decode it (RFC 2047), perhaps to CRLF
        raise BadAddress(Detail("address_encoded_word"))
    try:
        # The shortest domain stands in; the library's lower-casing of "INFO" is not taken over.
        validate_email(f"{local}@a.b", check_deliverability=False)
    except EmailNotValidError as error:
        raise BadAddress(_reason(error)) from None
    return local


def _reason(error: EmailNotValidError) -> Detail:
    text = str(error).removeprefix("The email address ").rstrip(".")
    told = f"the address {text}" if str(error).startswith("The email address ") else text
    return Detail("address_local", told=told)


@lru_cache(maxsize=4096)  # uploads repeat a few domains; bounded, and each at most 254 characters
def _clean_domain(domain: str) -> str:
    if domain.startswith("["):
        raise BadAddress(Detail("address_ip_literal"))
    if any(unicodedata.category(char)[0] in "CZ" for char in domain):
        raise BadAddress(Detail("address_domain_blank"))
    try:
        folded = idna.encode(idna.uts46_remap(domain), strict=True).decode()
        _check_direction(folded)
    except (idna.IDNAError, UnicodeError):
        raise BadAddress(Detail("address_domain")) from None
    _check_ascii_domain(folded)
    return folded


def _check_direction(folded: str) -> None:
    if "xn--" not in folded:
        return
    # The bidi rule speaks of all labels of a domain, idna looks at one (RFC 5893 section 1.4).
    labels = idna.decode(folded).split(".")
    if any(unicodedata.bidirectional(char) in ("R", "AL", "AN") for char in "".join(labels)):
        for label in labels:
            idna.check_bidi(label, check_ltr=True)


def _check_ascii_domain(domain: str) -> None:
    labels = domain.split(".")
    if len(domain) > _MAX_DOMAIN or not all(map(_LABEL.fullmatch, labels)):
        raise BadAddress(Detail("address_domain"))
    if len(labels) == 1 and domain not in _SINGLE_LABELS:
        raise BadAddress(Detail("address_no_dot"))
    if not domain[-1].isalpha():  # Punycode ends in a letter too (RFC 3492 section 5)
        raise BadAddress(Detail("address_number_end"))
