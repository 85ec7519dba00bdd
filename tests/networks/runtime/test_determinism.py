import pytest
import torch

from wheretolook.networks.runtime.device import deterministic


@pytest.mark.parametrize("before", [True, False])
def test_within_it_bits_repeat_and_float32_is_no_tf32_and_after_it_all_is_as_before(before: bool, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", before)
    with pytest.raises(ValueError, match="on purpose"), deterministic():
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.allow_tf32
        raise ValueError("on purpose")
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.allow_tf32 is before
