"""Templates: content with variables, compiled when it is saved, rendered for each recipient.

    source --[child process: parse, allow-list, MJML, CSS, plain text]--> program (JSON, stored)
    program --[any process]--> functions --(values of a recipient)--> pieces --> text or mail

The language is a subset of Jinja's, read by Jinja's parser and run by `evaluate`, which knows
nothing of Python's attributes, calls or modules (docs/decisions/0011-a-bounded-language.md).
This package's own module imports nothing, since the child process loads it too.
"""
