"""Every setting by itself, and all of them together."""

from collections.abc import Iterator, Mapping

from pipetest.cli.check.line import CheckLine, fault, ok, warning
from pipetest.config.advice import warnings
from pipetest.config.files import USERS_FILE
from pipetest.config.parsers import TinyDatabase
from pipetest.config.settings import USERS, VARIABLES, Settings, Variable, load, read
from pipetest.domain.errors import ConfigError

SUBJECT = "settings"
LONGEST = 80
"""Characters of a value that are shown."""


def check_settings(environ: Mapping[str, str]) -> Iterator[CheckLine]:
    """A line for each; where all are right, also what is probably not meant."""
    company = _company(environ)
    faults = False
    for variable in VARIABLES:
        if variable.name == USERS and environ.get(USERS_FILE, "").strip() and not environ.get(USERS, "").strip():
            continue  # the file takes its place
        line = _one(variable, environ, company)
        faults = faults or line.result == "fault"
        yield line
    if faults:
        return
    try:
        settings = load(environ)
    except ConfigError as e:  # of two that do not go together
        yield fault(SUBJECT, str(e), "Correct it; the README has all settings")
        return
    for text in warnings(settings, environ):
        yield warning(SUBJECT, text, "Correct it, or leave it where it is meant")


def loaded(environ: Mapping[str, str]) -> Settings | None:
    try:
        return load(environ)
    except ConfigError:
        return None


def _company(environ: Mapping[str, str]) -> str:
    (variable,) = (variable for variable in VARIABLES if variable.field == "company_name")
    try:
        return str(read(variable, environ))
    except ConfigError:
        return str(variable.default)


def _one(variable: Variable, environ: Mapping[str, str], company: str) -> CheckLine:
    try:
        value = read(variable, environ, company)
    except ConfigError as e:
        wrong = next((name for name in variable.names if str(e).startswith(f"{name}: ")), variable.name)
        return fault(wrong, str(e).removeprefix(f"{wrong}: ").removeprefix(f"{wrong} is "), _remedy(variable))
    name = next((name for name in variable.names if environ.get(name, "").strip()), None)
    if name is None:
        default = variable.default and variable.default.format(company=company)
        return ok(variable.name, f"{default} (the default)" if default else "not set")
    return ok(name, _shown(value, environ[name].strip(), secret=variable.secret))


def _remedy(variable: Variable) -> str:
    if variable.required:
        return "Set it, or name a file that holds it"
    if variable.field == "company_name":  # its default is somebody else's
        return "Correct it: yourcompany, where Pipedrive is at https://yourcompany.pipedrive.com"
    return f"Correct it, or unset it: {'then it is ' + variable.default if variable.default else 'it may be left out'}"


def _shown(value: object, text: str, *, secret: bool) -> str:
    match value:
        case TinyDatabase(path):
            return f"tinydb:{path}"
        case _ if secret:
            return "set, and not shown"
        case _:
            line = " ".join(text.split())
            return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
