import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.models import mnasnet0_5

from tests.networks.small import card
from wheretolook.base.errors import InputError
from wheretolook.networks.card import METADATA_KEY, card_to_json, read_card
from wheretolook.networks.checkpoint import load_model, save_model
from wheretolook.networks.layered import LookNet, load_weights

CPU = torch.device("cpu")


@pytest.fixture
def network() -> LookNet:
    torch.manual_seed(1)
    return LookNet(2, width=4, depth=2).eval()


@pytest.fixture
def file(tmp_path: Path, network: LookNet) -> Path:
    path = tmp_path / "a.safetensors"
    save_model(path, network, card(network))
    return path


def rewrite(path: Path, metadata: dict[str, str] | None = None, **tensors: torch.Tensor | None) -> None:
    """The file again, with other metadata or tensors; None leaves a tensor out."""
    state = load_file(path) | tensors
    metadata = {METADATA_KEY: card_to_json(read_card(path))} if metadata is None else metadata
    save_file({name: tensor for name, tensor in state.items() if tensor is not None}, path, metadata=metadata)


def test_a_model_comes_back_as_it_was(file: Path, network: LookNet):
    images = torch.randn(2, 3, 16, 16)
    loaded, its_card = load_model(file, CPU)
    assert its_card == card(network)
    assert not loaded.training
    assert torch.equal(loaded(images), network(images))


def test_loading_leaves_chance_alone(file: Path):
    before = torch.get_rng_state()
    load_model(file, CPU)
    assert torch.equal(torch.get_rng_state(), before)


def test_equal_models_have_equal_bytes_whatever_their_memory_layout(file: Path, network: LookNet, tmp_path: Path):
    other = tmp_path / "b.safetensors"
    save_model(other, network.to(memory_format=torch.channels_last), card(network))
    assert other.read_bytes() == file.read_bytes()


def test_the_metadata_is_one_key(file: Path):
    length = int.from_bytes(file.read_bytes()[:8], "little")
    header = json.loads(file.read_bytes()[8 : 8 + length])
    assert list(header["__metadata__"]) == [METADATA_KEY]


def test_weights_are_stored_as_float32(tmp_path: Path, network: LookNet):
    path = tmp_path / "half.safetensors"
    save_model(path, network.bfloat16(), card(network))
    assert {str(tensor.dtype) for tensor in load_file(path).values()} == {"torch.float32", "torch.int64"}


def test_nothing_is_left_after_a_refused_save(tmp_path: Path, network: LookNet):
    network.classifier[-1].bias.data[0] = torch.nan
    with pytest.raises(InputError, match=r"expected finite weights, found NaN or infinity in classifier\.0\.bias"):
        save_model(tmp_path / "nan.safetensors", network, card(network))
    assert not list(tmp_path.iterdir())


def test_a_card_of_another_network_is_a_bug(tmp_path: Path, network: LookNet):
    with pytest.raises(ValueError, match="the card names the layers"):
        save_model(tmp_path / "x.safetensors", network, card(network, layers=("a",), trained_heads=("a",)))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip, as torch.save writes it", b"\x02\0\0\0\0\0\0\0[]"])
def test_another_format_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "foreign.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"foreign\.pt: expected (a header|a model .* PyTorch)"):
        load_model(path, CPU)


def test_a_cut_file_is_refused(file: Path):
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(InputError) as refused:
        load_model(file, CPU)
    assert "truncated" in refused.value.found


def test_a_file_without_a_card_is_refused(file: Path):
    rewrite(file, metadata={"format": "pt"})
    with pytest.raises(InputError) as refused:
        load_model(file, CPU)
    assert 'without a "wheretolook" card' in refused.value.found and "`drive`" in refused.value.hint


def test_load_rejects_missing_class_names(file: Path):
    values = json.loads(card_to_json(read_card(file)))
    del values["class_names"]
    rewrite(file, metadata={METADATA_KEY: json.dumps(values)})
    with pytest.raises(InputError, match="expected class_names in the card"):
        load_model(file, CPU)


