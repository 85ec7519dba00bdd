"""How much is enough to say something: the smallest numbers that rules, intervals and nulls take."""

FEWEST_IMAGES = 20  # that a statement, a row of agreement or an interval takes
FEWEST_GROUPS = 10  # below, no bootstrap of groups says anything about their spread
FEWEST_SEEDS = 6  # of one recipe, for a sentence about all networks trained so
FEWEST_DRAWS = 10  # random networks; the largest figure of fewer says little
FEWEST_RELABELLINGS = 200  # different ones, below which no p-value is given
TWICE = 2.0  # what chance has, before a region is said to be looked at
