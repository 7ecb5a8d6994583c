"""A few people, all of them invented, who keep writing gists."""

from random import Random

from msgspec import Struct

from pipetest.sandbox.github.accounts import Accounts

USERS = ("ada-of-sandbox", "bela-of-sandbox", "chiyo-of-sandbox")

EARLIER = (12, 5, 3)
"""How many gists each of them has written before the scenario begins."""

DAY_S = 24 * 3600.0
OLDEST_DAYS = 1000.0
"""Half of what was written before is less than a month old."""

SECRET_CHANCE = 0.15
PUBLISH_CHANCE = 0.5
README_CHANCE = 0.3
SUBJECTS = (
    *("sourdough", "sailing knots", "bird songs", "an old clock", "bicycle gears", "the garden", "star charts"),
    *("regular expressions", "SQL joins", "git rebase", "text parsing", "exponential backoff", "backups", "time zones"),
)


class Kind(Struct, frozen=True):
    """What people write gists for. In ``title`` stands the subject; None: they do not say what it is."""

    title: str | None
    extension: str
    language: str | None


KINDS = (
    Kind("Notes on {}", "md", "Markdown"),
    Kind("What I learnt about {}", "md", "Markdown"),
    Kind("Cheat sheet: {}", "md", "Markdown"),
    Kind("A small tool for {}", "py", "Python"),
    Kind("Questions about {}", "txt", None),
    Kind(None, "sh", "Shell"),
)


class Event(Struct, frozen=True):
    """Who did what with which gist; ``action`` is a verb for the log."""

    user: str
    action: str
    gist_id: str
    description: str | None


class Scenario:
    """:meth:`begin` once, then :meth:`advance` as often as something shall happen. Seeded alike, ``random`` brings the
    same events."""

    def __init__(self, accounts: Accounts, random: Random, users: tuple[str, ...] = USERS) -> None:
        self._accounts = accounts
        self._random = random
        self._secret: list[Event] = []
        self.users = users

    def begin(self, now: float) -> None:
        for user, earlier in zip(self.users, EARLIER, strict=False):
            self._accounts.open(user)
            for _ in range(earlier):
                self._write(user, created_at=now - OLDEST_DAYS ** self._random.random() * DAY_S)

    def advance(self) -> Event:
        """Somebody writes a gist, now and then a secret one; some of those are made public later."""
        if self._secret and self._random.random() < PUBLISH_CHANCE:
            secret = self._secret.pop(0)
            self._accounts.publish(secret.gist_id)
            return Event(secret.user, "publishes", secret.gist_id, secret.description)
        user = self._random.choice(self.users)
        if self._random.random() < SECRET_CHANCE:
            secret = self._write(user, public=False)
            self._secret.append(secret)
            return secret
        return self._write(user)

    def _write(self, user: str, *, public: bool = True, created_at: float | None = None) -> Event:
        kind, subject = self._random.choice(KINDS), self._random.choice(SUBJECTS)
        description = kind.title and kind.title.format(subject)
        files = [f"{subject.lower().replace(' ', '-')}.{kind.extension}"]
        if self._random.random() < README_CHANCE:
            files.append("README.md")
        gist = self._accounts.write(
            user,
            public=public,
            description=description,
            language=kind.language,
            files=files,
            created_at=created_at,
        )
        return Event(user, "writes" if public else "writes secret", gist.id, description)
