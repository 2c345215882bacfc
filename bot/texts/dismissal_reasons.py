"""The usual reasons why no rule was broken, to choose from."""

from moderation.policy import Policy

from .catalog import Catalog

USUAL = ("dismissal.no-rule", "dismissal.settled", "dismissal.handled", "dismissal.quoted")


def usual_reasons(policy: Policy, language: str) -> tuple[str, ...]:
    """Return the operator's reasons, else ours, in a language."""
    given = policy.cases.reasons
    if not given:
        return tuple(Catalog.load().template(language, key) for key in USUAL)
    return tuple(each.get(language) or next(iter(each.values())) for each in given)
