"""The protocol of the drivers, shared by those in Python.

A driver first writes what its client exposes of a response. Then it reads one call per line from standard input and
writes what the client exposed of the response to standard output. Every line is a JSON object.
"""

import asyncio
import json
import sys

_, form, base = sys.argv


def run(observe, **exposed):
    """Writes what the client exposes of a response, and then makes the calls."""
    emit(exposed)
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            emit(runner.run(observe(base, json.loads(line))))


def emit(observed):
    print(json.dumps(observed), flush=True)


def refusal(error):
    """Returns an error as the server describes it."""
    observed = {"error": error["error"], "described": bool(error["error_description"])}
    return observed | ({"argument": error["argument"]} if "argument" in error else {})


def by_id(section):
    """Converts a section of a batch's response, which may be a list, to a map."""
    return {str(i): value for i, value in enumerate(section)} if isinstance(section, list) else section


def refusals(section):
    return {i: refusal(error) for i, error in by_id(section).items()}


def each(commands, convert):
    """Converts each command: returns a map by id, or a list if the commands have no ids."""
    converted = [(i, convert(method, params)) for i, method, params in commands]
    return [value for _, value in converted] if converted[0][0] is None else dict(converted)
