"""The answer every action wraps its data in, and the refusals that come with HTTP 200.

Source:
    https://en.oceanbase.com/docs/community-oms-en-10000000001080575 (fields, sample), the recorded answers in
    oceanbase/odc `OmsClientTest` (errorDetail, codes), https://en.oceanbase.com/docs/enterprise-oms-doc-en-10000000002913060
    (`Data` with a capital).
"""

from collections.abc import Mapping
from types import MappingProxyType

from reconciler.model import Json, JsonObject
from reconciler.simulator.settings import Switches

NO_PAGES = (None, None, None)
TRIO = (1, 10, 415)  # pageNumber, pageSize, totalCount as the sample of UpdateIncrSync prints them

PARAM_ERROR = "PARAM_ERROR"
INNER_ERROR = "INNER_ERROR"
CM_UNAVAILABLE = "GHANA-OPERAT000001"
WRAPPED = "GHANA-OPERIE000000"
NO_SUCH_PROJECT = "GHANA-PROJECT000001"

CHINESE: Mapping[str, str] = MappingProxyType(
    {
        PARAM_ERROR: "参数错误",
        INNER_ERROR: "系统异常, 请联系管理员",
        CM_UNAVAILABLE: "CM 服务可能不可用",
        WRAPPED: "内部错误",
        NO_SUCH_PROJECT: "项目不存在",
    }
)


class RefusedError(Exception):
    """An action does not do what it was asked: HTTP 200 and `success: false`.

    Args:
        code: the server's error code; None where the pages know none.
        message: English text.
        context: `errorDetail.messageMcmsContext`; the real reason may stand only here.
    """

    def __init__(self, code: str | None, message: str, context: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.context = context or {}


def success(data: Json) -> JsonObject:
    """A plain envelope around an action's data, without request id, cost and paging."""
    return {"success": True, "errorDetail": None, "code": None, "message": None, "advice": None, "data": data}


def failure(refused: RefusedError, request_id: str, language: str) -> JsonObject:
    """A plain envelope for a refusal."""
    text = refused.message
    if language == "zh":
        text = f"{CHINESE.get(refused.code or '', '操作失败')}: {refused.message}"
    detail: JsonObject = {
        "code": refused.code,
        "level": "ERROR",
        "message": text,
        "extraContext": {},
        "messageMcmsKey": refused.code,
        "messageMcmsContext": dict(refused.context),
        "reason": None,
        "reasonMcmsKey": None,
        "reasonMcmsContext": {},
        "proposal": None,
        "proposalMcmsKey": None,
        "proposalMcmsContext": {},
        "upstreamErrorDetail": None,
        "requestId": request_id,
    }
    message = f"[{refused.code}]: {text}" if refused.code else text
    return success(None) | {"success": False, "errorDetail": detail, "code": refused.code, "message": message}


def dressed(envelope: JsonObject, *, request_id: str, cost_ms: int, paged_like: bool, switches: Switches) -> JsonObject:
    """The envelope as it is sent, with the fields all answers have and the selected quirks.

    Args:
        envelope: from `success` or `failure`.
        request_id: trace id, a UUID.
        cost_ms: milliseconds of work.
        paged_like: whether the sample of this action carries paging fields although it has no pages.
        switches: `paging_trio`, `cost`, `omit`, `null` and `field_case` select the quirks.
    """
    number, size, total = TRIO if paged_like and switches.paging_trio else NO_PAGES
    first = ("success", "errorDetail", "code", "message", "advice")
    ordered: JsonObject = {name: envelope[name] for name in first if name in envelope}
    ordered |= {"requestId": request_id, "pageNumber": number, "pageSize": size, "totalCount": total}
    ordered |= {"cost": f"{cost_ms} ms" if switches.cost == "text" else None, "data": envelope["data"]}
    for name in switches.null:
        ordered[name] = None
    kept = {name: value for name, value in ordered.items() if name not in switches.omit}
    if switches.field_case == "all":
        return _capitalised(kept)  # type: ignore[no-any-return]  # an object stays one
    if switches.field_case == "envelope":
        return {_capital(name): value for name, value in kept.items()}
    return kept


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _capitalised(value: Json) -> Json:
    if isinstance(value, dict):
        return {_capital(name): _capitalised(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_capitalised(element) for element in value]
    return value
