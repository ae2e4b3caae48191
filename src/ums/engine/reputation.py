"""What became of the last mails here, and what follows from it (core.senders.reputation)."""

from collections import Counter, OrderedDict, deque
from typing import Final

from ums.core.context.app_context import AppContext
from ums.core.deliveries import soft_bounces
from ums.core.messages import auto_pause
from ums.core.reporting.reason_texts import about
from ums.core.senders import reputation
from ums.core.senders.reputation import Count
from ums.mail.outcomes import Outcome, Verdict
from ums.mail.reply_classifier import HARD, alike

LAST: Final = 40  # outcomes of a message that are looked at ...
EQUAL: Final = 20  # ... among which so many refusals for its content, in the same words, pause it
FOLLOWED: Final = 500  # messages


class ReputationTracker:
    """Counts outcomes in memory and writes them at each `step`: what a crash takes along only
    makes the judgement milder."""

    def __init__(self, system: AppContext) -> None:
        self._system = system
        self._counts: dict[int, Count] = {}  # by sender
        self._taken: set[tuple[int, str]] = set()  # message and address
        # What was said of the content, by message: the words, or "" for all other outcomes.
        self._said: OrderedDict[int, deque[str]] = OrderedDict()
        self._refused: dict[int, str] = {}  # message: the words

    def note(self, sender: int, message: int, address: str, outcome: Outcome) -> None:
        """An attempt came to its end."""
        if outcome.verdict is Verdict.LATER:
            return
        one = Count(
            total=1,
            bounced=int(outcome.verdict is Verdict.REFUSED and outcome.reason in HARD),
            unknown=int(outcome.verdict is Verdict.UNKNOWN),
        )
        self._counts.setdefault(sender, Count()).add(one)
        if outcome.verdict is Verdict.SENT:
            self._taken.add((message, address))
        self._look_at(message, outcome)

    def _look_at(self, message: int, outcome: Outcome) -> None:
        said = self._said.setdefault(message, deque(maxlen=LAST))
        self._said.move_to_end(message)
        if len(self._said) > FOLLOWED:
            self._said.popitem(last=False)
        if outcome.verdict is not Verdict.REFUSED or about(outcome.reason) != "content":
            said.append("")
            return
        text = outcome.reply.text if outcome.reply else outcome.detail
        said.append(alike(text))
        if Counter(said)[said[-1]] >= EQUAL:
            said.clear()
            self._refused[message] = text

    async def step(self) -> bool:
        """Write what was counted, and draw the consequences. Raises Unavailable."""
        counts, self._counts = self._counts, {}
        taken, self._taken = self._taken, set()
        try:
            if taken:
                async with self._system.database.write() as tx:
                    await soft_bounces.empty(tx, taken)
            if counts:
                await reputation.note(self._system, counts)
        except BaseException:
            for sender, count in counts.items():
                self._counts.setdefault(sender, Count()).add(count)
            raise
        for message, words in [*self._refused.items()]:
            await auto_pause.pause_refused(self._system, message, words)
            del self._refused[message]
        return bool(counts)
