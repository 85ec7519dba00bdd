"""Networks without layer definitions here: a user's class, timm's, transformers', torchvision's without a family."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from torch import nn

from wheretolook.base.errors import InputError
from wheretolook.networks.architectures import Architecture

# Parameter names for the number of classes; the first that the constructor has is used.
CLASS_COUNTS = ("class_count", "num_classes", "n_classes", "classes", "num_labels", "num_outputs", "out_features")
# Arguments of timm that download or read files, or that are set here.
_TIMM_RESERVED = {
    "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir", "scriptable",
    "exportable", "model_name", "num_classes",
}  # fmt: skip
_SHOWN = 8


def build_bare(source: Architecture, class_count: int, arguments: Mapping[str, Any]) -> nn.Module:
    """Build a network with random weights.

    Args:
        source: of kind "code", "timm", "hf" or "torchvision".
        class_count: K; for code, passed as the first parameter of CLASS_COUNTS that the constructor has.
        arguments: further keyword arguments.

    Raises:
        InputError: no such network, invalid arguments, or the result is not an `nn.Module`.
    """
    if source.kind == "timm":
        network = _of_timm(source.name, class_count, arguments)
    elif source.kind == "hf":
        network = _of_transformers(source, class_count, arguments)
    elif source.kind == "torchvision":
        network = _of_torchvision(source.name, class_count, arguments)
    else:
        network = _of_code(source, class_count, arguments)
    if not isinstance(network, nn.Module):
        raise InputError(_subject(source), "a torch.nn.Module", type(network).__name__, "Return the network")
    return network


def check_bare(source: Architecture) -> None:
    """Check that `build_bare` would find the network, without building it.

    Raises:
        InputError: no such network.
    """
    if source.kind == "timm":
        load_timm(source.name)
    elif source.kind == "hf":
        read_config(source)
    elif source.kind == "torchvision":
        _torchvision_name(source.name)
    else:
        _loaded(source)


def _of_code(source: Architecture, class_count: int, arguments: Mapping[str, Any]) -> Any:
    make = _loaded(source)
    return _called(source, make, _with_class_count(make, class_count, arguments))


def _with_class_count(make: Callable, class_count: int, arguments: Mapping[str, Any]) -> dict[str, Any]:
    taken = inspect.signature(make).parameters
    name = next((name for name in CLASS_COUNTS if name in taken), None)
    return dict(arguments) | ({name: class_count} if name and name not in arguments else {})


def _called(source: Architecture, make: Callable, keywords: Mapping[str, Any]) -> Any:
    try:
        inspect.signature(make).bind(**keywords)
    except TypeError as error:
        raise InputError(
            _subject(source),
            f"arguments matching {inspect.signature(make)}",
            f"{dict(keywords)} ({error})",
            "Set them as in `arguments: width=16,depth=4`",
        ) from error
    try:
        return make(**keywords)
    except Exception as error:  # user code may raise anything
        raise InputError(
            _subject(source), "a network", f"an error in its constructor ({type(error).__name__}: {error})"
        ) from error


def _loaded(source: Architecture) -> Callable:
    """The class or function, from its file; the file is executed once per process."""
    path = Path(source.file).resolve()
    name = f"wheretolook_code_{path.stem}_{abs(hash(str(path))):x}"
    module = sys.modules.get(name)
    if module is None:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        # The file may import modules beside it, or packages of the repository.
        roots = [str(path.parent), str(Path.cwd()), str(Path.cwd() / "src")]
        sys.path[:0] = [root for root in roots if root not in sys.path]
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            raise InputError(source.file, "code that imports", f"{type(error).__name__}: {error}") from error
    found = getattr(module, source.name, None)
    if not callable(found):
        made = [n for n, value in vars(module).items() if inspect.isclass(value) and issubclass(value, nn.Module)]
        raise InputError(
            source.file,
            f"a class or function {source.name!r}",
            f"the networks {', '.join(made)}" if made else "no network",
            "Put the name of a class or function after the colon",
        )
    return found


def load_timm(name: str) -> Any:
    """The package timm, if it has the network.

    Raises:
        InputError: no such package or network.
    """
    try:
        import timm
    except ImportError as error:
        raise InputError(
            f"architecture 'timm/{name}'", "the package timm", "no such package", 'Run "uv pip install timm"'
        ) from error
    if not timm.is_model(name):
        near = get_close_matches(name, timm.list_models(), n=_SHOWN) or timm.list_models()[:_SHOWN]
        hint = f"Similar names: {', '.join(near)}"
        raise InputError(f"architecture 'timm/{name}'", "a network of timm", "no such name", hint)
    return timm


def _of_timm(name: str, class_count: int, arguments: Mapping[str, Any]) -> Any:
    timm = load_timm(name)
    if reserved := sorted(_TIMM_RESERVED & set(arguments)):
        raise InputError(
            f"architecture 'timm/{name}'", "arguments of the network only", ", ".join(reserved), "Remove them"
        )
    try:
        return timm.create_model(name, pretrained=False, num_classes=class_count, **arguments)
    except (TypeError, ValueError, AssertionError, RuntimeError, KeyError) as error:
        raise InputError(
            f"architecture 'timm/{name}'", "valid arguments", f"{dict(arguments)} ({str(error)[:200]})"
        ) from error


def read_config(source: Architecture) -> tuple[Any, Any]:
    """transformers, and the configuration of a network that is one of its image classifiers.

    Raises:
        InputError: no such package, no configuration, or that of another kind of network.
    """
    subject = f"architecture 'hf/{source.name}'"
    try:
        import transformers
    except ImportError as error:
        raise InputError(
            subject, "the package transformers", "no such package", 'Run "uv pip install transformers"'
        ) from error
    place, _, revision = source.name.partition("@")
    if source.file:
        place = str(Path(source.file).parent)
    try:
        # Code in a repository of Hugging Face is not run. Of a folder, no network access.
        config = transformers.AutoConfig.from_pretrained(
            place, revision=revision or "main", local_files_only=bool(source.file), trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            subject,
            "a configuration of transformers",
            f"{type(error).__name__}: {str(error)[:200]}",
            "Check the name and the connection, or give a folder with its config.json",
        ) from error
    known = transformers.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING
    if type(config) not in known:
        raise InputError(
            subject,
            "an image classifier of transformers",
            f"model_type {config.model_type!r}",
            "AutoModelForImageClassification must accept it",
        )
    return transformers, config


def _of_transformers(source: Architecture, class_count: int, arguments: Mapping[str, Any]) -> Any:
    transformers, config = read_config(source)
    if unknown := [name for name in arguments if name not in config.to_dict()]:
        raise InputError(
            f"architecture 'hf/{source.name}'",
            f"keys of its configuration: {', '.join(sorted(config.to_dict()))}",
            ", ".join(unknown),
            "Example: `arguments: image_size=112`",
        )
    try:
        config.update(dict(arguments))
        config.num_labels = class_count
        # Without a class that saved it, the first of several classifiers for this type is built.
        config.architectures = config.architectures or []
        return transformers.AutoModelForImageClassification.from_config(config, trust_remote_code=False)
    except (TypeError, ValueError, AssertionError, RuntimeError, KeyError, AttributeError, ImportError) as error:
        raise InputError(
            f"architecture 'hf/{source.name}'", "valid arguments", f"{dict(arguments)} ({str(error)[:200]})"
        ) from error


def _torchvision_name(name: str) -> Any:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        near = get_close_matches(name, known, n=_SHOWN) or known
        raise InputError(
            f"architecture 'torchvision/{name}'",
            "a network of torchvision",
            "no such name",
            f"Similar names: {', '.join(near)}",
        )
    return models


def _of_torchvision(name: str, class_count: int, arguments: Mapping[str, Any]) -> Any:
    models = _torchvision_name(name)
    # Auxiliary logits are used only in training, and their weight initialisation takes half a minute.
    plain = {"aux_logits": False, "init_weights": False} if name in ("inception_v3", "googlenet") else {}
    try:
        return models.get_model(name, weights=None, num_classes=class_count, **(plain | dict(arguments)))
    except (TypeError, ValueError, AssertionError) as error:
        raise InputError(
            f"architecture 'torchvision/{name}'", "valid arguments", f"{dict(arguments)} ({error})"
        ) from error


def _subject(source: Architecture) -> str:
    return f"architecture '{f'{source.file}:' if source.kind == 'code' else f'{source.kind}/'}{source.name}'"
