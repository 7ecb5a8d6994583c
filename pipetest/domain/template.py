"""What a deal looks like: texts with placeholders, and the names of where it goes in Pipedrive. Pure."""

from collections.abc import Collection, Mapping
from hashlib import blake2b
from string import Formatter

from msgspec import Struct

Name = int | str
"""What stands for a record in Pipedrive: a number is its id, a text is the name that people see."""

OF_DEAL = ("id", "user", "description", "url", "files", "created")
OF_ORGANIZATION = ("user", "profile_url", "owner_id")
"""The placeholders there are."""

FROM_TEXT = ("files", "description")
"""Those that a gist's :class:`~pipetest.domain.model.Text` fills. Where room is short, they are cut in this order."""

ROOM: Mapping[str, int] = {"id": 32, "user": 39, "url": 100, "profile_url": 100, "created": 10, "owner_id": 19}
"""Characters that are kept for a placeholder which is never cut."""


LONGEST_TITLE = 255
"""Characters of a deal's title (apis: longer ones are refused)."""


class Pattern(Struct, frozen=True):
    """A text with placeholders in braces; a brace that is meant is written twice. ``parts`` are texts, each with the
    placeholder that follows it."""

    parts: tuple[tuple[str, str | None], ...]

    @classmethod
    def parsed(cls, text: str, placeholders: Collection[str]) -> "Pattern":
        """
        :raises ValueError: a brace is alone, or there is no such placeholder.
        """
        try:
            parsed = list(Formatter().parse(text.strip()))
        except ValueError:
            raise ValueError("expected {{ and }} for braces that are not around a placeholder") from None
        for _, name, form, conversion in parsed:
            if name is not None and (name not in placeholders or form or conversion):
                known = " ".join(f"{{{placeholder}}}" for placeholder in placeholders)
                got = f"{name}{'!' if conversion else ''}{conversion or ''}{':' if form else ''}{form}"
                raise ValueError(f"expected a placeholder of {known}, got {{{got}}}")
        return cls(tuple((literal, name) for literal, name, _, _ in parsed))

    @property
    def placeholders(self) -> Collection[str]:
        return [name for _, name in self.parts if name is not None]

    def filled(self, values: Mapping[str, str]) -> str:
        return "".join(literal + (values[name] if name is not None else "") for literal, name in self.parts)

    @property
    def fixed_length(self) -> int:
        """Characters of it that cannot be cut."""
        return sum(len(literal) + ROOM.get(name or "", 0) for literal, name in self.parts)

    @property
    def is_id_alone(self) -> bool:
        return self.parts == (("", "id"),)

    @property
    def ends_with_id(self) -> bool:
        """Whether the id is the last word of what this becomes, whatever fills the rest."""
        *before, (literal, name) = self.parts or (("", None),)
        return name == "id" and (literal[-1:].isspace() or (not literal and not before))


ID = Pattern((("", "id"),))


class OrganizationTemplate(Struct, frozen=True):
    """``fields`` are custom fields by name, each with what goes in."""

    owner: Name | None = None
    fields: Mapping[str, Pattern] = {}

    @property
    def digest(self) -> str:
        return _digest(self)


class Template(Struct, frozen=True):
    """What is sent of a deal, and of an organization, besides what it takes to be one. ``fields`` are custom fields by
    name, each with what goes in. Without any of it, a deal's title is the gist's id, and that is all."""

    title: Pattern = ID
    pipeline: Name | None = None
    stage: Name | None = None
    owner: Name | None = None
    labels: tuple[Name, ...] = ()
    fields: Mapping[str, Pattern] = {}
    organization: OrganizationTemplate = OrganizationTemplate()

    @property
    def digest(self) -> str:
        """Tells one template from another, and stays the same over restarts."""
        return _digest(self)

    @property
    def has_names(self) -> bool:
        """Whether any of it has to be looked up in Pipedrive."""
        return self != Template(title=self.title)

    @property
    def needs_text(self) -> bool:
        """Whether it shows more of a gist than every database has recorded."""
        return any(
            name in FROM_TEXT for pattern in (self.title, *self.fields.values()) for name in pattern.placeholders
        )


def _digest(template: Template | OrganizationTemplate) -> str:
    return blake2b(repr(template).encode(), digest_size=8).hexdigest()


class CurrentTemplate:
    """The template in force: a reload may put another in its place, for what is created from then on."""

    def __init__(self, template: Template) -> None:
        self.value = template

    def __repr__(self) -> str:
        return repr(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CurrentTemplate) and other.value == self.value

    def renew(self, other: "CurrentTemplate") -> None:
        self.value = other.value


class Addresses(Struct, frozen=True):
    """Where people read a gist, and see an account: a page's address is this, and the gist's id or the user's name."""

    gists: str = "https://gist.github.com/"
    profiles: str = "https://github.com/"


GITHUB = Addresses()


# --- what the names stand for -----------------------------------------------------------------------------------------


class Field(Struct, frozen=True):
    """A custom field by its code, for texts of so many characters."""

    code: str
    length: int


class OrganizationIds(Struct, frozen=True):
    owner: int | None = None
    fields: Mapping[str, Field] = {}


class Ids(Struct, frozen=True):
    """What the names of a template stand for, in its order."""

    pipeline: int | None = None
    stage: int | None = None
    owner: int | None = None
    labels: tuple[int, ...] = ()
    fields: Mapping[str, Field] = {}
    organization: OrganizationIds = OrganizationIds()


class Misfit(Struct, frozen=True):
    """The template doesn't fit what there is in Pipedrive, or what the key may see of it: a person has to change one of
    the two. ``reason`` names what doesn't fit, and what there is."""

    reason: str


class DealShape(Struct, frozen=True):
    """A template, and what its names stand for: what it takes to create a record."""

    template: Template = Template()
    ids: Ids = Ids()

    @property
    def stamp_field(self) -> str | None:
        """The code of the field that holds the gist's id alone, if there is one, and it was looked up."""
        stamps = (name for name, pattern in self.template.fields.items() if pattern.is_id_alone)
        return next((self.ids.fields[name].code for name in stamps if name in self.ids.fields), None)
