"""Reading spreadsheets in a child process.

Belongs here: file formats, sheets and header rows, guessing the meaning of headings, and the two
ends of the protocol between reader and worker.
Does not: what rows mean for users (`imports`) or for a message (`messages.recipient_sheet`).
"""
