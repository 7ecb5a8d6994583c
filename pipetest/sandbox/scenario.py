"""A few people, all of them invented, who keep writing gists."""

from random import Random

from msgspec import Struct

from pipetest.sandbox.github.accounts import Accounts

USERS = ("ada-of-sandbox", "bela-of-sandbox", "chiyo-of-sandbox")

EARLIER = (12, 5, 3)
"""Gists that each of them wrote before the story begins."""

DAY_S = 24 * 3600.0
SECRET_CHANCE = 0.15
PUBLISH_CHANCE = 0.5
LANGUAGES = ("Python", "Markdown", "Shell", None)
SUBJECTS = ("sourdough", "sailing", "a parser", "an old clock", "bird songs", "a regex", "the garden", "a bicycle")
FORMS = ("Notes on {}", "What I learnt about {}", "Questions about {}", None)


class Event(Struct, frozen=True):
    """Who does what with which gist; ``doing`` is a verb for the log."""

    who: str
    doing: str
    gist_id: str
    about: str | None


class Story:
    """``begin`` once, then ``go_on`` as often as something shall happen. The same ``random`` tells the same story."""

    def __init__(self, accounts: Accounts, random: Random, users: tuple[str, ...] = USERS) -> None:
        self._accounts = accounts
        self._random = random
        self._secrets: list[Event] = []
        self.users = users

    def begin(self, now: float) -> None:
        for user, earlier in zip(self.users, EARLIER, strict=False):
            self._accounts.open(user)
            for _ in range(earlier):
                self._write(user, created_at=now - self._random.uniform(1, 1000) * DAY_S)

    def go_on(self) -> Event:
        """Somebody writes a gist, now and then a secret one; some of those are made public later."""
        if self._secrets and self._random.random() < PUBLISH_CHANCE:
            secret = self._secrets.pop(0)
            self._accounts.publish(secret.gist_id)
            return Event(secret.who, "makes public", secret.gist_id, secret.about)
        who = self._random.choice(self.users)
        if self._random.random() < SECRET_CHANCE:
            secret = self._write(who, public=False)
            self._secrets.append(secret)
            return secret
        return self._write(who)

    def _write(self, who: str, *, public: bool = True, created_at: float | None = None) -> Event:
        form = self._random.choice(FORMS)
        about = form and form.format(self._random.choice(SUBJECTS))
        language = self._random.choice(LANGUAGES)
        gist = self._accounts.write(who, public=public, description=about, language=language, created_at=created_at)
        return Event(who, "writes" if public else "secretly writes", gist.id, about)
