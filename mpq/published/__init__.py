"""The published experiment: its numbers, where each of them stands, and what keeps it from being compared.

Jacobellis, Cummings and Yadwadkar, "Machine Perceptual Quality: Evaluating the Impact of Severe Lossy Compression on
Audio and Image Models" (arXiv 2401.07957, 2024). The numbers are what the notebooks of github.com/danjacobellis/MPQ
print, to six digits or more; results_summary.ipynb plots them. Cells are counted from 0, at commit 935db1f unless another
is named. What is said of how they were made was read in the code, also where that says something else than its README.
"""

from mpq.published.pictures import ADE20K, BEANS, IMAGENET, XRAY
from mpq.published.sounds import COMMON_VOICE, MUSDB

EXPERIMENTS = {e.name: e for e in (IMAGENET, ADE20K, COMMON_VOICE, XRAY, BEANS, MUSDB)}
"""In the order of the published figure."""
