"""What a mail server's certificate says, for people who look for the fault."""

import asyncio
import smtplib
import socket
import ssl

from ums.mail.outcomes import Encryption


def facts_of(connection: ssl.SSLObject | None) -> dict[str, str]:
    """Protocol, cipher and certificate of a connection that is encrypted and verified."""
    if connection is None:
        return {}
    cipher = connection.cipher()
    der = connection.getpeercert(binary_form=True)
    return {
        "protocol": connection.version() or "",
        "cipher": cipher[0] if cipher else "",
        **({} if der is None else _read(der)),
    }


async def presented(host: str, port: int, encryption: Encryption, seconds: float) -> dict[str, str]:
    """The certificate of a server that could not be trusted; empty when it shows none.

    Nothing is sent over this connection but the handshake, since nobody knows whose it is.
    """
    try:
        der = await asyncio.to_thread(_fetch, host, port, encryption, seconds)
        return {} if der is None else _read(der)
    except (OSError, ValueError, smtplib.SMTPException):
        return {}


def _fetch(host: str, port: int, encryption: Encryption, seconds: float) -> bytes | None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # to be read, not to be trusted
    if encryption is Encryption.SSL:
        with (
            socket.create_connection((host, port), seconds) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            return secure.getpeercert(binary_form=True)
    with smtplib.SMTP(host, port, timeout=seconds) as smtp:
        smtp.starttls(context=context)
        secured = smtp.sock
        return secured.getpeercert(True) if isinstance(secured, ssl.SSLSocket) else None


def _read(der: bytes) -> dict[str, str]:
    from cryptography.x509 import (  # noqa: PLC0415  (seldom needed, long to load)
        DNSName,
        ExtensionNotFound,
        SubjectAlternativeName,
        load_der_x509_certificate,
    )

    certificate = load_der_x509_certificate(der)
    try:
        extension = certificate.extensions.get_extension_for_class(SubjectAlternativeName)
        names = extension.value.get_values_for_type(DNSName)
    except ExtensionNotFound:
        names = []
    return {
        "subject": certificate.subject.rfc4514_string(),
        "names": ", ".join(names[:10]),
        "issuer": certificate.issuer.rfc4514_string(),
        "valid_from": certificate.not_valid_before_utc.date().isoformat(),
        "valid_until": certificate.not_valid_after_utc.date().isoformat(),
    }
