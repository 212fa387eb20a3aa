"""What the Python drivers share.

A call is a JSON object on a line of standard input; what the client saw of the answer is one on standard output.
"""

import asyncio
import json
import sys

_, form, base = sys.argv


def answer(see, **lens):
    """Says what this client lets its caller see, then makes the calls."""
    tell(lens)
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            tell(runner.run(see(base, json.loads(line))))


def tell(saw):
    print(json.dumps(saw), flush=True)


def refusal(error):
    """Tells an error in the server's words."""
    saw = {"error": error["error"], "described": bool(error["error_description"])}
    return saw | ({"argument": error["argument"]} if "argument" in error else {})


def by_id(section):
    """Makes a map of a section of a batch's answer, which may be a list."""
    return {str(i): value for i, value in enumerate(section)} if isinstance(section, list) else section


def refusals(section):
    return {i: refusal(error) for i, error in by_id(section).items()}


def each(commands, make):
    """Makes something of each command: a map by id, or a list of those without ids."""
    made = [(i, make(method, params)) for i, method, params in commands]
    return [value for _, value in made] if made[0][0] is None else dict(made)
