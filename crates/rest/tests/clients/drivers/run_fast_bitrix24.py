"""fast-bitrix24: `call` wraps every call in a batch, `call(raw=True)` does not."""

from urllib.parse import urlencode

from aiohttp import ClientResponseError
from fast_bitrix24 import BitrixAsync
from fast_bitrix24.server_response import ErrorInServerResponseException

from protocol import by_id, each, form, refusals, run

RAW = form == "raw"


class TokenRejected(Exception):
    """Raised because the client requests tokens until one is accepted, and the driver has only one."""


def client(base, auth):
    if "token" not in auth:
        return BitrixAsync(f"{base}/rest/{auth['user']}/{auth['secret']}/", verbose=False)
    tokens = iter([auth["token"]])

    async def token_func():
        for token in tokens:
            return token
        raise TokenRejected

    return BitrixAsync(f"{base}/rest/", token_func=token_func, verbose=False)


async def observe(base, call):
    bitrix = client(base, call["auth"])
    batch = "commands" in call
    try:
        if batch:
            commands = each(call["commands"], lambda method, params: f"{method}?{urlencode(params)}")
            return {"result": by_id(await bitrix.call_batch({"halt": int(call["halt"]), "cmd": commands}))}
        if RAW or not call["params"]:
            return {"result": (await bitrix.call(call["method"], call["params"], raw=True))["result"]}
        return {"result": await bitrix.call(call["method"], call["params"])}
    except TokenRejected:
        return {"status": 401}
    except ClientResponseError as error:
        return {"status": error.status}
    except ErrorInServerResponseException as error:
        errors = refusals(error.args[0])
        return {"result_error": errors} if batch else errors["order0000000000"]


# The client drops the body of a response with an error status. For a batch with errors it exposes only the errors.
run(
    observe,
    refused=["status"] if RAW else ["error"],
    rejected=["status"],
    batch=["result"],
    batch_refused=["result_error"],
    unsupported=["a start-up call"],
)
