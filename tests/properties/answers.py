"""The engine's answers in the words of the model, so that the two can be compared with `==`.

Ids differ: which of the engine's stands for which of the model's is learnt from the first answer
that tells both, and holds for good.
"""

from typing import Any, Generic, NamedTuple, TypeVar

from tests.properties.calls import OTHERS_RESERVATION, SECOND_US, Call
from tests.support.model_account import Row
from tollkeeper.core import commands
from tollkeeper.core.account import AccountState
from tollkeeper.core.change import Authorized, Denied, Settled
from tollkeeper.core.credits import Balance
from tollkeeper.core.errors import Refused
from tollkeeper.core.fields import Fields
from tollkeeper.core.grants import NEVER_US
from tollkeeper.core.outcome import Outcome
from tollkeeper.core.prices import Price, PriceList, Unlisted
from tollkeeper.core.reservation import ReservationName
from tollkeeper.core.views import AccountView, EntryView, GrantView, Published
from tollkeeper.engine.engine import Engine

Theirs = TypeVar("Theirs", ReservationName, "GrantName")
Command = (
    commands.Authorize
    | commands.Commit
    | commands.Release
    | commands.CreateAccount
    | commands.UpdateAccount
    | commands.GrantCredits
    | commands.PublishPrices
)
Reply = Authorized | Denied | Settled | AccountView | GrantView | Published | Refused

NEVER_GIVEN = ReservationName(account_key=4_242_424_242_424_242, reservation_id=4_242)
GRANT_FIELDS = ("id", "credits", "remaining", "priority", "create_us", "expires_us", "note")


class GrantName(NamedTuple):
    """A grant of the engine's. Its id alone may be another account's as well."""

    account_id: str
    grant_id: int


class Pairs(Generic[Theirs]):
    """Pairs of an id of the model and the one of the engine that stands for the same thing."""

    def __init__(self) -> None:
        self._theirs: dict[int, Theirs] = {}
        self._ours: dict[Theirs, int] = {}

    def meet(self, ours: int, theirs: Theirs) -> None:
        """Learn a pair; neither may be in another."""
        assert self._theirs.setdefault(ours, theirs) == theirs
        assert self._ours.setdefault(theirs, ours) == ours

    def theirs(self, ours: int) -> Theirs:
        """Return the engine's id."""
        return self._theirs[ours]

    def ours(self, theirs: Theirs) -> int | str:
        """Return the model's id, or words for one that was never met."""
        return self._ours.get(theirs, f"unknown {theirs}")

    def all_theirs(self) -> list[Theirs]:
        """Return the engine's ids, oldest first."""
        return list(self._theirs.values())


class Names:
    """The ids of both sides."""

    def __init__(self) -> None:
        self.reservations: Pairs[ReservationName] = Pairs()
        self.grants: Pairs[GrantName] = Pairs()

    def reservation(self, ours: int) -> ReservationName:
        """Return the name that the engine is asked by, also for what does not exist."""
        if ours >= 0:
            return self.reservations.theirs(ours)
        given = self.reservations.all_theirs()
        others = [each for each in given if given[-1].account_key != each.account_key]
        if ours == OTHERS_RESERVATION and others:
            name = ReservationName(others[-1].account_key, given[-1].reservation_id)
            return NEVER_GIVEN if name in given else name
        return NEVER_GIVEN


# Calls


def command_of(call: Call, names: Names) -> Command:
    """Check the fields as a servicer does. Raises Refused."""
    fields = Fields()
    command = COMMANDS[call.name](fields, call.fields, names)
    fields.done()
    return command


def authorize_of(fields: Fields, given: Row, names: Names) -> Command:
    return commands.Authorize(
        fields.account_id("account_id", given["account_id"]),
        fields.method("method", given["method"]),
        fields.path("path", given["path"]),
        fields.request_id("request_id", given["request_id"]),
        hold_of(fields, given["hold_us"]),
        given["dry_run"],
    )


def commit_of(fields: Fields, given: Row, names: Names) -> Command:
    name = names.reservation(given["reservation_id"])
    status = given.get("http_status")
    if status is not None:
        return commands.Commit(name, http_status=fields.http_status("http_status", status))
    return commands.Commit(name, outcome=fields.outcome("outcome", number_of(given["outcome"])))


