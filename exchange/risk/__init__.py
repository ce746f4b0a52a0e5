"""Risk policy in human units: what an operator writes, and the listing command that it becomes."""

from exchange.risk.funds import FundPolicy
from exchange.risk.load import FundNumbers, load_policy
from exchange.risk.policy import BracketPolicy, LiquidationPolicy, SymbolPolicy
from exchange.risk.prices import FundingPolicy, MarkPolicy
from exchange.risk.warnings import WarningPolicy

__all__ = [
    "BracketPolicy",
    "FundNumbers",
    "FundPolicy",
    "FundingPolicy",
    "LiquidationPolicy",
    "MarkPolicy",
    "SymbolPolicy",
    "WarningPolicy",
    "load_policy",
]
