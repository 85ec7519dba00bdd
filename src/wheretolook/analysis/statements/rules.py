"""The rules by which something may be said about a class, each with its words."""

from wheretolook.analysis.statistics.enough import FEWEST_GROUPS, FEWEST_IMAGES, FEWEST_SEEDS

CHANCE = "above chance"
ENOUGH = "enough images"
AGREEMENT = "agreement beyond every null"
PLACE = "twice what a map without knowledge has"
MARK = "twice what a map without knowledge has, on a mark"
ALONE = "two models or more"
HELD_OUT = "images held out"
EVERY_NULL = "every null"
MAPS = "CAMs of the last layer"
DIFFERENCE = "difference beyond its area"
RECIPE = "six seeds"
SEEDS = "test over seeds"
CAUSE = "maps are no causes"

WORDS = {
    CHANCE: "Each model's balanced accuracy on the held-out split is above chance (lower end of its 95 % interval): "
    "a map of a network that has learned nothing explains nothing.",
    ENOUGH: f"The split holds {FEWEST_IMAGES} images of the class or more, of {FEWEST_GROUPS} groups or more; and as "
    "many groups of every class, without which no accuracy has an interval. An image without a group is one by itself.",
    AGREEMENT: "For every pair of models, the correlation of their CAMs of the last layer (true class, as a contrast) "
    "exceeds each null by the margin: lower end of the 95 % interval of the excess, paired by image, drawn by group. "
    "The null of random weights is one figure, the highest mean of any draw.",
    PLACE: "In every model the share of positive energy in the region is at least twice its share of area and twice "
    "what a centre prior has there (lower ends of the 95 % intervals); of several such regions a mark comes "
    "first, then the one with the largest energy for its area.",
    MARK: "The same, for a mark that is no part of the thing: a warning about these networks, not a statement about "
    "the class. It needs no agreement beyond the nulls: a mark that stands in one place gives all images one map.",
    ALONE: "Whose view it is, the network's or the class's, takes two models or more to tell.",
    HELD_OUT: "The images are of a split that the networks were not trained on.",
    MAPS: "Every model has CAMs of its last layer, which alone make statements.",
    EVERY_NULL: "Agreement was held against every null: random weights take ten draws or more (export.random_draws), "
    "and are drawn for images of the test split alone; a blob at the centre takes a layer of more than 2 x 2 cells.",
    DIFFERENCE: "At a place the class and the rest differ in every model, the same way (largest p of the models up to "
    "0.05, labels permuted by group, adjusted for all places), and in every model the place holds at least twice the "
    "share of the difference of mean logits that its share of the area would be (lower end of the 95 % interval). "
    "Evidence and marks, which the rest has none of, count by what they have beyond their surroundings; of several "
    "such regions a mark comes first.",
    RECIPE: f"A sentence about all networks trained so takes {FEWEST_SEEDS} seeds or more of one recipe, and a test "
    "over seeds.",
    SEEDS: "What holds in each model of one recipe holds over its seeds too: the models are the sample. Agreement: a "
    "jackknife that leaves out models, lower end of the excess over each null at least the margin. A region's energy: "
    "Student's interval of what is beyond twice its share, lower end above 0. Classes: signs of models flipped, "
    "largest |t| over places, p up to 0.05, and Student's interval of the share as above.",
    CAUSE: "A map shows where a network's evidence for a class lies, not what makes a thing belong to the class.",
}
