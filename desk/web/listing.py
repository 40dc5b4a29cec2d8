"""Which clues a page lists."""

from __future__ import annotations

from collections.abc import Callable

from desk.blind import seen_by
from desk.clues.clue import Clue
from desk.web.core import Desk
from desk.web.users import User


def seen(desk: Desk, user: User, wanted: Callable[[Clue], bool]) -> list[Clue]:
    """The clues wanted among those that a user may see, and as he may see them. Raises ProblemError."""

    def do() -> list[Clue]:
        clues = desk.log.book.clues.values()
        return [seen_by(user.station, clue) for clue in clues if wanted(clue) and user.scope.takes(clue)]

    found: list[Clue] = desk.ask(do)
    return found
