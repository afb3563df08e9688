"""Labels offered anew: how well one of a few listed labels is chosen, among them labels that training never held."""

from __future__ import annotations

from speechverse.evaluation.offered.choosing import CHOOSERS
from speechverse.evaluation.offered.lists import LISTINGS, Listing, Offer, offer_labels
from speechverse.evaluation.offered.measure import ChoiceScore, OfferedResults, OfferSettings, measure_offered
from speechverse.evaluation.offered.table import offered_table

__all__ = [
    "CHOOSERS",
    "LISTINGS",
    "ChoiceScore",
    "Listing",
    "Offer",
    "OfferSettings",
    "OfferedResults",
    "measure_offered",
    "offer_labels",
    "offered_table",
]
