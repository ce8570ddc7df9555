"""Groups of a netCDF file, read by h5py: xarray's own reader takes as long as a forecast."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

_NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable"


class Stored(NamedTuple):
    """A variable of a file.

    Attributes:
        dims: names of its dimensions.
        values: with as many axes.
    """

    dims: tuple[str, ...]
    values: np.ndarray


def read_groups(path: str | Path) -> tuple[dict[str, Any], dict[str, dict[str, Stored]]]:
    """Attributes of a file that :meth:`xarray.DataTree.to_netcdf` wrote, and its groups by name.

    Args:
        path: the file.

    Returns:
        Attributes; for each group all of its variables, coordinates among them. Whatever h5py
        raises of another file is passed on.
    """
    groups: dict[str, dict[str, Stored]] = {}
    with h5py.File(path, "r") as file:
        for name, group in file.items():
            found = {key: _stored(group[key], file) for key in group}
            groups[name] = {key: part for key, part in found.items() if part is not None}
        return dict(file.attrs), groups


def _stored(dataset: Any, file: h5py.File) -> Stored | None:
    about = dataset.attrs
    name = about.get("NAME", b"")
    if (name.decode() if isinstance(name, bytes) else str(name)).startswith(_NO_VARIABLE):
        return None
    if "DIMENSION_LIST" in about:
        dims = tuple(_last(str(file[scales[0]].name)) for scales in about["DIMENSION_LIST"])
    else:  # of itself, a coordinate, or of none
        dims = (_last(str(dataset.name)),) * dataset.ndim
    if h5py.check_string_dtype(dataset.dtype):
        return Stored(dims, dataset.asstr()[...])
    values = dataset[...]
    # netCDF has no truth values: they are bytes with a note.
    return Stored(dims, values.astype(bool) if about.get("dtype") == "bool" else values)


def _last(path: str) -> str:
    return path.rsplit("/", 1)[-1]
