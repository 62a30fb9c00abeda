"""Trunks of timm's and torchvision's networks, by name: convolutional ones, and ViTs with one map cell per patch.

Nothing is fetched from a network: weights are random, or come from a local file.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from avssl.errors import UserError, did_you_mean, reason_of
from avssl.installation import install_hint

State = Mapping[str, Tensor]
Triple = tuple[float, float, float]


class ForeignTrunk(nn.Module):
    """A network of another library: (N, 3, H, W) normalised floats to maps.

    Attributes:
        channels: of the last map.
        mean, std: of the pictures it was made for, on the scale 0..1.
        multiple: height and width are filled up to multiples of so many pixels by repeating the last row and column.
        patches: pixels from one cell to the next by stage, where a map's cells are patches laid side by side; empty of
            convolutional networks.
    """

    channels: int
    mean: Triple
    std: Triple
    multiple: int = 1

    def __init__(self) -> None:
        super().__init__()
        self.patches: dict[str, int] = {}

    def filled(self, x: Tensor) -> Tensor:
        """The picture with height and width that the network takes."""
        down, right = -x.shape[-2] % self.multiple, -x.shape[-1] % self.multiple
        return nn.functional.pad(x, (0, right, 0, down), mode="replicate") if down or right else x

    def stages(self, x: Tensor) -> OrderedDict[str, Tensor]:
        """The map of each stage by name, in order of depth."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return next(reversed(self.stages(x).values()))


def published_side(library: str, name: str) -> int:
    """Pixels of the square pictures that a network of "timm" or "torchvision" was made for.

    Raises:
        UserError: there is no such network, or timm is missing.
    """
    if library == "timm":
        return int(_timm(name).get_pretrained_cfg(name).input_size[-1])
    return int(_torchvision_preset(name).crop_size[0])


class TimmTrunk(ForeignTrunk):
    """A network of timm. Stages are the blocks of a ViT, normalised as its last one is, or the stages of a CNN.

    The class token and registers are dropped: the map is that of the patches. Positions are interpolated to ``side``,
    and to each picture where the network can do so.

    Args:
        name: as timm has it, such as "vit_small_patch16_224".
        side: pixels of the square pictures that it is trained on.
        arguments: further ones for ``timm.create_model``, such as {"depth": 4}.
        state: weights under timm's names, with or without a classifier; None: random ones.

    Raises:
        UserError: timm is missing, it has no such network, the side does not fit it, or the weights do not.
    """

    def __init__(
        self, name: str, side: int, arguments: Mapping[str, Any] | None = None, state: State | None = None
    ) -> None:
        super().__init__()
        timm = _timm(name)
        found: dict[str, Any] = {"num_classes": 0}
        if state is not None:
            # With a classifier of the file's own size timm loads strictly: missing and unknown weights are refused.
            classifier = timm.get_pretrained_cfg_value(name, "classifier")
            first = classifier[0] if isinstance(classifier, tuple | list) else classifier
            head = state.get(f"{first}.weight")
            found = {"pretrained": True, "num_classes": 0 if head is None else len(head)}
            overlay = {"state_dict": dict(state), "num_classes": found["num_classes"], "label_offset": 0}
            found["pretrained_cfg_overlay"] = overlay
        self.sized, self.normed = False, True
        try:
            self.net = self._made(timm, name, side, found | dict(arguments or {}))
        except (RuntimeError, KeyError, ValueError) as error:  # torch's and timm's words about weights
            what = "cannot be built" if state is None else "does not take these weights (give those of this network)"
            raise UserError(f"timm's {name} {what}: {reason_of(error)}") from None
        self.net.pretrained_cfg.pop("state_dict", None)  # else a second copy of the weights stays in memory
        self.net.prune_intermediate_layers(None, prune_head=True)  # weights that no gradient would reach
        cfg = self.net.pretrained_cfg
        self.mean, self.std = tuple(cfg["mean"]), tuple(cfg["std"])
        about = self.net.feature_info
        self.names = [one["module"].replace(".", "-") for one in about]
        self.channels = about[-1]["num_chs"]
        cells = {name: one["reduction"] for name, one in zip(self.names, about, strict=True)}
        if self.sized and (getattr(self.net, "dynamic_img_size", False) or len(set(cells.values())) == 1):
            self.patches, self.multiple = cells, max(cells.values())
            _check_side(name, side, self.multiple)

    def _made(self, timm: Any, name: str, side: int, arguments: dict[str, Any]) -> Any:
        # Networks with positions are built for a size; convolutional ones know no such argument.
        for sized in ({"img_size": side, "dynamic_img_size": True}, {"img_size": side}, {}):
            self.sized = bool(sized)
            try:
                return timm.create_model(name, **sized, **arguments)
            except TypeError as error:
                if not any(word in str(error) for word in sized):
                    raise UserError(f"timm's {name} cannot be built: {error}") from None
            except (AssertionError, ZeroDivisionError):
                raise UserError(f"timm's {name} cannot be built for pictures of {side} px; give larger ones") from None
        raise AssertionError(name)

    def _maps(self, x: Tensor, last: int | None) -> list[Tensor]:
        try:
            maps: list[Tensor] = self.net.forward_intermediates(
                self.filled(x), indices=last, norm=self.normed, output_fmt="NCHW", intermediates_only=True
            )
        except AssertionError as error:  # timm's words, mostly about the size of a picture
            if self.normed and "norm" in str(error):  # Hiera normalises no stages
                self.normed = False
                return self._maps(x, last)
            raise UserError(
                f"this network of timm takes pictures of one size alone; give it its own ({error})"
            ) from None
        return maps

    def stages(self, x: Tensor) -> OrderedDict[str, Tensor]:
        return OrderedDict(zip(self.names, self._maps(x, None), strict=True))

    def forward(self, x: Tensor) -> Tensor:
        return self._maps(x, 1)[-1]


