"""Callbacks: telling a channel's own systems what became of its messages (ums-spec 5).

records     what is to be told, written with the state it tells of (I6)
batches     records on their way: claimed, told, tried again, dead, replayed
schedule    when a batch is tried again
payload     a batch as the receiver reads it
wire        one guarded request to a receiver, signed
addresses   where a channel is told: at most five, each verified
listing     what waits and what is dead
sweep       what is not needed any more
"""
