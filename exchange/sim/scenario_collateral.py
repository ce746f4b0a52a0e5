"""The steps of a scenario about collateral assets."""

from __future__ import annotations

from decimal import Decimal

from exchange.errors import ScenarioError
from exchange.protocol.messages import (
    ChangeCollateral,
    ListAsset,
    SetAssetPrice,
    SetMultiAsset,
)
from exchange.sim.scenario_file import require_keys
from exchange.sim.scenario_names import Body, Names, Planned, flag, one, whole
from exchange.units import to_atoms, to_decimal, to_ppm


def plan_asset(body: Body, names: Names) -> Planned:
    """Lists a collateral asset, by default with a unit of 10^8 parts; again: another haircut."""
    require_keys(body, ("asset", "haircut"), ("parts", "reject"))
    name = str(body["asset"])
    known = names.assets.get(name, (len(names.assets) + 1, 10**8))
    number, parts = known[0], whole(body["parts"], "parts") if "parts" in body else known[1]
    if "reject" not in body:
        names.assets[name] = number, parts
    return one(
        ListAsset(asset=number, name=name, unit_parts=parts, haircut_ppm=to_ppm(body["haircut"]))
    )


def plan_asset_price(body: Body, names: Names) -> Planned:
    require_keys(body, ("asset", "price"), ("reject",))
    return one(
        SetAssetPrice(asset=names.asset(body["asset"])[0], price_atoms=to_atoms(body["price"]))
    )


def plan_collateral(body: Body, names: Names) -> Planned:
    """Brings units of an asset, or takes them out."""
    require_keys(body, ("account", "asset", "change"), ("reject",))
    number, parts = names.asset(body["asset"])
    change: Decimal = to_decimal("change", body["change"]) * parts
    if change != int(change):
        raise ScenarioError(
            f"change is {body['change']}; a unit of {body['asset']} has {parts} parts"
        )
    return one(
        ChangeCollateral(
            account=names.account(body["account"]), asset=number, change_parts=int(change)
        )
    )


def plan_multi_asset(body: Body, names: Names) -> Planned:
    require_keys(body, ("account", "enabled"), ("reject",))
    return one(
        SetMultiAsset(account=names.account(body["account"]), enabled=int(flag(body, "enabled")))
    )
