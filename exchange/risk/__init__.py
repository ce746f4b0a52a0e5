"""Risk policy in human units: what an operator writes, and the listing command that it becomes."""

from exchange.risk.load import FundNumbers, load_policy
from exchange.risk.policy import BracketPolicy, LiquidationPolicy, SymbolPolicy
from exchange.risk.prices import MarkPolicy
from exchange.risk.warnings import WarningPolicy

__all__ = [
    "BracketPolicy",
    "FundNumbers",
    "LiquidationPolicy",
    "MarkPolicy",
    "SymbolPolicy",
    "WarningPolicy",
    "load_policy",
]
