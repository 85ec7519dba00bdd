"""Thresholds of the analysis, chosen before any data; docs/method.md gives the reason for each."""

FEWEST_IMAGES = 20  # that a statement, a row of agreement or an interval takes
FEWEST_GROUPS = 10  # below, no bootstrap of groups says anything about their spread
FEWEST_SEEDS = 6  # of one recipe, for a sentence about all networks trained so
FEWEST_DRAWS = 10  # random networks; the largest figure of fewer says little
FEWEST_RELABELLINGS = 200  # different ones, below which no p-value is given
TWICE = 2.0  # what chance has, before a region is said to be looked at

LOCATED_ODDS = 2.0  # odds of energy inside a region, over the odds of its area
LOCATED_AUROC = 0.6  # of pixels inside a region against those outside, by the height of the map
NECESSARY_FLIPS = 0.1  # share of predictions that change when a region is infilled, beyond control places
SUFFICIENT_KEPT = 0.5  # share of predictions kept when all but a region is infilled; where no control place exists
CUE_FLIPS = 0.5  # share of predictions that change with a property of the whole image, beyond a harmless change
INFILLS = 2  # families of infills that must agree
ALPHA = 0.05  # of all confirmatory statements together
POWER = 0.8  # of the minimum detectable effect
