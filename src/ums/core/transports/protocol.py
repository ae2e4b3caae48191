"""What the engine needs of a sender type; a further type is one more file with these.

A `Transport` opens sessions and builds a `MessageTemplate` once per message; the template renders a
mail for each recipient, and a `Session` sends it. `M` is the type's own form of a rendered mail,
which nobody but the type looks into.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Protocol, TypeVar

from msgspec import Struct

from ums.mail.mime.builder import MimeContent
from ums.mail.mime.transfer_encoding import Encoder
from ums.mail.outcomes import Outcome, Timeouts, Watch

M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)
M_contra = TypeVar("M_contra", contravariant=True)
Commit = Callable[[], Awaitable[M | None]]
"""Called when everything is sent but what makes the message the receiver's. It stores the intent,
and returns the mail that may follow at once over the same session. What it raises ends the
attempt: the message is then not sent."""


class TransportError(Exception):
    """No session could be opened, or a check went wrong; `outcome` says what follows from it."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"{outcome.stage}: {outcome.reason}")
        self.outcome = outcome


class Recipient(Struct, frozen=True):
    """Whom a mail is for. `token` names the delivery, the same at every try and to nobody else."""

    address: str
    token: str
    userid: str = ""


class MessageFacts(Struct, frozen=True):
    """What a mail may say of its message besides the content."""

    date: int  # ms
    msgid: str = ""
    channel: str = ""  # key


class MessageTemplate(Protocol[M_co]):
    """A message but for what differs between recipients."""

    @property
    def size(self) -> int:
        """Octets of a rendered mail, about."""
        ...

    def render(self, to: Recipient, of: MessageFacts, late: tuple[bytes, ...] = ()) -> M_co:
        """The mail for one recipient. `late` are the subject, text and HTML where the content left
        them open, as the transport's own encoders made them. Raises ValueError for an address
        that cannot be used."""
        ...


class Session(Protocol[M_contra]):
    """A way to the receiver that is open. One mail at a time; not to be shared between tasks.

    A cancelled call leaves the session closed, since an answer may still be under way.
    """

    @property
    def carried(self) -> int:
        """How many mails the receiver has answered, whatever it answered."""
        ...

    @property
    def usable(self) -> bool:
        """Whether the session may carry another mail."""
        ...

    async def send(self, mail: M_contra, commit: Commit[M_contra], watch: Watch) -> Outcome:
        """Send one mail. Only after `commit` may its outcome be unknown.

        Where `commit` returned a mail to follow, that one must be sent next. Raises what `commit`
        raises, with the session closed; a failure to send is an outcome, never an exception.
        """
        ...

    async def rehearse(self, address: str, watch: Watch) -> None:
        """Whether the receiver would take a mail for `address`, without one being sent. Raises
        TransportError with what it refused."""
        ...

    async def close(self) -> None:
        """Take leave. Never raises: what is sent is sent."""
        ...

    def abort(self) -> None:
        """Close at once; a mail that is not committed is thus not sent."""
        ...


class Transport(Protocol[M]):
    """A sender type."""

    name: ClassVar[str]

    async def open(
        self, settings: str, secret: str, timeouts: Timeouts, watch: Watch
    ) -> Session[M]:
        """A session that is ready for its first mail. `watch` is told of each stage that went
        well. Raises TransportError."""
        ...

    def build(self, settings: str, content: MimeContent, *, automatic: bool) -> MessageTemplate[M]:
        """The mail of one message, to be rendered for each recipient. Raises BadContent."""
        ...

    def text_encoder(self, texts: Sequence[str]) -> Encoder:
        """The encoder of a text with values between these static ones. Raises nothing."""
        ...

    def encode_subject(self, text: str) -> bytes:
        """A subject that the content left open. Raises BadContent."""
        ...
