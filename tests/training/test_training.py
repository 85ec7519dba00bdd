import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.networks.made_models import small_network
from tests.networks.small import ALONE, OPTIONS, prepared, train
from wheretolook.base.errors import InputError
from wheretolook.networks.checkpoint import build_network, load_model, save_model
from wheretolook.networks.runtime.processes import Ranks
from wheretolook.params.train_options import TrainOptions
from wheretolook.training.batches import balanced_weights
from wheretolook.training.loop import Training
from wheretolook.training.objective import Objective, stopped_early
from wheretolook.training.start import AdamW, check_trainable, make_schedule


def trained_bytes(path: Path, options: TrainOptions) -> bytes:
    save_model(path, *train(prepared(), options))
    return path.read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        replace(OPTIONS, loss="every", precision="bfloat16"),
        replace(OPTIONS, keep="last", augment=False),
    ],
    ids=["last", "every in bfloat16", "not augmented"],
)
def test_two_trainings_give_the_same_bytes(tmp_path: Path, options: TrainOptions):
    torch.manual_seed(99)
    first = trained_bytes(tmp_path / "first", options)
    torch.manual_seed(98)
    assert trained_bytes(tmp_path / "second", options) == first


def test_the_optimiser_is_pytorchs_and_does_not_load_its_compiler(monkeypatch: pytest.MonkeyPatch):
    def trained(kind: type[torch.optim.AdamW]) -> tuple[torch.Tensor, dict]:
        weight = torch.linspace(-1, 1, 5).requires_grad_()
        optimiser = kind([{"params": [weight], "weight_decay": 0.1}], lr=0.1)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.1, total_steps=5)
        for _ in range(4):
            optimiser.zero_grad()
            (weight**3).sum().backward()
            optimiser.step()
            schedule.step()
        again = kind([weight], lr=1.0)
        again.load_state_dict(optimiser.state_dict())
        return weight.detach(), again.state_dict()

    expected, state = trained(torch.optim.AdamW)
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)  # an import fails
    found, own_state = trained(AdamW)
    assert torch.equal(found, expected)
    torch.testing.assert_close(own_state, state, rtol=0, atol=0)


def test_another_seed_gives_another_network(tmp_path: Path):
    assert trained_bytes(tmp_path / "a", OPTIONS) != trained_bytes(tmp_path / "b", replace(OPTIONS, seed=1))


@pytest.mark.parametrize("loss", ["last", "every"])
def test_a_tiny_training_learns(loss: str):
    options = replace(OPTIONS, epochs=15, loss=loss, width=8, augment=False)
    _, card = train(prepared(120), options)
    assert card.history[-1]["val_accuracy"] >= 0.9
    assert card.history[-1]["train_loss"] < 0.5 * card.history[0]["train_loss"]


def test_five_classes_are_as_good_as_two():
    network, card = train(prepared(60, classes=5), OPTIONS)
    assert card.class_names == tuple(f"class{k}" for k in range(5))
    assert network(torch.zeros(1, 3, 16, 16)).shape == (1, 5)


def test_loss_last_trains_the_last_head_alone():
    network, card = train(prepared(), OPTIONS)
    assert card.trained_heads == ("block2",)
    assert list(card.history[0]["layers"]) == ["block2"]
    assert not network.heads["block1"].weight.any()
    assert network.heads["block2"].weight.any()


def test_loss_every_trains_every_head():
    network, card = train(prepared(), replace(OPTIONS, loss="every"))
    assert card.trained_heads == ("block1", "block2")
    assert list(card.history[0]["layers"]) == ["block1", "block2"]
    assert all(head.weight.any() for head in network.heads.values())


def test_the_card_describes_the_training(tmp_path: Path):
    data = prepared()
    network, card = train(data, OPTIONS)
    path = tmp_path / "tiny.safetensors"
    save_model(path, network, card)
    _, read = load_model(path, ALONE.device)
    assert read == card
    assert card.arguments == {"width": 4, "depth": 2}
    assert card.data == {"sha256": data.sha256, "images": 30}
    assert card.training["seed"] == 0
    assert card.training["learning_rate"] == 0.01
    assert card.input_size == 16
    assert np.allclose(card.mean, data.images[data.rows("train")].mean((0, 1, 2)) / 255)
    assert [entry["epoch"] for entry in card.history] == [1, 2]


