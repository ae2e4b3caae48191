"""The domain: one package a noun, in ranks.

A package imports packages of lower ranks only; `pyproject.toml` lists the ranks and a test holds
them. What talks HTTP, draws pages or runs in a loop belongs to `api`, `console` and `engine`.
"""