class TorchvisionTrunk(ForeignTrunk):
    """A network of torchvision for classification, without its classifier.

    Stages are the encoder layers of a ViT, each with the last normalisation, whose positions are interpolated to each
    picture; of other networks the last part before each change of size.

    Args:
        name: as torchvision has it, such as "convnext_tiny".
        side: pixels of the square pictures that it is trained on.
        state: weights under torchvision's names, with or without a classifier; None: random ones.

    Raises:
        UserError: torchvision has no such network, the side does not fit it, or the weights do not.
    """

    def __init__(self, name: str, side: int, state: State | None = None) -> None:
        super().__init__()
        from torchvision import models  # heavy

        preset = _torchvision_preset(name)
        if name.startswith(("googlenet", "inception")):
            raise UserError(f"{name} has classifiers in its midst, which nothing here trains; take timm:inception_v3")
        self.tokens, self.channels_last = name.startswith("vit"), name.startswith("swin")
        sized = {"image_size": side} if self.tokens else {"input_size": (side, side)} if "maxvit" in name else {}
        if self.tokens:
            self.multiple = int(name.split("_")[2])
            _check_side(name, side, self.multiple)
        net: Any = models.get_model(name, weights=None, **sized)
        for head in ("fc", "classifier", "heads", "head"):
            if hasattr(net, head):
                setattr(net, head, nn.Identity())
        self.net = net
        if state is not None:
            self._load(name, side, state)
        self.mean, self.std = tuple(preset.mean), tuple(preset.std)
        maps = self._example(name, side)
        self.names = list(maps) if self.tokens else _last_of_each_size(maps)
        self.channels = maps[self.names[-1]].shape[1]
        if self.tokens:
            self.patches = dict.fromkeys(self.names, self.multiple)

    def _example(self, name: str, side: int) -> OrderedDict[str, Tensor]:
        training = self.net.training
        try:
            with torch.no_grad():
                self.net.eval()
                return self._all(torch.zeros(1, 3, side, side))
        except (RuntimeError, ValueError):
            raise UserError(f"pictures of {side} px are too small for torchvision's {name}; give larger ones") from None
        finally:
            self.net.train(training)

    def _load(self, name: str, side: int, state: State) -> None:
        heads = ("fc.", "classifier.", "heads.", "head.")
        kept = OrderedDict((key, value) for key, value in state.items() if not key.startswith(heads))
        try:
            if self.tokens:
                from torchvision.models.vision_transformer import interpolate_embeddings

                kept = interpolate_embeddings(side, self.multiple, kept)
            self.net.load_state_dict(kept)
        except (RuntimeError, KeyError, ValueError) as error:
            raise UserError(
                f"torchvision's {name} does not take these weights (give those of this network): {reason_of(error)}"
            ) from None

    def stages(self, x: Tensor) -> OrderedDict[str, Tensor]:
        maps = self._all(self.filled(x))
        return OrderedDict((name, maps[name]) for name in self.names)

    def _all(self, x: Tensor) -> OrderedDict[str, Tensor]:
        return self._layers(x) if self.tokens else self._parts(x)

    def _layers(self, x: Tensor) -> OrderedDict[str, Tensor]:
        net, encoder = self.net, self.net.encoder
        cut: Tensor = net.conv_proj(x)
        first, places = encoder.pos_embedding[:, :1], encoder.pos_embedding[:, 1:]
        if cut.shape[2] * cut.shape[3] != places.shape[1] or cut.shape[2] != cut.shape[3]:
            grid = round(places.shape[1] ** 0.5)
            square = places.transpose(1, 2).unflatten(2, (grid, grid))
            resized = nn.functional.interpolate(square, cut.shape[-2:], mode="bicubic", antialias=True)
            places = resized.flatten(2).transpose(1, 2)
        tokens = cut.flatten(2).transpose(1, 2) + places
        tokens = encoder.dropout(torch.cat([(net.class_token + first).expand(len(x), -1, -1), tokens], dim=1))
        maps: OrderedDict[str, Tensor] = OrderedDict()
        for number, layer in enumerate(encoder.layers, start=1):
            tokens = layer(tokens)
            maps[f"layer{number}"] = encoder.ln(tokens)[:, 1:].transpose(1, 2).reshape(len(x), -1, *cut.shape[-2:])
        return maps

    def _parts(self, x: Tensor) -> OrderedDict[str, Tensor]:
        maps: OrderedDict[str, Tensor] = OrderedDict()

        def keep(name: str) -> Any:
            def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
                if isinstance(output, Tensor) and output.ndim == 4:
                    maps[name] = output.permute(0, 3, 1, 2) if self.channels_last else output

            return hook

        hooks = [part.register_forward_hook(keep(name)) for name, part in _parts_of(self.net)]
        try:
            self.net(x)
        finally:
            for hook in hooks:
                hook.remove()
        maps.pop("avgpool", None)  # the mean of the last map, which is no stage of its own
        return maps


