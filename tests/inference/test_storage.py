"""Files of fits: read back to the last bit, refused when spoilt, usable by arviz."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from quick_fits import KEY, quick_fit, same

from sloth_jax import InputError, forecast, forecast_table, load_fit, save_fit
from sloth_jax.inference.settings import INFERENCES


@pytest.mark.parametrize("inference", INFERENCES)
def test_a_saved_fit_is_read_back_to_the_last_bit(data, query, tmp_path, inference):
    found = quick_fit(inference)
    save_fit(found, tmp_path / "fit.nc")
    again = load_fit(tmp_path / "fit.nc", data)
    same((again.law, again.position, again.pivots), (found.law, found.position, found.pivots))
    for name in ("settings", "surface", "report", "seed", "chains"):
        assert getattr(again, name) == getattr(found, name)
    np.testing.assert_equal(asdict(again.diagnostics), asdict(found.diagnostics))
    assert again.table.to_csv_text() == data.to_csv_text()
    one, other = (forecast(f, query, key=KEY) for f in (found, again))
    np.testing.assert_array_equal(one.draws, other.draws)
    one, other = (forecast_table(f, key=KEY) for f in (found, again))
    np.testing.assert_array_equal(one.draws, other.draws)


def _shorten(path):
    path.write_bytes(path.read_bytes()[:-1000])


def _change_a_number(path):
    with h5py.File(path, "r+") as file:
        file["posterior/position"][0, 0] += 1e-6


def _rename(path):
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = "something else"


def _as_version_0_1(path):
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = "sloth-jax posterior 3"


def _not_netcdf(path):
    path.write_text("model,family\n")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_shorten, "cut off"),
        (_change_a_number, "changed since it was written"),
        (_rename, "its format is 'something else'"),
        (_as_version_0_1, "written by version 0.1, .*fit the table anew"),
        (_not_netcdf, "not a file of save_fit"),
        (Path.unlink, "no such file"),
    ],
)
def test_spoilt_files_are_refused_with_the_reason(fitted, tmp_path, spoil, reason):
    path = tmp_path / "fit.nc"
    save_fit(fitted, path)
    spoil(path)
    with pytest.raises(InputError, match=reason) as caught:
        load_fit(path)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_table_is_refused(fitted, data, tmp_path):
    save_fit(fitted, tmp_path / "fit.nc")
    fewer = data.subset(np.arange(len(data.models)) > 0)
    with pytest.raises(InputError, match="another table \\(models differ\\)"):
        load_fit(tmp_path / "fit.nc", fewer)
    changed = data.scores.copy()
    changed[0, 0] += 0.01
    with pytest.raises(InputError, match="another table \\(scores differ\\)"):
        load_fit(tmp_path / "fit.nc", replace(data, scores=changed))
