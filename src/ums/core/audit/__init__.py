"""The audit log.

Belongs here: recording who changed what, the hash chain and its proof, masking of secrets.
Does not: who may do something (`identity`).
"""