def test_the_card_says_how_an_image_became_a_square():
    _, card = train(replace(prepared(), fit="pad"), replace(OPTIONS, epochs=1))
    assert card.fit == "pad"


def test_options_that_the_architecture_does_not_read_are_not_recorded():
    assert {"width", "depth"}.isdisjoint(replace(OPTIONS, architecture="resnet18").as_dict())
    assert replace(OPTIONS, architecture="vit_b_16").architecture_arguments(112) == {"image_size": 112}


def test_the_best_epoch_is_kept_or_the_last():
    """Before its last epoch the classifier is turned round, so that the best epoch isn't the last."""

    def ruined(keep: str) -> tuple[torch.Tensor, list]:
        training = Training(prepared(), replace(OPTIONS, epochs=3, keep=keep), ALONE)
        while not training.done:
            if training.advance() and len(training.progress.history) == 2:
                training.network.classifier[-1].weight.data.neg_()
        network, card = training.finish()
        return network.classifier[-1].weight, card.history

    best, history = ruined("best")
    last, _ = ruined("last")
    assert history[2]["val_loss"] > history[1]["val_loss"]
    assert (best * last).sum() < 0


def test_a_loss_that_is_no_number_is_named_with_epoch_step_head_and_images():
    training = Training(prepared(), replace(OPTIONS, loss="every"), ALONE)
    for _ in range(training.epoch_steps + 1):
        training.advance()
    training.network.side_heads["block1"].bias.data[0] = torch.nan
    with pytest.raises(
        InputError, match=r"epoch 2, step 2: expected a finite loss, found NaN or infinity in block1 for class"
    ):
        training.advance()


def test_a_validation_loss_that_is_no_number_is_named():
    training = Training(prepared(), OPTIONS, ALONE)
    while training.progress.step < training.epoch_steps - 1:
        training.advance()
    training._step()
    training.network.classifier[-1].bias.data[0] = torch.inf
    with pytest.raises(InputError, match="validation of epoch 1: expected a finite loss"):
        training._end_epoch()


def test_a_split_without_images_is_refused():
    data = prepared()
    data.index["split"] = "train"
    with pytest.raises(InputError, match="split val of the prepared data: expected images, found none"):
        train(data, OPTIONS)


def test_a_network_deeper_than_the_images_is_refused():
    with pytest.raises(InputError, match="looknet of depth 5: expected images of at least 32 pixels"):
        train(prepared(), replace(OPTIONS, depth=5))


@pytest.mark.parametrize(
    ("architecture", "size", "message"),
    [
        ("densenet121", 16, r"densenet121: expected images large enough for all layers, found 16 pixels \(.*512x0x0"),
        ("vgg11", 16, r"vgg11: expected images large enough .*\. Raise prepare\.size"),
    ],
)
def test_images_too_small_for_a_network_are_refused(architecture: str, size: int, message: str):
    with pytest.raises(InputError, match=message):
        train(prepared(16, size), replace(OPTIONS, architecture=architecture))


@pytest.mark.parametrize(
    ("ranks", "batch_size", "message"),
    [
        (ALONE, 1, r"batch_size: .* of 32 pixels, .*layer4\.0\.bn1 of resnet18 .*found batches of 1 image\. Raise"),
        (
            Ranks(1, 2, 1, torch.device("cpu")),
            3,
            r"found batches of 3 images for 2 processes\. .*or start fewer",
        ),
        (Ranks(1, 2, 1, torch.device("cuda")), 3, ""),
        (ALONE, 2, ""),
    ],
    ids=["one image", "one for each process", "one for each, normalised over all", "two images"],
)
def test_batches_that_leave_normalisation_one_value_are_refused(ranks: Ranks, batch_size: int, message: str):
    network = build_network("resnet18", 2, {})
    with pytest.raises(InputError, match=message) if message else nullcontext():
        check_trainable(network, "resnet18", 32, batch_size, ranks)
    check_trainable(network, "resnet18", 64, batch_size, ranks)


