"""The rule for names that operators give: of channels, senders, templates, lists, tokens."""

from ums.errors import Detail, Invalid


def check_name(name: str, most: int, field: str = "name") -> None:
    """Raise Invalid unless `name` is 1 to `most` printable characters without blanks around."""
    if not name.strip():
        raise Invalid("missing", field=field)
    if len(name) > most:
        raise Invalid("misfit", field=field, detail=Detail("at_most_characters", most=most))
    if not name.isprintable():
        raise Invalid("control_characters", field=field)
    if name.strip() != name:
        raise Invalid("misfit", field=field, detail=Detail("blanks_around"))