def release_of(fields: Fields, given: Row, names: Names) -> Command:
    outcome = fields.release_outcome("outcome", number_of(given["outcome"]))
    return commands.Release(names.reservation(given["reservation_id"]), outcome)


def create_account_of(fields: Fields, given: Row, names: Names) -> Command:
    return commands.CreateAccount(
        account_id=fields.account_id("account_id", given["account_id"]),
        request_id=fields.request_id("request_id", given["request_id"]),
        display_name=fields.text("display_name", given["display_name"]),
        credit_limit=fields.credit_limit("credit_limit", given["credit_limit"]),
    )


def update_account_of(fields: Fields, given: Row, names: Names) -> Command:
    name, state, limit = given["display_name"], given["state"], given["credit_limit"]
    return commands.UpdateAccount(
        account_id=fields.account_id("account_id", given["account_id"]),
        request_id=fields.request_id("request_id", given["request_id"]),
        display_name=None if name is None else fields.text("display_name", name),
        state=None if state is None else fields.state("state", AccountState[state].value),
        credit_limit=None if limit is None else fields.credit_limit("credit_limit", limit),
    )


def grant_of(fields: Fields, given: Row, names: Names) -> Command:
    return commands.GrantCredits(
        account_id=fields.account_id("account_id", given["account_id"]),
        request_id=fields.request_id("request_id", given["request_id"]),
        credits=fields.granted_credits("credits", given["credits"]),
        priority=fields.priority("priority", given["priority"]),
        expires_us=time_of(fields, "expire_time", given["expires_us"]),
        note=fields.text("note", given["note"]),
    )


def publish_of(fields: Fields, given: Row, names: Names) -> Command:
    prices = [core_price_of(row) for row in given["prices"]]
    return commands.PublishPrices(
        request_id=fields.request_id("request_id", given["request_id"]),
        prices=fields.prices("prices.prices", prices),
        unlisted=Unlisted[given["unlisted"].upper()],
        effective_us=time_of(fields, "prices.effective_time", given["effective_us"]),
        note=fields.text("prices.note", given["note"]),
    )


COMMANDS = {
    "authorize": authorize_of,
    "commit": commit_of,
    "release": release_of,
    "create_account": create_account_of,
    "update_account": update_account_of,
    "grant": grant_of,
    "publish": publish_of,
}


def number_of(outcome: str | None) -> int:
    return 0 if outcome is None else Outcome[outcome].value


def hold_of(fields: Fields, hold_us: int | None) -> int | None:
    return None if hold_us is None else fields.hold_us("hold", *seconds_and_nanos(hold_us))


def time_of(fields: Fields, name: str, at_us: int | None) -> int | None:
    return None if at_us is None else fields.time_us(name, *seconds_and_nanos(at_us))


def seconds_and_nanos(time_us: int) -> tuple[int, int]:
    return time_us // SECOND_US, time_us % SECOND_US * 1_000


def core_price_of(row: Row) -> Price:
    charge_on = tuple(row.get("charge_on") or ())
    return Price(row["method"], row["path"], row["credits"], row.get("note", ""), charge_on)


async def send(engine: Engine, command: Command) -> Reply:
    """Ask the engine; a refusal is an answer here."""
    try:
        match command:
            case commands.Authorize():
                return await engine.authorize(command)
            case commands.Commit():
                return await engine.commit(command)
            case commands.Release():
                return await engine.release(command)
            case commands.CreateAccount():
                return await engine.create_account(command)
            case commands.UpdateAccount():
                return await engine.update_account(command)
            case commands.GrantCredits():
                return await engine.grant_credits(command)
            case commands.PublishPrices():
                return await engine.publish_prices(command)
    except Refused as refused:
        return refused


# Answers


def expected_answer(call: Call, answer: Row) -> Row:
    """Return what the engine's answer has to say; the model's says a little more."""
    if call.name == "grant" and "grant" in answer:
        grant = {name: answer["grant"][name] for name in GRANT_FIELDS}
        return answer | {"grant": grant}
    left_out = {"create_account": "replayed", "update_account": "replayed"}
    without = left_out.get(call.name, "http_status")
    return {name: value for name, value in answer.items() if name != without}