def test_the_first_keys_and_shapes_that_do_not_fit_are_named(file: Path):
    rewrite(
        file,
        **{
            "classifier.0.bias": None,
            "extra.weight": torch.zeros(2),
            "classifier.0.weight": torch.zeros(3, 8),
        },
    )
    with pytest.raises(InputError) as refused:
        load_model(file, CPU)
    assert refused.value.found == (
        "missing: classifier.0.bias; unexpected: extra.weight; "
        "shape or dtype: classifier.0.weight is float32 (3, 8) instead of float32 (2, 8)"
    )


def test_of_many_keys_that_do_not_fit_a_few_are_named(file: Path, network: LookNet):
    wider = card(network, arguments={"width": 4, "depth": 3}, layers=("block1", "block2", "block3"))
    rewrite(file, metadata={METADATA_KEY: card_to_json(replace(wider, trained_heads=("block3",)))})
    with pytest.raises(InputError, match=r"missing: \S+, \S+, \S+ and \d more;"):
        load_model(file, CPU)


def test_weights_that_are_not_finite_are_refused(file: Path):
    rewrite(file, **{"classifier.0.bias": torch.tensor([0.0, torch.inf])})
    with pytest.raises(InputError, match="expected finite weights"):
        load_model(file, CPU)


def test_layers_of_another_network_are_refused(file: Path, network: LookNet):
    other = card(network, layers=("layer1", "layer2"), trained_heads=("layer2",))
    rewrite(file, metadata={METADATA_KEY: card_to_json(other)})
    with pytest.raises(InputError, match="expected the layers of looknet"):
        load_model(file, CPU)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 4, "depth": 10**7}, "values up to 16"),
        ({"width": 10**9, "depth": 2}, "values up to 16"),
        ({"width": 4, "depth": 2, "rows": [[1, [10**7]]]}, "values up to 16"),
        ({"width": 4, "depth": 2, "rows": [1] * 400}, "at most 400 values"),
    ],
)
def test_a_card_whose_network_would_be_absurd_is_refused_before_it_is_built(
    file: Path, network: LookNet, arguments: dict, message: str
):
    rewrite(file, metadata={METADATA_KEY: card_to_json(card(network, arguments=arguments))})
    with pytest.raises(InputError) as refused:
        load_model(file, CPU)
    assert refused.value.expected.startswith(message) and refused.value.expected.endswith("arguments in the card")


def test_a_tensor_of_no_elements_makes_no_argument_less_absurd(file: Path, network: LookNet):
    absurd = card(network, arguments={"width": 10**9, "depth": 2})
    rewrite(file, metadata={METADATA_KEY: card_to_json(absurd)}, extra=torch.zeros(10**9, 0))
    with pytest.raises(InputError, match="values up to"):
        load_model(file, CPU)


def test_arguments_of_which_no_network_can_be_built_are_refused(file: Path, network: LookNet):
    deep = card(network, arguments={"width": 4, "depth": 90})
    rewrite(file, metadata={METADATA_KEY: card_to_json(deep)}, extra=torch.zeros(90))
    with pytest.raises(InputError, match=r"expected arguments in the card that looknet accepts, found .*90"):
        load_model(file, CPU)


def test_load_weights_keeps_the_versions_of_modules():
    """torchvision's mnasnet fails to load a state dict without its version, which a file of tensors does not keep."""
    network = mnasnet0_5(num_classes=2)
    state = {name: tensor + 1 for name, tensor in network.state_dict().items()}
    load_weights(network, state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_tied_weights_are_written_once_for_each_name(tmp_path: Path) -> None:
    network = LookNet(2, 4, 2).eval()
    network.side_heads["block1"].bias = network.classifier[0].bias
    save_model(tmp_path / "tied.safetensors", network, card(network))
    found = load_model(tmp_path / "tied.safetensors")[0].state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in network.state_dict().items())
