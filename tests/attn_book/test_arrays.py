"""Everything that holds numbers becomes the same NumPy array; what holds none is refused in words."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from attn_book.arrays import as_array

NUMBERS = [[0.25, 0.5, 0.25], [1.0, 0.0, 0.0]]  # exact in every precision below


def same(got, dtype):
    assert type(got) is np.ndarray
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, np.array(NUMBERS, dtype=dtype))


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.float64, np.float64),
        (torch.float32, np.float32),
        (torch.float16, np.float32),
        (torch.bfloat16, np.float32),
        (torch.float8_e4m3fn, np.float32),
    ],
    ids=str,
)
def test_precisions(dtype, expected):
    same(as_array(torch.tensor(NUMBERS).to(dtype)), expected)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64])
def test_whole_numbers_and_truth_values_keep_their_type(dtype):
    got = as_array(torch.tensor([1, 0, 1], dtype=dtype))
    assert got.dtype == torch.zeros(1, dtype=dtype).numpy().dtype
    np.testing.assert_array_equal(got, [1, 0, 1])


def test_a_graph_is_left_behind():
    same(as_array(torch.tensor(NUMBERS, requires_grad=True) * 1.0), np.float32)
    same(as_array(nn.Parameter(torch.tensor(NUMBERS))), np.float32)


def test_maps_of_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        product = nn.Linear(3, 2, bias=False)(torch.ones(1, 3))
    assert product.dtype == torch.bfloat16
    assert as_array(product).dtype == np.float32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_other_devices():
    tensor = torch.tensor(NUMBERS, device="cuda", dtype=torch.float16, requires_grad=True)
    same(as_array(tensor), np.float32)
    same(as_array([tensor[0], tensor[1]]), np.float32)


def test_lazy_conjugates_and_negatives():
    z = torch.tensor([1 + 2j])
    np.testing.assert_array_equal(as_array(z.conj()), [1 - 2j])
    np.testing.assert_array_equal(as_array(z.conj().imag), [-2.0])


def test_lists_of_tensors():
    rows = [torch.tensor(row, requires_grad=True) for row in NUMBERS]
    same(as_array(rows), np.float32)
    same(as_array(tuple(row.bfloat16() for row in rows)), np.float32)
    same(as_array([[number.bfloat16() for number in row] for row in rows]), np.float32)


def test_what_is_no_tensor_stays_as_it_is():
    array = np.array(NUMBERS)
    assert as_array(array) is array
    half = array.astype(np.float16)
    assert as_array(half) is half
    same(as_array(NUMBERS), np.float64)
    assert as_array(3).shape == ()
    assert as_array([]).shape == (0,)
    assert as_array("text").dtype.kind == "U"
    assert as_array(None).dtype == object


def test_pandas():
    pandas = pytest.importorskip("pandas")
    same(as_array(pandas.DataFrame(NUMBERS)), np.float64)
    same(as_array([pandas.Series(row) for row in NUMBERS]), np.float64)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (torch.eye(2).to_sparse(), TypeError, "maps must be a dense tensor, got layout torch.sparse_coo: call .to_dense"),
        (torch.ones(2, 3, device="meta"), ValueError, "maps is on the meta device and has no values"),
        ([torch.ones(2), torch.ones(3)], ValueError, r"the parts of maps must have one shape, got \(2,\), \(3,\)"),
        ([torch.ones(2, device="meta")], ValueError, "maps is on the meta device"),
        ([[1, 2], [3]], ValueError, r"the parts of maps must have one shape, got \(2,\), \(1,\)"),
        ((np.ones(2), np.ones(3)), ValueError, r"the parts of maps must have one shape, got \(2,\), \(3,\)"),
    ],
    ids=["sparse", "meta", "ragged tensors", "meta in a list", "ragged lists", "ragged arrays"],
)
def test_what_holds_no_array_is_refused(value, error, text):
    with pytest.raises(error, match=text):
        as_array(value, "maps")


def test_nested_tensors_are_refused():
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)
    with pytest.raises(TypeError, match="must be a dense tensor"):
        as_array(nested)


def test_torch_is_not_loaded_for_it():
    code = "import sys, attn_book.arrays as a; a.as_array([[1.0]]); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
