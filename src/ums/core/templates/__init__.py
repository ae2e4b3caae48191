"""The template language and the store of templates.

Belongs here: parsing, compiling, rendering, versions, variables.
Does not: the template of a message being accepted (`messages.template_content`).
"""
