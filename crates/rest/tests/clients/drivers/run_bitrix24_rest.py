"""bitrix24-rest: sends GET requests, escapes nothing, and drops the body of a response with an error status."""

import re

from bitrix24 import Bitrix24, BitrixError

from protocol import by_id, each, refusals, run


def command(method, params):
    return "?".join([method, *(f"{name}={value}" for name, value in params.items())])


async def observe(base, call):
    bitrix = Bitrix24(f"{base}/rest/{call['auth']['user']}/{call['auth']['secret']}/")
    try:
        if "commands" not in call:
            return {"result": await bitrix.callMethod(call["method"], call["params"])}
        commands = {"halt": int(call["halt"]), "cmd": each(call["commands"], command)}
        result = await bitrix.callMethod("batch", commands)
        return {"result": by_id(result["result"]), "result_error": refusals(result["result_error"])}
    except BitrixError as error:
        return {"status": int(re.fullmatch(r"HTTP error: (\d+)", error.message)[1])}


run(
    observe,
    refused=["status"],
    rejected=["status"],
    batch=["result", "result_error"],
    batch_refused=["result", "result_error"],
    # An `&` within a command would terminate it.
    unsupported=["several parameters in a command", "a start-up call"],
)
