"""GitHub as people see it: a gist, and an account with its public gists."""

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource

from pipetest.sandbox.github.accounts import Accounts
from pipetest.sandbox.pages.html import missing, page, static_file


class GitHubPages:
    """In front of the ``api``, at the addresses that a GitHub Enterprise has them at."""

    app = Klein()

    def __init__(self, accounts: Accounts, api: IResource) -> None:
        self._accounts = accounts
        self._api = api

    @app.route("/gist/<gist_id>", methods=["GET"])
    def gist(self, request: IRequest, gist_id: str) -> bytes:
        hosted = self._accounts.gist(gist_id)
        if hosted is None:
            return missing(request, "gist")
        account, gist = hosted
        return page(request, "gist.html", login=account.login, gist=gist)

    @app.route("/gist/<login>/<gist_id>", methods=["GET"])
    def gist_of(self, request: IRequest, login: str, gist_id: str) -> bytes:
        return self.gist(request, gist_id)

    @app.route("/<login>", methods=["GET"])
    def profile(self, request: IRequest, login: str) -> bytes:
        account = self._accounts.by_login(login)
        if account is None:
            return missing(request, "account")
        return page(request, "profile.html", login=account.login, gists=account.listing())

    @app.route("/static/<name>", methods=["GET"])
    def static(self, request: IRequest, name: str) -> bytes:
        return static_file(request, name)

    @app.route("/", branch=True)
    def api(self, request: IRequest) -> IResource:
        return self._api
