"""Linear classifiers, for probes, baselines and leakage checks alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speechverse.errors import needs_extra


def fit_linear(cues: Any, names: Sequence[str], penalty: float = 1e-2, first: Any = None) -> Any:
    """Fits logistic regression, every class weighing the same, as mean recall counts.

    Args:
        cues: Features (N, D), or whatever `first` takes.
        names: The class of each, two different ones at least.
        penalty: Weight of the squared coefficients beside the mean loss.
        first: A transformer of scikit-learn's before the regression; None standardises features.

    Returns:
        A pipeline of scikit-learn's: `predict(cues)` gives names.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
    """
    with needs_extra("a linear classifier", "eval"):
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    strength = 1 / (penalty * len(names))
    regression = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000)
    return make_pipeline(StandardScaler() if first is None else first, regression).fit(cues, names)
