"""Makes ``twistd pipetest`` known; all else is loaded only when it is asked for."""

from twisted.application.service import ServiceMaker

pipetest = ServiceMaker("pipetest", "pipetest.tap", "Every public gist of GitHub users becomes a deal.", "pipetest")
