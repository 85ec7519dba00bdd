import pytest
import torch

from wheretolook.base.errors import InputError
from wheretolook.networks.runtime.device import choose_device, describe_device


def there(monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(("cuda", "mps", "chosen"), [(2, True, "cuda"), (0, True, "mps"), (0, False, "cpu")])
def test_the_fastest_kind_is_chosen_by_itself(monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool, chosen: str):
    there(monkeypatch, cuda, mps)
    assert choose_device("") == torch.device(chosen)


def test_a_named_device_is_taken(monkeypatch: pytest.MonkeyPatch):
    there(monkeypatch, 2, False)
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize("name", ["cuda:2", "mps", "abacus", "cpu:1"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(monkeypatch: pytest.MonkeyPatch, name: str):
    there(monkeypatch, 2, False)
    with pytest.raises(InputError, match=f'device "{name}": expected one of cuda, cuda:1, cpu'):
        choose_device(name)


def test_the_cpu_is_described_with_its_threads():
    assert describe_device(torch.device("cpu")).startswith(f"cpu ({torch.get_num_threads()} thread")
