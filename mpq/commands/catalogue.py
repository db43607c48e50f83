"""``mpq codecs``, ``models``, ``datasets`` and ``metrics``: what there is."""

from __future__ import annotations

from reports.printing import show


def codecs() -> None:
    """The codecs: their parameters, default ladders, and whether they run here."""
    from mpq.catalogue import codecs_section

    show([codecs_section()])


def models() -> None:
    """The models, and whether they run here."""
    from mpq.catalogue import models_section

    show([models_section()])


def datasets() -> None:
    """The data sets and layouts, and whether they can be read here."""
    from mpq.catalogue import datasets_section

    show([datasets_section()])


def metrics() -> None:
    """The scores and similarities, with their units, and the fields of a result's rows."""
    from mpq.catalogue import metrics_sections

    show(metrics_sections())
