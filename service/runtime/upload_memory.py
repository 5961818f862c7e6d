"""The memory that uploads share, lent piece by piece so that none waits for ever.

Uploads take memory as they arrive: one that dawdles holds little, whatever length it announces. But
several that each hold a part, and wait for the rest, would wait for each other. So a piece is lent
only where all uploads can still be completed, one after the other, by what those before them give
back (the banker's algorithm: Dijkstra, EWD 623). An upload that has to wait is not read meanwhile.
"""

import asyncio
from typing import Self

from service.problems import overloaded


class UploadMemory:
    """Counts the bytes that are lent; used from the event loop alone.

    Attributes:
        total: How many there are to lend.
        lent: How many are lent now.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.lent = 0
        self._loans: set[Loan] = set()
        self._waiting: dict[asyncio.Future[None], tuple[Loan, int]] = {}

    async def lend(self, loan: "Loan", amount: int, seconds: float) -> None:
        """Lends more bytes for an upload, at once or as soon as others give enough back.

        Raises:
            Problem: `overloaded`; they could not be lent in so many seconds.
        """
        lent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[lent] = loan, amount
        self._serve()
        try:
            if not lent.done():
                async with asyncio.timeout(seconds):
                    await lent
        except TimeoutError:
            raise overloaded("Too many uploads are in memory at this moment.") from None
        finally:
            self._waiting.pop(lent, None)

    def give_back(self, loan: "Loan", amount: int) -> None:
        """Takes bytes of an upload back, and lends them to those who wait."""
        loan.lent -= amount
        self.lent -= amount
        if not loan.lent:
            self._loans.discard(loan)
        self._serve()

    def _serve(self) -> None:
        for lent, (loan, amount) in list(self._waiting.items()):
            if not lent.done() and self._may_lend(loan, amount):
                loan.lent += amount
                self.lent += amount
                self._loans.add(loan)
                del self._waiting[lent]
                lent.set_result(None)

    def _may_lend(self, loan: "Loan", amount: int) -> bool:
        """Whether all uploads can still be completed after that, the one that lacks least first."""
        free = self.total - self.lent - amount
        after = [(loan.most - loan.lent - amount, loan.lent + amount)]
        after += [(other.most - other.lent, other.lent) for other in self._loans - {loan}]
        for lacking, lent in sorted(after):
            if lacking > free:
                return False
            free += lent
        return free >= 0


class Loan:
    """What is lent for one upload. A context: at its end all of it is given back.

    Attributes:
        most: The bytes that the upload may come to: the length that it announces, or the limit.
        lent: Those that are lent for it, which have arrived.
    """

    def __init__(self, memory: UploadMemory, most: int) -> None:
        self.most = most
        self.lent = 0
        self._memory = memory

    async def take(self, amount: int, seconds: float) -> None:
        """Takes as many more bytes as have arrived; takes and raises what `lend` does."""
        await self._memory.lend(self, amount, seconds)

    def settle(self) -> None:
        """The upload is whole: it comes to what has arrived."""
        self.most = self.lent
        self._memory.give_back(self, 0)  # others may be lent more now

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._memory.give_back(self, self.lent)
