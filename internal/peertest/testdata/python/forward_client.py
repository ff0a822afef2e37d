"""fluent-logger for Python: the forward protocol without acknowledgements."""
from fluent import sender

from world import run, world


def send(a):
    s = sender.FluentSender(a["tag"], host="127.0.0.1", port=world["forwardPort"], nanosecond_precision=a.get("nanoseconds", False))
    for r in a["records"]:
        if not s.emit(None, r):
            raise s.last_error
    s.close()


run({"send": send})