def learn_ids(call: Call, answer: Row, reply: Reply, names: Names) -> None:
    """Learn which ids stand for the same thing, where both sides say that they made one."""
    if isinstance(reply, Authorized) and reply.reservation is not None:
        ours = answer.get("reservation_id")
        if ours is not None:
            names.reservations.meet(ours, reply.reservation)
    if isinstance(reply, GrantView) and "grant" in answer:
        name = GrantName(call.fields["account_id"], reply.grant_id)
        names.grants.meet(answer["grant"]["id"], name)


def answer_of(call: Call, reply: Reply, names: Names) -> Row:
    """Say what the engine answered to a call, in the model's words."""
    match reply:
        case Authorized():
            return authorized_answer(reply, names)
        case Denied():
            return {
                "decision": "denied",
                "reason": reply.reason.name,
                "credits": reply.credits,
                "balance": balance_row(reply.balance),
                "replayed": False,
            }
        case Settled():
            return {
                "state": reply.state.name,
                "outcome": reply.outcome.name,
                "credits": reply.credits,
                "balance": balance_row(reply.balance),
                "late": reply.late,
                "replayed": reply.replayed,
            }
        case AccountView():
            return account_row(reply)
        case GrantView():
            return grant_answer(call.fields["account_id"], reply, names)
        case Published():
            return price_list_row(reply.prices) | {"replayed": reply.replayed}
        case Refused():
            return refusal_row(reply)


def authorized_answer(reply: Authorized, names: Names) -> Row:
    name, held = reply.reservation, reply.state is not None
    return {
        "decision": "reserved",
        "reservation_id": None if name is None else names.reservations.ours(name),
        "credits": reply.credits,
        "price_version": reply.price_version,
        "state": reply.state.name if reply.state else None,
        "create_us": reply.created_us if held else reply.created_us or None,
        "expire_us": reply.expires_us if held else reply.expires_us or None,
        "balance": balance_row(reply.balance),
        "replayed": reply.replayed,
    }


def grant_answer(account_id: str, reply: GrantView, names: Names) -> Row:
    return {
        "grant": {
            "id": names.grants.ours(GrantName(account_id, reply.grant_id)),
            "credits": reply.credits,
            "remaining": reply.remaining,
            "priority": reply.priority,
            "create_us": reply.created_us,
            "expires_us": never_is_none(reply.expires_us),
            "note": reply.note,
        },
        "balance": balance_row(reply.balance),
        "replayed": reply.replayed,
    }


def account_row(view: AccountView) -> Row:
    return {
        "account_id": view.account_id,
        "display_name": view.display_name,
        "state": view.state.name,
        "credit_limit": view.credit_limit,
        "create_us": view.created_us,
        "balance": balance_row(view.balance),
    }


def entry_view_row(account_id: str, view: EntryView, names: Names) -> Row:
    entry = view.entry
    name = ReservationName(entry.account_key, entry.reservation_id)
    grant = GrantName(account_id, entry.grant_id)
    return {
        "sequence": entry.sequence,
        "kind": entry.kind.name,
        "credits": entry.credits,
        "settled": entry.settled,
        "create_us": entry.created_us,
        "grant": names.grants.ours(grant) if entry.grant_id else None,
        "reservation": names.reservations.ours(name) if entry.reservation_id else None,
        "method": view.method,
        "path": view.path,
        "price_version": entry.price_version,
        "note": entry.note,
    }


def price_list_row(prices: PriceList) -> Row:
    return {
        "version": prices.version,
        "effective_us": prices.effective_us,
        "prices": [price_row(each) for each in prices.prices],
        "unlisted": prices.unlisted.name.lower(),
        "note": prices.note,
    }


def price_row(price: Price) -> tuple[Any, ...]:
    return (price.method, price.path, price.credits, price.charge_on, price.note)


def refusal_row(refused: Refused) -> Row:
    """Name the reason and the fields; within a price list, the model knows only its own fields."""
    fields = [each.field for each in refused.fields] or [refused.metadata.get("field", "")]
    short = {field.removeprefix("prices.").split("[")[0] for field in fields}
    return {"error": refused.reason.name, "fields": sorted(short - {""})}


def balance_row(balance: Balance | None) -> Row | None:
    return None if balance is None else balance._asdict()


def never_is_none(expires_us: int) -> int | None:
    return None if expires_us == NEVER_US else expires_us