def _parts_of(net: nn.Module) -> Iterable[tuple[str, nn.Module]]:
    """What a picture passes one after the other, by names that files may bear."""
    for name in ("features", "blocks", "trunk_output"):
        inner = getattr(net, name, None)
        if isinstance(inner, nn.Module):
            if name != "features" and isinstance(getattr(net, "stem", None), nn.Module):
                yield "stem", net.get_submodule("stem")
            yield from ((f"{name}-{part}", module) for part, module in inner.named_children())
            return
    yield from net.named_children()


def _last_of_each_size(maps: Mapping[str, Tensor]) -> list[str]:
    names = list(maps)
    sizes = [tuple(one.shape[-2:]) for one in maps.values()]
    return [name for k, name in enumerate(names) if k + 1 == len(names) or sizes[k + 1] != sizes[k]]


def _check_side(name: str, side: int, multiple: int) -> None:
    if side % multiple:
        low = max(side // multiple, 1) * multiple
        raise UserError(
            f"{name} cuts pictures into patches of {multiple} px, so that their side must be {low} or {low + multiple} "
            f"px, for example, not {side}"
        )


def _torchvision_preset(name: str) -> Any:
    """How torchvision prepares pictures for a network: crop_size, mean and std."""
    from torchvision import models  # heavy

    known = models.list_models(module=models)
    if name not in known:
        near = did_you_mean(name, known, "torchvision.models.list_models() names all")
        raise UserError(f"torchvision has no network called {name!r}{near}")
    return models.get_model_weights(name).DEFAULT.transforms()


def _timm(name: str) -> Any:
    """The package, if it is there and has a network of this name; else UserError."""
    try:
        import timm
    except ImportError:
        raise UserError(f"timm:{name} needs the package timm: {install_hint('timm')}") from None
    if not timm.is_model(name):
        # A tag of weights may stand behind the name: "resnet18.a1_in1k".
        near = did_you_mean(name.partition(".")[0], timm.list_models(), "timm.list_models() names all")
        raise UserError(f"timm has no network called {name!r}{near}")
    return timm