def test_the_trial_of_a_network_draws_nothing_and_changes_nothing():
    torch.manual_seed(OPTIONS.seed)
    network = build_network("looknet", 2, {"width": 4, "depth": 2})
    state = torch.get_rng_state()
    tried = Training(prepared(), OPTIONS, ALONE).network
    assert torch.equal(torch.get_rng_state(), state)
    assert tried.training and not any(module._forward_hooks for module in tried.modules())
    for name, tensor in tried.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name


def test_a_training_computes_in_whole_float32(monkeypatch: pytest.MonkeyPatch):
    seen, step, end = [], Training._step, Training._end_epoch

    def noting(original: Callable[[Training], None]) -> Callable[[Training], None]:
        return lambda training: (seen.append(torch.backends.cudnn.allow_tf32), original(training))[1]

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(Training, "_step", noting(step))
    monkeypatch.setattr(Training, "_end_epoch", noting(end))
    train(prepared(), replace(OPTIONS, epochs=1))
    assert seen and not any(seen)
    assert torch.backends.cudnn.allow_tf32


def test_pytorchs_determinism_is_as_before_after_a_training():
    train(prepared(), replace(OPTIONS, epochs=1))
    assert not torch.are_deterministic_algorithms_enabled()


def test_balanced_class_weights_weigh_the_loss_and_are_recorded():
    data = prepared()
    rare = np.flatnonzero(data.index["class_index"].to_numpy() == 1)[4:]
    data.index.loc[rare, "split"] = "test"
    _, plain = train(data, OPTIONS)
    _, weighted = train(data, replace(OPTIONS, class_weights="balanced"))
    assert "class_weights" not in plain.training  # the bytes of models without them stay what they were
    assert weighted.training["class_weights"] == "balanced"
    assert weighted.history[0]["train_loss"] != plain.history[0]["train_loss"]


def test_a_rare_class_weighs_as_much_as_a_frequent_one():
    weights = torch.from_numpy(balanced_weights(np.array([0, 0, 0, 1]), 2))
    objective = Objective(small_network(), "last", weights)
    logits, labels = torch.zeros(1, 4, 2), torch.tensor([0, 0, 0, 1])
    losses = objective.losses(logits, labels)
    assert losses[0, :3].sum().item() == pytest.approx(losses[0, 3].item())
    assert "class_weights" not in objective.state_dict()


