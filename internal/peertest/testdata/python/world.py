"""What every script is told by the test, and how it answers: a JSON object a line."""
import base64
import json
import os
import sys
import threading

world = json.loads(os.environ["WEIR_PEER"])


def say(**o):
    print(json.dumps(o), flush=True)


def body(e):
    return base64.b64decode(e["base64"]) if "base64" in e else e["text"].encode()


def text(x):
    return x.decode() if isinstance(x, bytes) else x


def run(verbs):
    """Does a verb, and says which error it ended with, if any."""
    verb, args = sys.argv[1], json.loads(sys.argv[2])

    def late():
        say(error={"name": "Timeout", "message": f"{verb} took too long"})
        os._exit(1)

    watch = threading.Timer(world["patience"] / 1000, late)
    watch.daemon = True
    watch.start()
    try:
        verbs[verb](args)
        say(done=True)
    except Exception as e:  # the test judges it
        say(error={"name": type(e).__name__, "message": str(e)})
    sys.stdout.flush()
    os._exit(0)  # clients leave threads behind
