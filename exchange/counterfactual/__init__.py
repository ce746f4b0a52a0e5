"""What would have happened under another policy: a journal's commands in several worlds, side by side.

``compare_policies`` is the door for programs, ``exchange replay --with`` the one for people.  Behind them: ``keys`` is
the table of what may be changed; ``survey`` reads what a journal lists; ``policy`` reads the file; ``rewrite`` and
``counterparts`` make the commands of a changed world, ``branch`` and ``side`` run it, ``run`` all of them; ``tally``
and ``compare`` count; ``outcome`` is the result, ``show`` and ``picture`` tell it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exchange.counterfactual.outcome import Outcome
from exchange.counterfactual.policy import read_policy
from exchange.counterfactual.run import Reading, run
from exchange.counterfactual.survey import read_survey
from exchange.errors import PolicyError
from exchange.explain.source import Source

__all__ = ["Outcome", "compare_policies"]


def compare_policies(
    journal: Path, policies: Mapping[str, Mapping[str, Any]], *, verify: bool = False, top: int = 5
) -> dict[str, Outcome]:
    """Runs a journal under several policies in one pass: an outcome for each, by the same names.

    A policy is the tables of a policy file (docs/counterfactuals.md), its numbers as Decimal, int or text:
    ``{"double": {"funds": {"shared": {"times": 2}}}}``.  Money in outcomes is in atoms.

    Raises:
        PolicyError: a policy that cannot be; nothing was run.
        ReplayDiffers: ``verify`` found a difference between the engines, or an invariant that does not hold.
    """
    source = Source.open(journal)
    survey = read_survey(source, lambda text: None)
    read = {}
    for name, tables in policies.items():
        try:
            read[name] = read_policy(tables, survey, source.fund_names)
        except PolicyError as error:
            raise PolicyError(f"policy {name}: {error}") from None
    reading = Reading(verify=verify, top=top, snapshots=journal / "snapshots")
    found = run(source, read, survey, reading)
    return {outcome.policy: outcome for outcome, _ in found}