def rates(options: TrainOptions, epoch_steps: int) -> list[float]:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=options.learning_rate)
    schedule = make_schedule(optimiser, options, epoch_steps)
    found = []
    for _ in range(options.epochs * epoch_steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return found


def test_schedules_rise_for_the_warm_up_and_then_fall_or_stay():
    options = replace(OPTIONS, epochs=4, learning_rate=1.0, warmup_epochs=1.0)
    cosine, constant = (rates(replace(options, schedule=kind), 4) for kind in ("cosine", "constant"))
    assert cosine[:4] == constant[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert constant[4:] == [1.0] * 12
    assert cosine[4:] == pytest.approx([(1 + np.cos(np.pi * k / 12)) / 2 for k in range(12)])
    assert max(rates(OPTIONS, 5)) < 0.011 and rates(OPTIONS, 5)[0] < 0.001  # onecycle


@pytest.mark.parametrize(
    "changes",
    [
        {"label_smoothing": 0.2}, {"schedule": "cosine", "warmup_epochs": 0.5}, {"schedule": "constant"},
        {"gradient_clip": 0.05}, {"sampling": "balanced"}, {"augment": "photos"}, {"augment": "faces"},
    ],
)  # fmt: skip
def test_an_option_changes_the_training_twice_alike_and_is_recorded(tmp_path: Path, changes: dict):
    options = replace(OPTIONS, **changes)
    first = trained_bytes(tmp_path / "first", options)
    assert trained_bytes(tmp_path / "second", options) == first
    assert first != trained_bytes(tmp_path / "plain", OPTIONS)
    _, card = load_model(tmp_path / "first", ALONE.device)
    assert card.training.items() >= changes.items()
    assert set(card.training) - set(OPTIONS.as_dict()) == changes.keys() - {"augment"}


def test_label_smoothing_counts_in_the_training_loss_alone():
    objective = Objective(small_network(), "last", None, 0.2)
    logits, labels = torch.tensor([[[2.0, 0.0]]]), torch.tensor([0])
    plain, smooth = torch.log1p(torch.exp(torch.tensor(-2.0))), torch.log1p(torch.exp(torch.tensor(-2.0))) + 0.1 * 2
    assert objective.train().losses(logits, labels).item() == pytest.approx(smooth.item())
    assert objective.eval().losses(logits, labels).item() == pytest.approx(plain.item())


def test_a_gradient_is_shortened_to_the_limit(monkeypatch: pytest.MonkeyPatch):
    norms, step = [], AdamW.step

    def noting(self: AdamW, *given: object) -> object:
        gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        norms.append(torch.cat([each.flatten() for each in gradients]).norm().item())
        return step(self, *given)

    monkeypatch.setattr(AdamW, "step", noting)
    train(prepared(), replace(OPTIONS, epochs=1, gradient_clip=0.01))
    assert max(norms) <= 0.010001


def test_training_stops_after_epochs_without_a_lower_validation_loss():
    losses = [0.5, 0.4, 0.45, 0.41, 0.39]
    history = [{"epoch": i + 1, "val_loss": loss} for i, loss in enumerate(losses)]
    assert [stopped_early(history[:n], 2) for n in range(6)] == [False, False, False, False, True, False]
    assert not stopped_early(history[:4], 0)
    training = Training(prepared(), replace(OPTIONS, epochs=6, early_stopping=1, augment=False), ALONE)
    while not training.done:
        if training.advance() and len(training.progress.history) == 2:
            training.network.classifier[-1].weight.data.neg_()
    assert len(training.finish()[1].history) == 3


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"warmup_epochs": 1.0}, "train.warmup_epochs"),
        ({"schedule": "cosine", "warmup_epochs": 2.0}, "train.warmup_epochs"),
        ({"sampling": "balanced", "class_weights": "balanced"}, "train.sampling"),
        ({"augment": "cell"}, "train.augment"),
    ],
)
def test_options_that_do_not_go_together_are_refused(changes: dict, subject: str):
    with pytest.raises(InputError) as error:
        replace(OPTIONS, **changes).check()
    assert error.value.subject == subject


@pytest.mark.parametrize("loss", ["last", "every"])
def test_a_single_output_with_a_sigmoid_is_stored_as_two_logits(loss: str) -> None:
    training = Training(prepared(), replace(OPTIONS, outputs="sigmoid", loss=loss), ALONE)
    images = torch.randn(3, 3, 16, 16)
    labels = torch.tensor([0, 1, 1])
    training.objective.eval()
    losses = training.objective.losses(training.objective(images), labels)
    single = training.network(images)
    assert single.shape == (3, 1)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(single[:, 0], labels.float(), reduction="none")
    torch.testing.assert_close(losses[-1], expected)
    training.objective.train()
    while not training.done:
        training.advance()
    network, card = training.finish()
    torch.testing.assert_close(network(images).softmax(1)[:, 1], training.network.eval()(images)[:, 0].sigmoid())
    assert card.training["outputs"] == "sigmoid" and len(card.class_names) == 2
    assert set(network.state_dict()) == set(training.network.state_dict())


def test_a_sigmoid_for_three_classes_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        Training(prepared(classes=3), replace(OPTIONS, outputs="sigmoid"), ALONE)
    assert (caught.value.subject, caught.value.expected, caught.value.found) == ("outputs: sigmoid", "two classes", "3")


def test_a_network_that_changes_its_outputs_behind_the_last_weights_has_no_single_output() -> None:
    options = replace(OPTIONS, architecture="squeezenet1_1", outputs="sigmoid")
    with pytest.raises(InputError) as refused:
        train(prepared(size=32), options)
    assert refused.value.expected == "outputs of a linear layer"
