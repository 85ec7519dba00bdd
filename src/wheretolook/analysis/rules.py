"""The rules by which something may be said about a class, each with its words."""

CHANCE = "above chance"
ENOUGH = "enough images"
AGREEMENT = "agreement beyond every null"
PLACE = "twice what a map without knowledge has"
MARK = "twice what a map without knowledge has, on a mark"
ALONE = "two models or more"
RECIPE = "six seeds"
CAUSE = "maps are no causes"

FEWEST_IMAGES = 20
FEWEST_SEEDS = 6
TWICE = 2.0

WORDS = {
    CHANCE: "Each model's balanced accuracy on the held-out split is above chance (lower end of its 95 % interval): "
    "a map of a network that has learned nothing explains nothing.",
    ENOUGH: f"The split holds {FEWEST_IMAGES} images of the class or more, of ten groups or more.",
    AGREEMENT: "For every pair of models, the correlation of their CAMs of the last layer (true class, as a contrast) "
    "exceeds each null by the margin: lower end of the 95 % interval of the excess, paired by image, drawn by group.",
    PLACE: "In every model the share of positive energy in the region is at least twice its share of area and twice "
    "what a centre prior has there (lower ends of the 95 % intervals); of several such regions a mark comes "
    "first, then the one with the largest energy for its area.",
    MARK: "The same, for a mark that is no part of the thing: a warning about these networks, not a statement about "
    "the class. It needs no agreement beyond the nulls: a mark that stands in one place gives all images one map.",
    ALONE: "Whose view it is, the network's or the class's, takes two models or more to tell.",
    RECIPE: f"A sentence about all networks trained so takes {FEWEST_SEEDS} seeds or more of one recipe, and a test "
    "over seeds.",
    CAUSE: "A map shows where a network's evidence for a class lies, not what makes a thing belong to the class.",
}
