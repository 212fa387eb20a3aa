"""b24pysdk: https only. Each error code has an exception class of its own."""

from b24pysdk import BitrixApp, BitrixToken, BitrixWebhook, Client
from b24pysdk.api.requests import BitrixAPIBatchRequest, BitrixAPIRequest
from b24pysdk.errors import BitrixAPIError

from protocol import by_id, each, refusal, refusals, run

CLASSES = {
    "ACCESS_DENIED": "BitrixAPIAccessDenied",
    "INVALID_CREDENTIALS": "BitrixAPIInvalidCredentials",
    "NO_AUTH_FOUND": "BitrixOAuthNoAuthFound",
    "authorization_error": "BitrixAPIAuthorizationError",
    "expired_token": "BitrixAPIExpiredToken",
    "insufficient_scope": "BitrixAPIInsufficientScope",
    "invalid_token": "BitrixAPIInvalidToken",
}
CLASSES_BY_STATUS = {400: "BitrixAPIBadRequest", 403: "BitrixAPIForbidden", 404: "BitrixAPINotFound"}


def connect(base, auth):
    domain = base.removeprefix("https://")
    if "token" in auth:
        # A token without an application would be taken for a webhook.
        app = BitrixApp(client_id="none", client_secret="none")
        return BitrixToken(domain=domain, auth_token=auth["token"], bitrix_app=app)
    return BitrixWebhook(domain=domain, webhook_token=f"{auth['user']}/{auth['secret']}")


def remove(client, CRM_ENTITY_TYPE, CRM_ENTITY, USER_ID, **chat):
    """Calls the client's function for the method, which requires three of the parameters."""
    chat = {name.lower(): value for name, value in chat.items()}
    return client.imopenlines.crm.chat.user.delete(CRM_ENTITY_TYPE, CRM_ENTITY, USER_ID, **chat)


async def observe(base, call):
    token = connect(base, call["auth"])

    def request(method, params):
        if method.endswith(".delete") and len(params) >= 3:
            return remove(Client(token), **params)
        return BitrixAPIRequest(bitrix_token=token, api_method=method, params=params)

    try:
        if "commands" not in call:
            # `response` parses the whole body, including the times.
            return {"result": request(call["method"], call["params"]).response.result}
        requests = each(call["commands"], request)
        batch = BitrixAPIBatchRequest(bitrix_token=token, bitrix_api_requests=requests, halt=call["halt"]).result
        if by_id(batch.result).keys() != by_id(batch.result_time).keys():
            return {"untimed": repr(batch)}
        return {"result": by_id(batch.result), "result_error": refusals(batch.result_error)}
    except BitrixAPIError as error:
        expected = CLASSES.get(error.error) or CLASSES_BY_STATUS.get(error.status_code)
        if type(error).__name__ != expected:
            return {"class": type(error).__name__}
        return {"status": error.status_code} | refusal(error.json_response)


run(
    observe,
    refused=["status", "error"],
    rejected=["status", "error"],
    batch=["result", "result_error"],
    batch_refused=["result", "result_error"],
    unsupported=["a start-up call"],
)
