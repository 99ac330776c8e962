"""Alert rules of the reference model: what was met is what has an event; nothing else is remembered of a period.

What a rule has counted is added up from the journal each time, and whether it was met is looked up among the events.
"""

from typing import Any

from tests.support.model.limits import Limits, window_of

Row = dict[str, Any]

KIND = ("name", "subject", "window", "time_zone", "limit")
SHOWN = ("name", "subject", "threshold", "percent", "window", "time_zone", "limit")
CHARGES = {"CHARGE", "LATE_CHARGE"}


class Alerts:
    """The rules of one account, and every event of it, the oldest first."""

    def __init__(self) -> None:
        self.all: list[Row] = []
        self.events: list[Row] = []

    def replace(self, wanted: list[Row] | None, limits: Limits, sequence: int, next_id: int) -> int:
        """Put these in the place of all (None: as they are); who stays the same but for its threshold goes on."""
        before = self.all
        self.all = []
        ids = {limit["name"]: limit["id"] for limit in limits.all}
        for rule in before if wanted is None else wanted:
            watched = ids.get(rule["limit"])
            same = [
                each
                for each in before
                if all(each[name] == rule[name] for name in KIND)
                and watched in (None, each["watched"])
            ]
            if same:
                self.all.append(same[0] | {name: rule[name] for name in SHOWN})
                continue
            new: Row = {"id": next_id, "watched": watched, "since": sequence, "armed": True}
            new |= {"begin": 0, "end": 0, "consumed": 0, "met": False}
            self.all.append({name: rule[name] for name in SHOWN} | new)
            next_id += 1
        return next_id

    def look(self, entries: list[Row], limits: Limits, now_us: int) -> None:
        """Look at every rule after a change, and write the events of those that it has met."""
        for rule in self.all:
            now = self._present(rule, entries, limits, now_us)
            if now is None:
                continue
            holds = _holds(rule, now["value"], now["base"])
            met = now["met"]
            if holds and not met:
                now["begin"] += not now["end"]
                self._tell(rule, now, now_us)
                met = True
            elif not holds and not now["end"]:
                met = False
            rule["armed"] = not met
            rule.update({name: now[name] for name in ("begin", "end", "consumed")}, met=met)

    def status(self, entries: list[Row], limits: Limits, now_us: int) -> list[Row]:
        """Show each rule as it stands."""
        shown: list[Row] = []
        for rule in self.all:
            now = self._present(rule, entries, limits, now_us)
            nothing = {"value": 0, "base": 0, "begin": 0, "end": 0, "met": False}
            now = nothing if now is None else {name: now[name] for name in nothing}
            shown.append({name: rule[name] for name in SHOWN} | now)
            if not now["end"]:
                shown[-1]["begin"] = 0
        return shown

    def _present(self, rule: Row, entries: list[Row], limits: Limits, now_us: int) -> Row | None:
        """Find the period that now is in, and what the rule compares in it; nothing where the limit is gone."""
        settled = entries[-1]["settled"] if entries else 0
        own = [event for event in self.events if event["rule_id"] == rule["id"]]
        if rule["subject"] == "LIMIT_USE":
            watched = [limit for limit in limits.all if limit["name"] == rule["limit"]]
            if not watched:
                return None
            window = limits.present(watched[0], now_us)
            begin, end, consumed = window["begin"], window["end"], 0
            value, base = window["used"] + window["held"], watched[0]["maximum"]
        elif rule["window"] is None:
            period = {"begin": len(own), "end": 0, "consumed": 0}
            return period | {"value": settled, "base": 0, "met": not rule["armed"]}
        else:
            begin, end = window_of(rule["window"], rule["time_zone"], now_us)
            consumed = -sum(
                entry["credits"]
                for entry in entries[rule["since"] :]
                if entry["kind"] in CHARGES and begin <= entry["create_us"] < end
            )
            value = consumed if rule["subject"] == "CONSUMED" else settled
            base = max(consumed + settled, 0)
        return {
            "begin": begin,
            "end": end,
            "consumed": consumed,
            "value": value,
            "base": base if rule["percent"] else 0,
            "met": any(event["period"] == begin for event in own),
        }

    def _tell(self, rule: Row, now: Row, now_us: int) -> None:
        event = {name: rule[name] for name in ("subject", "limit", "threshold", "percent")}
        event |= {"rule": rule["name"], "rule_id": rule["id"], "occur_us": now_us}
        event |= {"value": now["value"], "base": now["base"]}
        self.events.append(event | {"period": now["begin"], "end": now["end"]})


def _holds(rule: Row, value: int, base: int) -> bool:
    threshold = rule["threshold"] * base if rule["percent"] else rule["threshold"]
    value *= 100 if rule["percent"] else 1
    if rule["percent"] and not base:
        return False
    return value <= threshold if rule["subject"] == "REMAINING" else value >= threshold
