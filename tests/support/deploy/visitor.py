"""Asks for /health again and again, each time on a new connection, for so many seconds; prints what it got as JSON.

It runs on the machine under test, where there is nothing but Python.
"""

import collections
import http.client
import json
import sys
import threading
import time

SEEN: "collections.Counter[str]" = collections.Counter()
UNTIL = time.monotonic() + float(sys.argv[1])


def visit() -> None:
    while time.monotonic() < UNTIL:
        connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=30)
        try:
            connection.request("GET", "/health")
            SEEN[str(connection.getresponse().status)] += 1
        except OSError as e:
            SEEN[type(e).__name__] += 1
        connection.close()
        time.sleep(0.002)


visitors = [threading.Thread(target=visit) for _ in range(4)]
for visitor in visitors:
    visitor.start()
for visitor in visitors:
    visitor.join()
sys.stdout.write(json.dumps(SEEN))
